"""Layers that move values and do not change them: Split, Silence."""

from collections.abc import Sequence

import torch

from caffe.layers.base import Blobs, Layer, register


@register("Split")
class Split(Layer):
    """Give the bottom to several tops; their gradients are added."""

    tops = (1, None)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        for blob in top:
            blob.reshape(*bottom[0].shape)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        for blob in top:
            blob.set_data(bottom[0].tensor)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            total = top[0].grad
            for blob in top[1:]:
                total = total + blob.grad
            bottom[0].set_diff(total)


@register("Silence")
class Silence(Layer):
    """Take blobs that nobody else takes, so that they are no outputs of the net."""

    bottoms = (1, None)
    tops = (0, 0)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """There is no top."""

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """There is nothing to compute."""

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        for blob, wanted in zip(bottom, propagate_down, strict=True):
            if wanted:
                blob.set_diff(torch.zeros_like(blob.tensor))
