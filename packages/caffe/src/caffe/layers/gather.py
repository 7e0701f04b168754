"""Layers that select items of a batch by their last bottom: Filter, BatchReindex."""

from collections.abc import Sequence

import torch

from caffe.layers.base import Blobs, Layer, register


@register("Filter")
class Filter(Layer):
    """The items of the bottoms whose selector, the last bottom, is not 0.

    The length of the tops is the number of such items, which is known in the forward pass only;
    until then it is that of the bottoms.
    """

    bottoms = (2, None)
    tops = (1, None)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        if len(top) != len(bottom) - 1:
            raise self.error(
                f"has {len(bottom)} bottoms, the last one the selector, and {len(top)} tops. "
                f"Needed: {len(bottom) - 1} tops"
            )
        self._chosen: torch.Tensor | None = None

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        selector = bottom[-1].shape
        if not selector or any(size != 1 for size in selector[1:]):
            raise self.error(f"the selector has shape {selector}. Needed: (items, 1, ...)")
        for i, blob in enumerate(bottom[:-1]):
            if blob.shape[:1] != selector[:1]:
                raise self.error(
                    f"bottom {i} has shape {blob.shape}, the selector has {selector}: the "
                    "numbers of items must be equal"
                )
        first = self._chosen is None
        self._chosen = bottom[-1].tensor.reshape(-1).nonzero()[:, 0]
        count = selector[0] if first else len(self._chosen)
        for blob, given in zip(top, bottom, strict=False):
            blob.reshape(count, *given.shape[1:])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        for blob, given in zip(top, bottom, strict=False):
            blob.set_data(given.tensor[self._chosen])

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[-1]:
            raise self.error(f"has no gradient for the selector, its bottom {len(bottom) - 1}")
        for blob, given, wanted in zip(top, bottom, propagate_down, strict=False):
            if wanted:
                grad = torch.zeros_like(given.tensor)
                grad[self._chosen] = blob.grad
                given.set_diff(grad)


@register("BatchReindex")
class BatchReindex(Layer):
    """The items of the first bottom at the indexes in the second; gradients of repeats add up."""

    bottoms = (2, 2)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        index = bottom[1].shape
        if len(index) != 1:
            raise self.error(f"bottom 1 has shape {index}. Needed: (items,)")
        if not bottom[0].shape:
            raise self.error("bottom 0 has shape (). Needed: (items, ...)")
        top[0].reshape(*index, *bottom[0].shape[1:])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        self._index = bottom[1].tensor.long()
        count = bottom[0].shape[0]
        wrong = self._index[(self._index < 0) | (self._index >= count)]
        if len(wrong):
            raise self.error(f"bottom 1 has the index {int(wrong[0])}. Allowed: 0 to {count - 1}")
        top[0].set_data(bottom[0].tensor[self._index])

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[1]:
            raise self.error("has no gradient for the index, its bottom 1")
        if propagate_down[0]:
            grad = torch.zeros_like(bottom[0].tensor)
            bottom[0].set_diff(grad.index_add_(0, self._index, top[0].grad))
