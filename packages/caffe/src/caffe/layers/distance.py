"""Losses on distances and margins: EuclideanLoss, ContrastiveLoss, HingeLoss."""

from collections.abc import Sequence
from typing import ClassVar

import torch

from caffe.layers.base import Blobs, register
from caffe.layers.loss import Labelled, Loss
from caffe.proto.caffe_pb2 import HingeLossParameter


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


@register("ContrastiveLoss")
class ContrastiveLoss(Loss):
    """Half the mean over pairs (a, b) of d^2 for similar ones, else of max(margin - d, 0)^2.

    The third bottom marks similar pairs by a value that is not 0 when truncated to an integer. With
    `legacy_version` the term of dissimilar pairs is max(margin - d^2, 0). Their gradient divides by
    d + 1e-4, so that it is 0 if a and b are equal (contrastive_loss_layer.cpp).
    """

    bottoms: ClassVar[tuple[int, int | None]] = (3, 3)
    no_backward = frozenset({2})

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        shapes = [blob.shape for blob in bottom]
        a, b, alike = ([*shape, 1, 1, 1][1:4] for shape in shapes)
        flat = a[1:] == b[1:] == [1, 1] and alike == [1, 1, 1] and max(map(len, shapes)) <= 4
        if not flat or a != b or shapes[2][:1] != shapes[0][:1]:
            raise self.error(
                f"bottoms have shapes {shapes[0]}, {shapes[1]} and {shapes[2]}. "
                "Allowed: (N, C), (N, C) and (N,)"
            )

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        n = bottom[0].shape[0]
        margin = self.param.contrastive_loss_param.margin
        self._alike = bottom[2].tensor.reshape(n).trunc() != 0
        difference = bottom[0].tensor - bottom[1].tensor.reshape(bottom[0].shape)
        self._difference = difference.reshape(n, -1)
        squared = self._difference.square().sum(1)
        if self.param.contrastive_loss_param.legacy_version:
            self._short = margin - squared
            apart = self._short.clamp_min(0)
            self._slope = -torch.ones_like(squared)
        else:
            distance = squared.sqrt()
            self._short = margin - distance
            apart = self._short.clamp_min(0).square()
            self._slope = -self._short / (distance + 1e-4)
        top[0].set_data(torch.where(self._alike, squared, apart).sum() / n / 2)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        apart = torch.where(self._short > 0, self._slope, 0)
        slope = torch.where(self._alike, 1, apart)
        grad = self._difference * slope.unsqueeze(1) * (top[0].grad / bottom[0].shape[0])
        for i, signed in ((0, grad), (1, -grad)):
            if propagate_down[i]:
                bottom[i].set_diff(signed.reshape(bottom[i].shape))


@register("HingeLoss")
class HingeLoss(Loss):
    """The mean over items of sum(max(0, 1 + x)), with the label's own score counted as -x.

    With `norm: L2` the terms are squared. All axes after the first count as classes.
    """

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        self._places = Labelled(self, bottom[0], bottom[1], None)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        places = self._places
        labels, _ = places.labels(bottom[1], None)
        scores = places.flat(bottom[0].tensor)
        self._sign = torch.ones_like(scores).scatter_(1, labels.unsqueeze(1), -1)
        self._over = (scores * self._sign).add_(1).clamp_min_(0)
        squared = self.param.hinge_loss_param.norm == HingeLossParameter.L2
        losses = self._over.square() if squared else self._over
        top[0].set_data(losses.sum() / places.outer)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        self.check_labels(propagate_down)
        if propagate_down[0]:
            squared = self.param.hinge_loss_param.norm == HingeLossParameter.L2
            slope = 2 * self._over if squared else self._over.sign()
            grad = slope * self._sign * (top[0].grad / self._places.outer)
            bottom[0].set_diff(grad.reshape(bottom[0].shape))
