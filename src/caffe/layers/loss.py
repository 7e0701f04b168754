"""Losses and what is counted: Softmax, SoftmaxWithLoss, SigmoidCrossEntropyLoss, EuclideanLoss,
Accuracy.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch

from caffe.blob import Blob
from caffe.layers.base import Blobs, Layer, register
from caffe.proto.caffe_pb2 import LossParameter


class Loss(Layer):
    """A layer whose top is one number to make small; its second bottom is the truth."""

    bottoms: ClassVar[tuple[int, int | None]] = (2, 2)
    is_loss = True
    no_backward = frozenset({1})

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        if bottom[0].shape[:1] != bottom[1].shape[:1]:
            raise self.error(
                f"predictions have shape {bottom[0].shape} and truth {bottom[1].shape}: "
                "their first axes must be equal"
            )
        top[0].reshape()

    def normalizer(
        self, default: LossParameter.NormalizationMode, outer: int, inner: int, valid: int
    ) -> float:
        """Return what the sum of losses is divided by, at least 1 (softmax_loss_layer.cpp).

        Parameters
        ----------
        default : NormalizationMode
            The mode where the definition names none.
        outer, inner : int
            Number of items (N), and of places in each (H * W).
        valid : int
            Number of places whose label is not ignored.
        """
        param = self.param.loss_param
        mode = default
        if param.HasField("normalization"):
            mode = param.normalization
        elif param.HasField("normalize"):
            mode = LossParameter.VALID if param.normalize else LossParameter.BATCH_SIZE
        counts = {
            LossParameter.FULL: outer * inner,
            LossParameter.VALID: valid,
            LossParameter.BATCH_SIZE: outer,
            LossParameter.NONE: 1,
        }
        return max(1.0, counts[mode])


class Labelled:
    """Scores along one axis, and a whole-number label for each place."""

    def __init__(self, layer: Layer, scores: Blob, labels: Blob, axis: int) -> None:
        self.axis = layer.axis(scores, axis)
        shape = scores.shape
        self.outer = math.prod(shape[: self.axis])
        self.classes = shape[self.axis]
        self.inner = math.prod(shape[self.axis + 1 :])
        if self.outer * self.inner != labels.count:
            raise layer.error(
                f"scores of shape {shape} along axis {axis} need {self.outer * self.inner} "
                f"labels; those of shape {labels.shape} are {labels.count}"
            )
        self._layer = layer

    def labels(self, blob: Blob, ignore: int | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return labels of shape (outer, inner), and where they count; None for everywhere.

        A label that does not count is given as 0, so that it can be an index.
        """
        labels = blob.tensor.reshape(self.outer, self.inner).long()
        valid = None
        if ignore is not None:
            valid = labels != ignore
            labels = labels * valid
        if labels.numel() and (int(labels.min()) < 0 or int(labels.max()) >= self.classes):
            odd = labels[(labels < 0) | (labels >= self.classes)][0]
            raise self._layer.error(f"label {int(odd)}. Allowed: 0 to {self.classes - 1}")
        return labels, valid

    def flat(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return scores as (outer, classes, inner)."""
        return tensor.reshape(self.outer, self.classes, self.inner)


@register("Softmax")
class Softmax(Layer):
    """exp(x) / sum(exp(x)) along an axis."""

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self._axis = self.axis(bottom[0], self.param.softmax_param.axis)
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        top[0].set_data(torch.softmax(bottom[0].tensor, self._axis))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            y, grad = top[0].tensor, top[0].grad
            bottom[0].set_diff(torch.ops.aten._softmax_backward_data(grad, y, self._axis, y.dtype))


@register("SoftmaxWithLoss")
class SoftmaxWithLoss(Loss):
    """The mean of -log softmax(x)[label]; a second top gives the probabilities."""

    tops: ClassVar[tuple[int, int | None]] = (1, 2)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.param.loss_param
        self._ignore = param.ignore_label if param.HasField("ignore_label") else None

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        self._places = Labelled(self, bottom[0], bottom[1], self.param.softmax_param.axis)
        if len(top) > 1:
            top[1].reshape(*bottom[0].shape)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        places, scores = self._places, bottom[0].tensor
        self._labels, self._valid = places.labels(bottom[1], self._ignore)
        self._prob = torch.softmax(scores, places.axis)
        chosen = places.flat(self._prob).gather(1, self._labels.unsqueeze(1)).squeeze(1)
        # Caffe takes the logarithm of the probability, held above the smallest float.
        losses = -chosen.clamp_min(torch.finfo(torch.float32).tiny).log()
        count = self._labels.numel()
        if self._valid is not None:
            losses, count = losses * self._valid, int(self._valid.sum())
        self._normalizer = self.normalizer(LossParameter.VALID, places.outer, places.inner, count)
        top[0].set_data(losses.sum() / self._normalizer)
        if len(top) > 1:
            top[1].set_data(self._prob)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        places = self._places
        grad = places.flat(self._prob).clone()
        index = self._labels.unsqueeze(1)
        grad.scatter_add_(1, index, torch.full_like(index, -1, dtype=grad.dtype))
        if self._valid is not None:
            grad *= self._valid.unsqueeze(1)
        grad *= top[0].grad / self._normalizer
        bottom[0].set_diff(grad.view(bottom[0].shape))


@register("SigmoidCrossEntropyLoss")
class SigmoidCrossEntropyLoss(Loss):
    """The mean of -t log s(x) - (1 - t) log(1 - s(x)) with s the sigmoid, targets t in [0, 1]."""

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.param.loss_param
        self._ignore = param.ignore_label if param.HasField("ignore_label") else None

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        if bottom[0].count != bottom[1].count:
            raise self.error(
                f"predictions have shape {bottom[0].shape} and targets {bottom[1].shape}: "
                "they must have as many elements"
            )

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0].tensor
        self._target = bottom[1].tensor.reshape(x.shape)
        losses = x.relu() - x * self._target + torch.log1p(torch.exp(-x.abs()))
        self._valid, count = None, x.numel()
        if self._ignore is not None:
            self._valid = self._target.long() != self._ignore
            losses, count = losses * self._valid, int(self._valid.sum())
        outer = x.shape[0] if x.dim() else 1
        self._normalizer = self.normalizer(
            LossParameter.BATCH_SIZE, outer, x.numel() // max(1, outer), count
        )
        top[0].set_data(losses.sum() / self._normalizer)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            grad = torch.sigmoid(bottom[0].tensor) - self._target
            if self._valid is not None:
                grad = grad * self._valid
            bottom[0].set_diff(grad * (top[0].grad / self._normalizer))


@register("EuclideanLoss")
class EuclideanLoss(Loss):
    """sum((a - b)^2) / (2 N). Both bottoms can learn."""

    no_backward = frozenset()

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        if bottom[0].shape[1:] != bottom[1].shape[1:] and bottom[0].count != bottom[1].count:
            raise self.error(f"shapes {bottom[0].shape} and {bottom[1].shape} do not fit")

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        self._difference = bottom[0].tensor - bottom[1].tensor.reshape(bottom[0].shape)
        top[0].set_data(self._difference.square().sum() / (2 * bottom[0].shape[0]))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        for i, sign in ((0, 1.0), (1, -1.0)):
            if propagate_down[i]:
                scale = top[0].grad * (sign / bottom[i].shape[0])
                bottom[i].set_diff((self._difference * scale).view(bottom[i].shape))


@register("Accuracy")
class Accuracy(Layer):
    """Share of places whose label is among the `top_k` highest scores; per class as a second top.

    Of equal scores none is the higher: a label whose score another class also has counts as behind
    it (accuracy_layer.cpp).
    """

    bottoms = (2, 2)
    tops = (1, 2)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.param.accuracy_param
        self._ignore = param.ignore_label if param.HasField("ignore_label") else None

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        param = self.param.accuracy_param
        self._places = Labelled(self, bottom[0], bottom[1], param.axis)
        if param.top_k > self._places.classes:
            raise self.error(
                f"top_k is {param.top_k}. Allowed: up to the {self._places.classes} classes"
            )
        top[0].reshape()
        if len(top) > 1:
            top[1].reshape(self._places.classes)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        places = self._places
        labels, valid = places.labels(bottom[1], self._ignore)
        scores = places.flat(bottom[0].tensor)
        own = scores.gather(1, labels.unsqueeze(1))
        right = (scores >= own).sum(1) - 1 < self.param.accuracy_param.top_k
        if valid is not None:
            labels, right = labels[valid], right[valid]
        labels, right = labels.flatten(), right.flatten().to(scores.dtype)
        # 0 / 0, where every label is ignored, is Caffe's not-a-number too.
        top[0].set_data(right.sum() / right.new_tensor(right.numel()))
        if len(top) > 1:
            zeros = right.new_zeros(places.classes)
            found = zeros.index_add(0, labels, right)
            there = zeros.index_add(0, labels, torch.ones_like(right))
            top[1].set_data(found / there.clamp_min(1))
