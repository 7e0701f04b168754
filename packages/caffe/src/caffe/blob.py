"""Blobs: arrays with a gradient, shared between layers and scripts.

A layer works on torch tensors (`tensor`, `grad`) and stores its results with `set_data` and
`set_diff`, which keep a reference and copy nothing. Once a script has taken the numpy view (`data`,
`diff`), that view stays live, as in pycaffe: from then on results are copied into the array that
the script holds, contiguous and in C order, and the next layer reads what the script writes there.

On a GPU, `data` and `diff` are copies in host memory, fetched at each access and sent back before a
layer reads them.
"""

import math
from collections.abc import Callable, Sequence
from operator import index
from typing import Any

import torch
from numpy.typing import NDArray

from caffe.device import Device, current
from caffe.errors import KeywordsError, ShapeError
from caffe.formats import MAX_AXES
from caffe.memory import Array, Reshaped, shared, with_shape
from caffe.vectors import Uncopied, Vector

MAX_COUNT = 2**31 - 1  # Caffe counts elements in an int (blob.cpp)


class RawBlobVec(Vector["Blob"]):
    """The bottoms or the tops of a layer written in Python."""

    hint = ". Write into its array: [i].data[...] = values"


class BlobVec(Vector["Blob"]):
    """The learnt blobs of a layer."""

    hint = ". Write into its array: [i].data[...] = values"

    def add_blob(self, *shape: int) -> None:
        """Add a blob of zeros, as layers written in Python do in `setup`."""
        self.append(Blob(shape))


class Blob(Uncopied):
    """An array of values and, where needed, of their gradients.

    Parameters
    ----------
    shape : sequence of int
        Sizes of the axes, the slowest first, usually (N, C, H, W).
    dtype : torch.dtype
        float32, as Caffe's; float64 for numeric gradient checks.

    Raises
    ------
    ShapeError
        If a size is negative, or there are more elements than Caffe can count (2^31 - 1).
    """

    # "__dict__" lets scripts attach attributes of their own.
    __slots__ = ("__dict__", "_data", "_diff", "_shape", "dtype")

    instead = "copy its arrays, blob.data.copy()"

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
        """Whether a view of the values exists, so that results must be copied into it."""
        return self._data.seen

    @property
    def deferrable(self) -> bool:
        """Whether `defer_data` can wait until the values are read."""
        return self._data.deferrable

    def stamp(self) -> tuple[int, ...] | None:
        """Return what every change of the values changes.

        None if one could go unnoticed: there are none yet, or a script holds a view.
        """
        return self._data.stamp()

    def watch(self) -> None:
        """Count each view and each new result of the values in `Events`."""
        self._data.watch()

    def set_data(self, value: torch.Tensor) -> None:
        """Take a layer's result as the values; its shape must be the blob's."""
        self._data.set(value)

    def set_diff(self, value: torch.Tensor) -> None:
        """Take a layer's result as the gradients; its shape must be the blob's."""
        self._diff.set(value)

    @property
    def deferred(self) -> bool:
        """Whether the values of a deferred result have not been read yet."""
        return self._data.pending is not None

    def defer_data(self, compute: Callable[[], torch.Tensor]) -> None:
        """Compute the values by this function, when they are first read."""
        self._data.defer(compute)

    def defer_diff(self, compute: Callable[[], torch.Tensor]) -> None:
        """Compute the gradients by this function, when they are first read."""
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

    def reshape(self, *shape: int, **named: int) -> None:
        """Change the shape; values are kept if the memory is large enough."""
        if named:
            raise KeywordsError(f"Blob.reshape takes no kwargs: {', '.join(named)}")
        sizes = _checked(shape)
        if sizes == self._shape:
            return
        self._data = with_shape(self._data, self._shape, sizes)
        self._diff = with_shape(self._diff, self._shape, sizes)
        self._shape = sizes

    def share_data(self, other: "Blob") -> None:
        """Share the other's values: either blob's writes are seen by both."""
        self._data = shared(other._data, other._shape, self._shape)

    def share_diff(self, other: "Blob") -> None:
        """Share the other's gradients."""
        self._diff = shared(other._diff, other._shape, self._shape)

    def follow(self, device: Device | None) -> None:
        """Keep the values on a device from now on; None is the CPU."""
        self._data.follow(device)
        self._diff.follow(device)

    def to(self, dtype: torch.dtype) -> None:
        """Change the precision; existing views keep the old values."""
        self._data.to(dtype)
        self._diff.to(dtype)
        self.dtype = dtype

    def _legacy_axis(self, index: int) -> int:
        if len(self._shape) > 4:
            raise ShapeError(f"num, channels, height, width of a blob of shape {self._shape}")
        return self._shape[index] if index < len(self._shape) else 1

    def __repr__(self) -> str:
        return f"Blob{self._shape}"


RawBlobVec.kind = BlobVec.kind = Blob


def _checked(shape: Sequence[int]) -> tuple[int, ...]:
    sizes = tuple(index(size) for size in shape)  # a TypeError for 1.5, as in pycaffe
    if any(size < 0 for size in sizes) or math.prod(sizes) > MAX_COUNT or len(sizes) > MAX_AXES:
        raise ShapeError(
            f"shape {sizes}: sizes must not be negative, and at most {MAX_COUNT} elements in all, "
            f"along at most {MAX_AXES} axes"
        )
    return sizes
