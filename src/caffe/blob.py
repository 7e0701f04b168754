"""Blobs: arrays with a gradient, shared between layers and whoever looks at them.

A layer works on torch tensors (`tensor`, `grad`) and gives its results with `set_data` and
`set_diff`, which only take hold of them. Once somebody has asked for the numpy view (`data`,
`diff`), it stays live, as in pycaffe: results are then copied into the array that was handed out,
contiguous and in C order, and what is written there the next layer reads.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray

from caffe.errors import ShapeError

MAX_COUNT = 2**31 - 1  # Caffe counts elements in an int (blob.cpp)


class _Array:
    """One of a blob's two arrays: not there, a tensor, or a tensor that somebody else sees too."""

    __slots__ = ("seen", "tensor")

    def __init__(self) -> None:
        self.tensor: torch.Tensor | None = None
        self.seen = False

    def get(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        if self.tensor is None:
            self.tensor = torch.zeros(shape, dtype=dtype)
        return self.tensor

    def set(self, value: torch.Tensor) -> None:
        if self.seen and self.tensor is not None:
            self.tensor.copy_(value)
        else:
            self.tensor = value

    def view(self, shape: tuple[int, ...], dtype: torch.dtype) -> NDArray[Any]:
        if not self.seen:
            # A layer may have given the same tensor to two blobs; what is written stays in one.
            self.tensor = self.get(shape, dtype).clone(memory_format=torch.contiguous_format)
            self.seen = True
        self.tensor = self.get(shape, dtype).contiguous()
        return self.tensor.numpy()

    def reshape(self, shape: tuple[int, ...]) -> None:
        """Keep the elements where their number stays the same, else forget them."""
        if self.tensor is None or self.tensor.shape == shape:
            return
        if self.tensor.numel() == math.prod(shape):
            self.tensor = self.tensor.reshape(shape)
        else:
            self.tensor, self.seen = None, False


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
        self._data, self._diff = _Array(), _Array()
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

    def set_data(self, value: torch.Tensor) -> None:
        """Take a layer's result as the values; its shape must be the blob's."""
        self._data.set(value)

    def set_diff(self, value: torch.Tensor) -> None:
        """Take a layer's result as the gradients; its shape must be the blob's."""
        self._diff.set(value)

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
        """Change the shape; the values stay where their number does."""
        if shape == self._shape:
            return
        self._shape = _checked(shape)
        self._data.reshape(self._shape)
        self._diff.reshape(self._shape)

    def share_data(self, other: "Blob") -> None:
        """Use the other's values as our own, whoever of the two writes them."""
        self._data = _shared(other.tensor, self._shape)
        other._data.seen = True

    def share_diff(self, other: "Blob") -> None:
        """Use the other's gradients as our own."""
        self._diff = _shared(other.grad, self._shape)
        other._diff.seen = True

    def to(self, dtype: torch.dtype) -> None:
        """Change the precision; views that were handed out keep the old values."""
        for array in (self._data, self._diff):
            if array.tensor is not None:
                array.tensor, array.seen = array.tensor.to(dtype), False
        self.dtype = dtype

    def _legacy_axis(self, index: int) -> int:
        if len(self._shape) > 4:
            raise ShapeError(f"num, channels, height, width of a blob of shape {self._shape}")
        return self._shape[index] if index < len(self._shape) else 1

    def __repr__(self) -> str:
        return f"Blob{self._shape}"


def _shared(tensor: torch.Tensor, shape: tuple[int, ...]) -> _Array:
    if tensor.numel() != math.prod(shape):
        raise ShapeError(f"shape {shape} cannot share what has shape {tuple(tensor.shape)}")
    array = _Array()
    array.tensor, array.seen = tensor.view(shape), True
    return array


def _checked(shape: Sequence[int]) -> tuple[int, ...]:
    sizes = tuple(int(size) for size in shape)
    if any(size < 0 for size in sizes) or math.prod(sizes) > MAX_COUNT:
        raise ShapeError(
            f"shape {sizes}: sizes must not be negative, and at most {MAX_COUNT} elements in all"
        )
    return sizes
