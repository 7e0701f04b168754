"""Blobs: arrays with a gradient, shared between layers and whoever looks at them.

A layer works on torch tensors (`tensor`, `grad`) and gives its results with `set_data` and
`set_diff`, which only take hold of them. Once somebody has asked for the numpy view (`data`,
`diff`), it stays live, as in pycaffe: results are then copied into the array that was handed out,
contiguous and in C order, and what is written there the next layer reads.

Where nets compute on a GPU, `data` and `diff` are copies in the processor's memory, fetched anew at
each access and sent back before a layer reads them.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from numpy.typing import NDArray

from caffe.device import Device, current
from caffe.errors import ShapeError
from caffe.memory import Array, Reshaped, shared, with_shape

MAX_COUNT = 2**31 - 1  # Caffe counts elements in an int (blob.cpp)


class BlobVec(list["Blob"]):
    """What a layer learns."""

    def add_blob(self, *shape: int) -> None:
        """Add a blob of zeros, as layers written in Python do in `setup`."""
        self.append(Blob(shape))


class Blob:
    """An array of values and, where it is wanted, of their gradients.

    Parameters
    ----------
    shape : sequence of int
        Sizes of the axes, the slowest first, usually (N, C, H, W).
    dtype : torch.dtype
        float32, as Caffe's; float64 for numeric gradient checks.

    Raises
    ------
    ShapeError
        If a size is negative or the elements are more than Caffe can count (2^31 - 1).
    """

    __slots__ = ("_data", "_diff", "_shape", "dtype")

    def __init__(self, shape: Sequence[int] = (), dtype: torch.dtype = torch.float32) -> None:
        self.dtype = dtype
        self._data: Array | Reshaped = Array(current())
        self._diff: Array | Reshaped = Array(current())
        self._shape = _checked(shape)

    @property
    def tensor(self) -> torch.Tensor:
        """The values as a torch tensor of any memory format."""
        return self._data.get(self._shape, self.dtype)

    @property
    def grad(self) -> torch.Tensor:
        """The gradients as a torch tensor of any memory format; zeros at first."""
        return self._diff.get(self._shape, self.dtype)

    @property
    def data(self) -> NDArray[Any]:
        """The values as a live numpy view, contiguous."""
        return self._data.view(self._shape, self.dtype)

    @property
    def diff(self) -> NDArray[Any]:
        """The gradients as a live numpy view, contiguous."""
        return self._diff.view(self._shape, self.dtype)

    @property
    def seen(self) -> bool:
        """Whether somebody has the view of the values, so that new ones are written over them."""
        return self._data.seen

    def set_data(self, value: torch.Tensor) -> None:
        """Take a layer's result as the values; its shape must be the blob's."""
        self._data.set(value)

    def set_diff(self, value: torch.Tensor) -> None:
        """Take a layer's result as the gradients; its shape must be the blob's."""
        self._diff.set(value)

    def defer_data(self, compute: Callable[[], torch.Tensor]) -> None:
        """Take what this will return as the values, and call it once they are asked for."""
        self._data.defer(compute)

    def defer_diff(self, compute: Callable[[], torch.Tensor]) -> None:
        """Take what this will return as the gradients, and call it once they are asked for."""
        self._diff.defer(compute)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def count(self) -> int:
        return math.prod(self._shape)

    @property
    def num(self) -> int:
        return self._legacy_axis(0)

    @property
    def channels(self) -> int:
        return self._legacy_axis(1)

    @property
    def height(self) -> int:
        return self._legacy_axis(2)

    @property
    def width(self) -> int:
        return self._legacy_axis(3)

    def axis(self, index: int) -> int:
        """Return an axis counted from the front; a negative index counts from the end.

        Raises
        ------
        ShapeError
            If the blob has no such axis.
        """
        if not -len(self._shape) <= index < len(self._shape):
            raise ShapeError(f"axis {index} of a blob of shape {self._shape}")
        return index % len(self._shape)

    def reshape(self, *shape: int) -> None:
        """Change the shape; the values stay where there is room for as many."""
        if shape == self._shape:
            return
        sizes = _checked(shape)
        self._data = with_shape(self._data, self._shape, sizes)
        self._diff = with_shape(self._diff, self._shape, sizes)
        self._shape = sizes

    def share_data(self, other: "Blob") -> None:
        """Use the other's values as our own, whoever of the two writes them."""
        self._data = shared(other._data, other._shape, self._shape)

    def share_diff(self, other: "Blob") -> None:
        """Use the other's gradients as our own."""
        self._diff = shared(other._diff, other._shape, self._shape)

    def follow(self, device: Device | None) -> None:
        """Keep the values on a device from now on; None is the processor."""
        self._data.follow(device)
        self._diff.follow(device)

    def to(self, dtype: torch.dtype) -> None:
        """Change the precision; views that were handed out keep the old values."""
        self._data.to(dtype)
        self._diff.to(dtype)
        self.dtype = dtype

    def _legacy_axis(self, index: int) -> int:
        if len(self._shape) > 4:
            raise ShapeError(f"num, channels, height, width of a blob of shape {self._shape}")
        return self._shape[index] if index < len(self._shape) else 1

    def __repr__(self) -> str:
        return f"Blob{self._shape}"


def _checked(shape: Sequence[int]) -> tuple[int, ...]:
    sizes = tuple(int(size) for size in shape)
    if any(size < 0 for size in sizes) or math.prod(sizes) > MAX_COUNT:
        raise ShapeError(
            f"shape {sizes}: sizes must not be negative, and at most {MAX_COUNT} elements in all"
        )
    return sizes
