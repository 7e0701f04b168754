"""The base of losses, and those on scores: SoftmaxWithLoss, SigmoidCrossEntropyLoss."""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch

from caffe.blob import Blob
from caffe.layers.base import Blobs, Layer, register
from caffe.proto.caffe_pb2 import LossParameter


class Loss(Layer):
    """A layer whose top is a scalar to minimize; its second bottom holds labels or targets."""

    bottoms: ClassVar[tuple[int, int | None]] = (2, 2)
    is_loss = True
    no_backward = frozenset({1})

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        if bottom[0].shape[:1] != bottom[1].shape[:1]:
            raise self.error(
                f"predictions have shape {bottom[0].shape} and labels {bottom[1].shape}: "
                "their first axes must be equal"
            )
        top[0].reshape()

    @property
    def ignored(self) -> int | None:
        """The label whose positions do not count; None if all do."""
        param = self.param.loss_param
        return param.ignore_label if param.HasField("ignore_label") else None

    def check_labels(self, propagate_down: Sequence[bool]) -> None:
        """Check that nothing below the labels needs a gradient.

        Raises
        ------
        LayerError
            If it does, for instance if the labels come from a layer that learns.
        """
        for i in sorted(self.no_backward):
            if propagate_down[i]:
                raise self.error(
                    f"cannot backpropagate to its labels (bottom {i}), which come from a layer "
                    "that learns. Allowed: labels that depend on nothing learnt"
                )


def divisor(
    param: LossParameter,
    outer: int,
    inner: int,
    valid: int,
    default: LossParameter.NormalizationMode = LossParameter.VALID,
) -> float:
    """Return the divisor of the sum of losses, at least 1 (softmax_loss_layer.cpp).

    Parameters
    ----------
    param : LossParameter
    outer, inner : int
        Number of items (N), and of positions in each (H * W).
    valid : int
        Number of positions whose label is not ignored.
    default : NormalizationMode
        The mode if the definition names none.
    """
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
    """Scores along one axis, and an integer label for each position.

    Without an axis, all axes after the first are classes.
    """

    def __init__(self, layer: Layer, scores: Blob, labels: Blob, axis: int | None) -> None:
        shape = scores.shape
        self.axis = layer.axis(scores, 0 if axis is None else axis)
        classes = shape[1:] if axis is None else shape[self.axis : self.axis + 1]
        self.outer = shape[0] if axis is None else math.prod(shape[: self.axis])
        self.classes = math.prod(classes)
        self.inner = 1 if axis is None else math.prod(shape[self.axis + 1 :])
        if self.outer * self.inner != labels.count:
            along = "" if axis is None else f" along axis {axis}"
            raise layer.error(
                f"scores of shape {shape}{along} need {self.outer * self.inner} "
                f"labels; those of shape {labels.shape} are {labels.count}"
            )
        self._layer = layer

    def labels(self, blob: Blob, ignore: int | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return labels of shape (outer, inner), and a mask of valid ones; None if all are.

        Ignored labels are replaced by 0, so that they can serve as indexes.
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


@register("SoftmaxWithLoss")
class SoftmaxWithLoss(Loss):
    """The mean of -log softmax(x)[label]; a second top gives the probabilities."""

    tops: ClassVar[tuple[int, int | None]] = (1, 2)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        self._places = Labelled(self, bottom[0], bottom[1], self.param.softmax_param.axis)
        if len(top) > 1:
            top[1].reshape(*bottom[0].shape)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        places, scores = self._places, bottom[0].tensor
        self._labels, self._valid = places.labels(bottom[1], self.ignored)
        self._prob = torch.softmax(scores, places.axis)
        chosen = places.flat(self._prob).gather(1, self._labels.unsqueeze(1)).squeeze(1)
        # As in Caffe: the logarithm of the probability, which is at least the smallest float.
        losses = -chosen.clamp_min(torch.finfo(torch.float32).tiny).log()
        count = self._labels.numel()
        if self._valid is not None:
            losses, count = losses * self._valid, int(self._valid.sum())
        self._normalizer = divisor(self.param.loss_param, places.outer, places.inner, count)
        top[0].set_data(losses.sum() / self._normalizer)
        if len(top) > 1:
            top[1].set_data(self._prob)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        self.check_labels(propagate_down)
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

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        if bottom[0].count != bottom[1].count:
            raise self.error(
                f"predictions have shape {bottom[0].shape} and targets {bottom[1].shape}: "
                "they must have the same number of elements"
            )

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0].tensor
        self._target = bottom[1].tensor.reshape(x.shape)
        losses = x.relu() - x * self._target + torch.log1p(torch.exp(-x.abs()))
        self._valid, count = None, x.numel()
        if self.ignored is not None:
            self._valid = self._target.long() != self.ignored
            losses, count = losses * self._valid, int(self._valid.sum())
        outer = x.shape[0] if x.dim() else 1
        inner, param = x.numel() // max(1, outer), self.param.loss_param
        self._normalizer = divisor(param, outer, inner, count, LossParameter.BATCH_SIZE)
        top[0].set_data(losses.sum() / self._normalizer)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        self.check_labels(propagate_down)
        if propagate_down[0]:
            grad = torch.sigmoid(bottom[0].tensor) - self._target
            if self._valid is not None:
                grad = grad * self._valid
            bottom[0].set_diff(grad * (top[0].grad / self._normalizer))
