"""Accuracy, which is reported next to a loss."""

import torch

from caffe.layers.base import Blobs, Layer, register
from caffe.layers.loss import Labelled


@register("Accuracy")
class Accuracy(Layer):
    """Share of positions whose label is among the `top_k` best scores; per class in a second top.

    Ties count against the label: a class of the same score ranks before it (accuracy_layer.cpp).
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
        top[0].set_data(right.sum() / max(1, right.numel()))
        if len(top) > 1:
            zeros = right.new_zeros(places.classes)
            found = zeros.index_add(0, labels, right)
            there = zeros.index_add(0, labels, torch.ones_like(right))
            top[1].set_data(found / there.clamp_min(1))
