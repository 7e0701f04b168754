"""Layers that join or split blobs: Concat, Slice, Tile, Crop."""

from collections.abc import Sequence

import torch

from caffe.layers.base import Blobs, Layer, register
from caffe.proto.caffe_pb2 import ConcatParameter, SliceParameter


class AlongAxis(Layer):
    """Concat's and Slice's axis: `axis`, or by its old name `concat_dim` or `slice_dim`."""

    def _axis_of(self, bottom: Blobs, param: ConcatParameter | SliceParameter, old: str) -> int:
        if not param.HasField(old):
            return self.axis(bottom[0], param.axis)
        dim, axes = int(getattr(param, old)), len(bottom[0].shape)
        if param.HasField("axis"):
            raise self.error(f"has axis {param.axis} and {old} {dim}. Allowed: one of the two")
        if dim >= axes:
            raise self.error(f"{old} is {dim}; bottom 0 has shape {bottom[0].shape}")
        return dim


@register("Concat")
class Concat(AlongAxis):
    """The bottoms concatenated along `axis`; their other sizes must be equal."""

    bottoms = (1, None)
    overwritable = True

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self.concat_axis = self._axis_of(bottom, self.param.concat_param, "concat_dim")
        first, axis = bottom[0].shape, self.concat_axis
        for i, blob in enumerate(bottom):
            if _without(blob.shape, axis) != _without(first, axis):
                raise self.error(
                    f"bottom {i} has shape {blob.shape}, bottom 0 has {first}: they may differ in "
                    f"axis {axis} only"
                )
        self._sizes = [blob.shape[axis] for blob in bottom]
        top[0].reshape(*first[:axis], sum(self._sizes), *first[axis + 1 :])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        top[0].set_data(torch.cat([blob.tensor for blob in bottom], self.concat_axis))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        parts = torch.split(top[0].grad, self._sizes, self.concat_axis)
        for blob, part, wanted in zip(bottom, parts, propagate_down, strict=True):
            if wanted:
                blob.set_diff(part)


@register("Slice")
class Slice(AlongAxis):
    """The bottom split along `axis`, before each `slice_point` or into equal parts."""

    tops = (1, None)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self._axis = self._axis_of(bottom, self.param.slice_param, "slice_dim")
        shape = bottom[0].shape
        self._sizes = self._parts(shape, len(top))
        for blob, size in zip(top, self._sizes, strict=True):
            blob.reshape(*shape[: self._axis], size, *shape[self._axis + 1 :])

    def _parts(self, shape: tuple[int, ...], count: int) -> list[int]:
        points, size = list(self.param.slice_param.slice_point), shape[self._axis]
        if not points:
            if size % count:
                raise self.error(
                    f"axis {self._axis} of shape {shape} cannot be cut into {count} equal parts"
                )
            return [size // count] * count
        ends = [0, *points, size]
        sizes = [end - start for start, end in zip(ends, ends[1:], strict=False)]
        # Caffe allows only the last part to be empty (slice_layer.cpp).
        if len(points) != count - 1 or count > size or min(sizes[:-1]) <= 0 or sizes[-1] < 0:
            raise self.error(
                f"slice_point is {points}, for {count} tops and axis {self._axis} of shape {shape}."
                f" Allowed: {count - 1} ascending numbers from 1 to {size}"
            )
        return sizes

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        parts = torch.split(bottom[0].tensor, self._sizes, self._axis)
        for blob, part in zip(top, parts, strict=True):
            # A copy, so that later writes of a script into the bottom do not show here.
            blob.set_data(part.clone())

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            bottom[0].set_diff(torch.cat([blob.grad for blob in top], self._axis))


@register("Tile")
class Tile(Layer):
    """The bottom repeated `tiles` times along `axis`."""

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        param, shape = self.param.tile_param, bottom[0].shape
        if param.tiles < 1:
            raise self.error(f"tiles is {param.tiles}. Allowed: 1 or more")
        self._axis = self.axis(bottom[0], param.axis)
        size = shape[self._axis] * param.tiles
        top[0].reshape(*shape[: self._axis], size, *shape[self._axis + 1 :])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        tiles = self.param.tile_param.tiles
        top[0].set_data(torch.cat([bottom[0].tensor] * tiles, self._axis))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            shape, axis = bottom[0].shape, self._axis
            tiles = self.param.tile_param.tiles
            grad = top[0].grad.reshape(*shape[:axis], tiles, *shape[axis:])
            bottom[0].set_diff(grad.sum(axis))


@register("Crop")
class Crop(Layer):
    """The part of the first bottom that has the second's size, from `axis` on.

    It starts at `offset`: one number for all these axes or one for each, 0 by default. The second
    bottom's values are not used, so it has no gradient.
    """

    bottoms = (2, 2)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self._offsets(bottom)

    def _offsets(self, bottom: Blobs) -> tuple[int, list[int]]:
        """Return the first cropped axis, and an offset for each axis from there on."""
        param = self.param.crop_param
        first = self.axis(bottom[0], param.axis)
        axes = len(bottom[0].shape) - first
        given = list(param.offset)
        if len(given) not in (0, 1, axes):
            raise self.error(
                f"has {len(given)} offset, and {axes} axes are cropped. Allowed: 0, 1 or {axes}"
            )
        return first, given if len(given) == axes else axes * (given or [0])

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        first, offsets = self._offsets(bottom)
        whole, wanted = bottom[0].shape, bottom[1].shape
        if len(wanted) < len(whole):
            raise self.error(f"bottom 1 has shape {wanted}, bottom 0 has {whole}: too few axes")
        sizes = wanted[first : len(whole)]
        for axis, offset, size in zip(range(first, len(whole)), offsets, sizes, strict=True):
            if offset + size > whole[axis]:
                raise self.error(
                    f"bottom 0 has shape {whole}, bottom 1 has {wanted}: at offset {offset} "
                    f"axis {axis} is too small"
                )
        self.part = (slice(None),) * first + tuple(
            slice(offset, offset + size) for offset, size in zip(offsets, sizes, strict=True)
        )
        top[0].reshape(*whole[:first], *sizes)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        top[0].set_data(bottom[0].tensor[self.part].clone())

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            grad = torch.zeros_like(bottom[0].tensor)
            grad[self.part] = top[0].grad
            bottom[0].set_diff(grad)


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """Return the shape without an axis."""
    return (*shape[:axis], -1, *shape[axis + 1 :])
