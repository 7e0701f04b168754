"""Layers of forks for faces and other embeddings, and losses of newer papers."""

import math
from collections.abc import Sequence

import torch
from torch.nn.functional import ctc_loss, normalize

from caffe.blob import Blob
from caffe.layers.base import Blobs, register
from caffe.layers.differentiable import Differentiable, Shape, Tensors
from caffe.layers.loss import divisor
from caffe.proto.caffe_pb2 import TRAIN


def _classes(layer: Differentiable, labels: torch.Tensor, count: int) -> torch.Tensor:
    """Return labels as indexes; refuse one that is not a class."""
    found = labels.detach().flatten().long()
    if found.numel() and not 0 <= int(found.min()) <= int(found.max()) < count:
        raise layer.error(f"a label is not from 0 to {count - 1}")
    return found


@register("CenterLoss")
class CenterLoss(Differentiable):
    """The mean of |x - c|^2 / 2 with c the centre of x's class (Wen et al., 2016).

    Blob: the centres, of shape (num_output, features). Their gradient is the paper's update, the
    sum of c - x over a class divided by (its items + 1). The loss weight does not scale it.
    """

    bottoms = (2, 2)
    is_loss = True
    no_backward = frozenset({1})

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.extra().center_loss_param
        first = self.axis(bottom[0], param.axis)
        if not param.num_output:
            raise self.error("num_output, the number of classes, is missing")
        self._features = torch.Size(bottom[0].shape[first:]).numel()
        self.learn((param.num_output, self._features), param.center_filler)

    def shapes(self, given: list[Shape]) -> list[Shape]:
        items = torch.Size(given[0]).numel() // max(1, self._features)
        if torch.Size(given[1]).numel() != items:
            raise self.error(f"bottoms have shapes {given}. Needed: one label for each item")
        return [()]

    def compute(self, x: Tensors, learnt: Tensors) -> Tensors:
        self._labels = _classes(self, x[1], len(learnt[0]))
        self._away = x[0].reshape(-1, self._features) - learnt[0].detach()[self._labels]
        return [(self._away**2).sum() / (2 * max(1, len(self._away)))]

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        super().backward(top, propagate_down, bottom)
        if self.param_propagate_down[0]:  # so far it is 0: the loss sees them detached
            centres = self.blobs[0]
            counts = torch.bincount(self._labels, minlength=centres.shape[0]) + 1
            sums = torch.zeros_like(centres.tensor).index_add_(
                0, self._labels, -self._away.detach()
            )
            centres.grad.add_(sums / counts[:, None])


@register("NormalizedInnerProduct")
class NormalizedInnerProduct(Differentiable):
    """The cosine between each item's features and each row of the weights (Wang et al., 2018).

    Blob: the weights, of shape (num_output, features).
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.extra().normalized_inner_product_param
        if not param.num_output:
            raise self.error("num_output is missing")
        self._first = self.axis(bottom[0], param.axis)
        self._features = torch.Size(bottom[0].shape[self._first :]).numel()
        self.learn((param.num_output, self._features), param.weight_filler)

    def shapes(self, given: list[Shape]) -> list[Shape]:
        if torch.Size(given[0][self._first :]).numel() != self._features:
            raise self.error(f"bottom has shape {given[0]}. Needed: {self._features} features")
        return [(*given[0][: self._first], self.blobs[0].shape[0])]

    def compute(self, x: Tensors, learnt: Tensors) -> Tensors:
        return [normalize(x[0].flatten(self._first), dim=-1) @ normalize(learnt[0], dim=1).T]


@register("LabelSpecificAdd")
class LabelSpecificAdd(Differentiable):
    """Add `bias`, usually a negative margin, to the score of each item's own class.

    Only to a score above -bias, as in the forks: a margin makes no score negative. In the test
    phase x passes unchanged, unless `transform_test` (CosFace, AM-Softmax).
    """

    bottoms = (2, 2)
    no_backward = frozenset({1})

    def shapes(self, given: list[Shape]) -> list[Shape]:
        if len(given[0]) < 2 or torch.Size(given[1]).numel() != given[0][0]:
            raise self.error(f"bottoms have shapes {given}. Needed: (N, classes), (N,)")
        return [given[0]]

    def compute(self, x: Tensors, learnt: Tensors) -> Tensors:
        param = self.extra().label_specific_add_param
        if self.phase != TRAIN and not param.transform_test:
            return [x[0].clone()]
        flat = x[0].flatten(1)
        own = _classes(self, x[1], flat.shape[1])
        bias = param.bias * (flat.detach().gather(1, own[:, None]) > -param.bias)
        added = torch.zeros_like(flat).scatter_(1, own[:, None], bias.to(flat))
        return [(flat + added).reshape(x[0].shape)]


@register("TripletLoss")
class TripletLoss(Differentiable):
    """The mean of max(0, margin + |a - p|^2 - |a - n|^2) / 2 over (anchor, positive, negative)."""

    bottoms = (3, 3)
    is_loss = True

    def shapes(self, given: list[Shape]) -> list[Shape]:
        if not given[0] or any(shape != given[0] for shape in given):
            raise self.error(f"bottoms have shapes {given}. Needed: three of one shape (N, ...)")
        return [()]

    def compute(self, x: Tensors, learnt: Tensors) -> Tensors:
        anchor, positive, negative = (each.flatten(1) for each in x)
        near, far = ((anchor - other).square().sum(1) for other in (positive, negative))
        margin = self.extra().triplet_loss_param.margin
        return [(margin + near - far).relu().sum() / (2 * max(1, len(anchor)))]


@register("FocalLoss", "SoftmaxFocalLoss")
class FocalLoss(Differentiable):
    """The mean of -alpha (1 - p)^gamma log p, p the softmax of the label (Lin et al., 2017).

    Scores are along the axis of softmax_param, 1 by default; loss_param as in SoftmaxWithLoss.
    """

    bottoms = (2, 2)
    is_loss = True
    no_backward = frozenset({1})

    def shapes(self, given: list[Shape]) -> list[Shape]:
        self._axis = self.axis(Blob(given[0]), self.param.softmax_param.axis)
        scores = torch.Size(given[0]).numel()
        if torch.Size(given[1]).numel() * given[0][self._axis] != scores:
            raise self.error(f"bottoms have shapes {given}. Needed: a label for each position")
        return [()]

    def compute(self, x: Tensors, learnt: Tensors) -> Tensors:
        param, loss = self.extra().focal_loss_param, self.param.loss_param
        scores = x[0].movedim(self._axis, -1)
        scores = scores.reshape(-1, scores.shape[-1])
        labels = x[1].detach().flatten().long()
        if loss.HasField("ignore_label"):
            valid = labels != loss.ignore_label
            scores, labels = scores[valid], labels[valid]
        labels = _classes(self, labels, scores.shape[1])
        logs = scores.log_softmax(1).gather(1, labels[:, None])
        # Above 0: a power below 1 has no finite derivative there.
        missed = (1 - logs.exp()).clamp_min(torch.finfo(logs.dtype).tiny)
        losses = -param.alpha * missed**param.gamma * logs
        outer = math.prod(x[0].shape[: self._axis])
        return [losses.sum() / divisor(loss, outer, x[1].numel() // max(1, outer), len(labels))]


@register("WarpCTC")
class WarpCTC(Differentiable):
    """Connectionist temporal classification (Graves et al., 2006), the mean over items.

    Bottoms: scores (T, N, classes) before the softmax; labels (N, label_length), padded with the
    blank.
    """

    bottoms = (2, 2)
    is_loss = True
    no_backward = frozenset({1})

    def shapes(self, given: list[Shape]) -> list[Shape]:
        if len(given[0]) != 3 or torch.Size(given[1]).numel() % max(1, given[0][1]):
            raise self.error(f"bottoms have shapes {given}. Needed: (T, N, classes), (N, labels)")
        return [()]

    def compute(self, x: Tensors, learnt: Tensors) -> Tensors:
        steps, items, count = x[0].shape
        blank = self.extra().warpctc_param.blank_label_index
        labels = _classes(self, x[1], count).reshape(items, -1)
        lengths = (labels != blank).sum(1)
        given = torch.cat([row[row != blank] for row in labels]) if items else labels.flatten()
        logs = x[0].log_softmax(2)
        times = torch.full_like(lengths, steps)
        losses = ctc_loss(logs, given, times, lengths, blank, "sum", zero_infinity=True)
        return [losses / max(1, items)]
