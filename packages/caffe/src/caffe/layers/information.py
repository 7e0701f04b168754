"""Losses on probabilities: MultinomialLogisticLoss, InfogainLoss."""

from collections.abc import Sequence
from typing import ClassVar

import torch

from caffe.errors import FormatError
from caffe.formats import read_blob
from caffe.layers.base import Blobs, register
from caffe.layers.loss import Labelled, Loss, divisor

SMALLEST = 1e-20  # Caffe raises smaller probabilities to it


@register("MultinomialLogisticLoss")
class MultinomialLogisticLoss(Loss):
    """The mean of -log p[label], p the probabilities. All axes after the first are classes.

    Smaller probabilities are raised to 1e-20, and have the gradient of that value.
    """

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        self._places = Labelled(self, bottom[0], bottom[1], None)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        self._labels, _ = self._places.labels(bottom[1], None)
        self._chosen = self._flat(bottom).gather(1, self._labels).clamp_min(SMALLEST)
        top[0].set_data(-self._chosen.log().sum() / self._places.outer)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        self.check_labels(propagate_down)
        if propagate_down[0]:
            values = -(top[0].grad / self._places.outer) / self._chosen
            grad = torch.zeros_like(self._flat(bottom)).scatter_(1, self._labels, values)
            bottom[0].set_diff(grad.reshape(bottom[0].shape))

    def _flat(self, bottom: Blobs) -> torch.Tensor:
        return bottom[0].tensor.reshape(self._places.outer, self._places.classes)


@register("InfogainLoss")
class InfogainLoss(Loss):
    """The mean of -sum_l H[label, l] log p_l, p the softmax of the scores; a second top gives p.

    H is the third bottom, or a BlobProto in the file `source`. The gradient ignores that the
    probability is raised to 1e-20 in the logarithm (infogain_loss_layer.cpp).
    """

    bottoms: ClassVar[tuple[int, int | None]] = (2, 3)
    tops: ClassVar[tuple[int, int | None]] = (1, 2)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        if self.param.loss_param.HasField("normalize"):
            raise self.error("normalize is set. Allowed: normalization instead")
        self._stored = None if len(bottom) > 2 else self._read()

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        axis = self.param.infogain_loss_param.axis
        self._places = Labelled(self, bottom[0], bottom[1], axis)
        matrix = bottom[2].shape if self._stored is None else tuple(self._stored.shape)
        if self._matrix(bottom).numel() != self._places.classes**2:
            raise self.error(
                f"infogain matrix has shape {matrix}. "
                f"Needed: {self._places.classes} x {self._places.classes}"
            )
        if len(top) > 1:
            top[1].reshape(*bottom[0].shape)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        places = self._places
        labels, self._valid = places.labels(bottom[1], self.ignored)
        prob = torch.softmax(bottom[0].tensor, places.axis)
        self._prob = places.flat(prob)
        square = self._matrix(bottom).reshape(places.classes, places.classes)
        # The row of each position's label, as (outer, classes, inner).
        self._rows = square[labels].movedim(2, 1)
        losses = -(self._rows * self._prob.clamp_min(SMALLEST).log()).sum(1)
        count = labels.numel()
        if self._valid is not None:
            losses, count = losses * self._valid, int(self._valid.sum())
        self._normalizer = divisor(self.param.loss_param, places.outer, places.inner, count)
        top[0].set_data(losses.sum() / self._normalizer)
        if len(top) > 1:
            top[1].set_data(prob)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        self.check_labels(propagate_down)
        if len(bottom) > 2 and propagate_down[2]:
            raise self.error("cannot backpropagate to its infogain matrix (bottom 2)")
        if propagate_down[0]:
            grad = self._prob * self._rows.sum(1, keepdim=True) - self._rows
            if self._valid is not None:
                grad *= self._valid.unsqueeze(1)
            grad *= top[0].grad / self._normalizer
            bottom[0].set_diff(grad.reshape(bottom[0].shape))

    def _read(self) -> torch.Tensor:
        param = self.param.infogain_loss_param
        if not param.HasField("source"):
            raise self.error("has no infogain matrix. Needed: a third bottom, or a source")
        try:
            return torch.from_numpy(read_blob(param.source))
        except FormatError as error:
            raise self.error(str(error)) from None

    def _matrix(self, bottom: Blobs) -> torch.Tensor:
        return bottom[2].tensor if self._stored is None else self._stored.to(bottom[0].tensor)
