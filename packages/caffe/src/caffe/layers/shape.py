"""Layers that rearrange values without changing them: Split, Silence, Flatten, Reshape, Permute."""

import math
from collections.abc import Sequence

import torch

from caffe.layers.base import Blobs, Layer, register


@register("Split")
class Split(Layer):
    """Copies of the bottom in several tops; their gradients are added."""

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
    """Consume blobs, so that they are not outputs of the net."""

    bottoms = (1, None)
    tops = (0, 0)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """Do nothing: there are no tops."""

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Do nothing."""

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        for blob, wanted in zip(bottom, propagate_down, strict=True):
            if wanted:
                blob.set_diff(torch.zeros_like(blob.tensor))


class Reshaped(Layer):
    """The same values in another shape; not in place."""

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self.refuse_in_place(bottom, top)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        top[0].set_data(bottom[0].tensor.reshape(top[0].shape))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            bottom[0].set_diff(top[0].grad.reshape(bottom[0].shape))


@register("Flatten")
class Flatten(Reshaped):
    """The axes from `axis` to `end_axis`, inclusive, merged into one."""

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        param, shape = self.param.flatten_param, bottom[0].shape
        first, last = self.axis(bottom[0], param.axis), self.axis(bottom[0], param.end_axis)
        if last < first - 1:  # one before it, Caffe inserts an axis of 1
            raise self.error(f"end_axis {param.end_axis} is before axis {param.axis}")
        flat = math.prod(shape[first : last + 1])
        top[0].reshape(*shape[:first], flat, *shape[last + 1 :])


@register("Reshape")
class Reshape(Reshaped):
    """`num_axes` axes from `axis` on, all by default, replaced by `shape`.

    A size of 0 stands for the bottom's; one may be -1 and is inferred from the others
    (reshape_layer.cpp).
    """

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape = bottom[0].shape
        first, end = self._replaced(len(shape))
        sizes = [self._size(shape, first + i, n) for i, n in enumerate(self._dims())]
        kept = math.prod(shape[:first]) * math.prod(shape[end:])
        if -1 in sizes:
            others = kept * math.prod(size for size in sizes if size != -1)
            if not others or bottom[0].count % others:
                raise self.error(
                    f"bottom of shape {shape} has {bottom[0].count} elements, not divisible by "
                    f"{others}, the product of the other sizes"
                )
            sizes[sizes.index(-1)] = bottom[0].count // others
        if kept * math.prod(sizes) != bottom[0].count:
            raise self.error(
                f"shape {shape} cannot become {(*shape[:first], *sizes, *shape[end:])}"
            )
        top[0].reshape(*shape[:first], *sizes, *shape[end:])

    def _dims(self) -> list[int]:
        dims = list(self.param.reshape_param.shape.dim)
        if min(dims, default=0) < -1 or dims.count(-1) > 1:
            raise self.error(f"shape is {dims}. Allowed: sizes from 0 up, and one -1")
        return dims

    def _replaced(self, axes: int) -> tuple[int, int]:
        """Return the first replaced axis, and the one after the last."""
        param = self.param.reshape_param
        first = param.axis if param.axis >= 0 else axes + param.axis + 1
        end = axes if param.num_axes == -1 else first + param.num_axes
        if not 0 <= first <= end <= axes:
            raise self.error(
                f"axis {param.axis} and num_axes {param.num_axes} do not fit {axes} axes"
            )
        return first, end

    def _size(self, shape: tuple[int, ...], axis: int, size: int) -> int:
        if size:
            return size
        if axis >= len(shape):
            raise self.error(f"shape has a 0 for axis {axis}, and the bottom has shape {shape}")
        return shape[axis]


@register("Permute")
class Permute(Layer):
    """The axes in another `order`; axes that it omits follow in their present order.

    From the SSD fork (weiliu89/caffe).
    """

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape, given = bottom[0].shape, list(self.param.permute_param.order)
        if len(set(given)) < len(given) or max(given, default=-1) >= len(shape):
            raise self.error(
                f"order is {given}, bottom has shape {shape}. "
                f"Allowed: numbers from 0 to {len(shape) - 1}, each once"
            )
        self.order = [*given, *(axis for axis in range(len(shape)) if axis not in given)]
        top[0].reshape(*(shape[axis] for axis in self.order))

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        result = bottom[0].tensor.permute(self.order)
        # A copy, so that later writes of a script into the bottom do not show here.
        top[0].set_data(result.clone(memory_format=torch.contiguous_format))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            back = [self.order.index(axis) for axis in range(len(self.order))]
            bottom[0].set_diff(top[0].grad.permute(back))
