"""The arrays behind blobs: in host memory, or in host memory and on a device."""

import itertools
import math
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch
from numpy.typing import NDArray

from caffe.device import Device, current
from caffe.errors import ShapeError

PHYSICAL = psutil.virtual_memory().total  # bytes
_SMALL = 2**26  # bytes; asking what is available costs more than such an array
_CGROUP = Path("/sys/fs/cgroup")


def available() -> int:
    """Return the bytes that this process can still get, within its container's limit."""
    free = psutil.virtual_memory().available
    try:
        limit = int((_CGROUP / "memory.max").read_text())  # "max" if there is none
        return min(free, max(0, limit - int((_CGROUP / "memory.current").read_text())))
    except (OSError, ValueError):
        return free


def check_room(size: int, what: str) -> None:
    """Check that some bytes are available; else the system would kill the process later.

    Raises
    ------
    ShapeError
        If they are not; the message begins with `what`.
    """
    if size > _SMALL and size > (free := available()):
        raise ShapeError(
            f"{what} takes {size / 2**30:.2f} GiB, more than is available: {free / 2**30:.1f} of "
            f"the machine's {PHYSICAL / 2**30:.1f} GiB"
        )


def zeros(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Return zeros; more than the machine's memory is refused without trying to allocate it.

    Raises
    ------
    ShapeError
        If that fails; the message gives the shape, its size and the machine's memory.
    """
    size = math.prod(shape) * dtype.itemsize
    check_room(size, f"shape {shape}")
    try:
        return torch.zeros(shape, dtype=dtype, device="cpu")
    except RuntimeError:  # torch's error for a failed allocation
        raise ShapeError(
            f"shape {shape} takes {size / 2**30:.2f} GiB, more than is available. The machine has "
            f"{PHYSICAL / 2**30:.1f} GiB"
        ) from None


_numbers = itertools.count()


class Events:
    """A count of the events after which fused layers must look at their blobs again.

    Events are a new shape, device, precision or sharing of any array, its first view, and each view
    and new result of a watched array.
    """

    count = 0
    _counts = itertools.count(1)

    @classmethod
    def add(cls) -> None:
        """Count one more; never the same number twice, in any thread."""
        cls.count = next(cls._counts)


class Array:
    """One of a blob's two arrays; blobs that share it hold the same one.

    Attributes
    ----------
    tensor : Tensor or None
        The values, where layers compute; None if there are none yet or the host's are newer.
    seen : bool
        Whether a view of the memory exists.
    device : Device or None
        Where layers compute; None is the CPU.
    host : Tensor or None
        On a device: the memory of the view. It is older than `tensor` while there is one; otherwise
        it is the newest, since the script may write into it (`data` is mutable_cpu_data of Caffe's
        SyncedMemory).
    pending : callable or None
        Computes the values on first use; then there is no `tensor` yet.
    number : int
        Of this array, unlike any other's.
    shared : bool
        Whether other blobs hold it too, or have held it.
    roots : list of weak references
        To the bases of all views; while one lives, a script may write.
    changes : int
        Number of possible changes of the values, except for torch's writes into `tensor`.
    watched : bool
        Whether each view of it and each new result are events.
    """

    __slots__ = (
        *("_address", "changes", "device", "host", "number", "pending", "roots", "seen"),
        *("shared", "tensor", "watched"),
    )

    def __init__(self, place: Device | None) -> None:
        self.tensor: torch.Tensor | None = None
        self.host: torch.Tensor | None = None
        self.pending: Callable[[], torch.Tensor] | None = None
        self.device = place
        self.seen = self.shared = self.watched = False
        self.number = next(_numbers)
        self.changes = 0
        self.roots: list[weakref.ref[NDArray[Any]]] = []
        self._address = 0

    @property
    def held(self) -> bool:
        """Whether a script holds a view that it may write into at any time."""
        return self.device is None and any(root() is not None for root in self.roots)

    @property
    def deferrable(self) -> bool:
        """Whether a result may wait: no view and no other array shows it."""
        return not self.shared and (not self.seen or self.device is not None)

    def watch(self) -> None:
        """Make each view and each new result an event."""
        self.watched = True

    def stamp(self) -> tuple[int, ...] | None:
        """Return what every change of the values changes; None if one could go unnoticed."""
        if self.held or self.tensor is None:
            return None
        return self.number, self.changes, self.tensor._version

    def get(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """Return the values for computing; the caller may write into them."""
        self._settle()
        if self.tensor is None:
            host = zeros(shape, dtype) if self.host is None else self.host
            self.tensor = host if self.device is None else self.device.upload(host)
        return self.tensor

    def set(self, value: torch.Tensor) -> None:
        """Store a result."""
        self.pending = None
        self.changes += 1
        if self.watched:
            Events.add()
        if self.device is not None:
            self.tensor = self.device.upload(value)
        elif self.seen and self.tensor is not None:
            self.tensor.copy_(value)  # the view must show the result
        else:
            self.tensor = value

    def defer(self, compute: Callable[[], torch.Tensor]) -> None:
        """Store a result that is computed on first use, or at once if that cannot wait."""
        if self.deferrable:
            self.tensor, self.pending = None, compute
            self.changes += 1
        else:
            self.set(compute())

    def _settle(self) -> None:
        """Compute a result that waits."""
        if self.pending is not None:
            self.tensor, self.pending = self.pending(), None

    def view(self, shape: tuple[int, ...], dtype: torch.dtype) -> NDArray[Any]:
        """Return the host's memory, which counts as the newest from now on."""
        self.changes += 1
        if self.watched or not self.seen:
            Events.add()
        if self.device is not None:
            return self._array(self._synced(self.device, shape, dtype))
        if not self.seen:
            # A layer may have given one tensor to two blobs; writes must reach only this one.
            self.tensor = self.get(shape, dtype).clone(memory_format=torch.contiguous_format)
            self.seen, self.roots = True, []
        self.tensor = self.get(shape, dtype).contiguous()
        return self._array(self.tensor)

    def _array(self, tensor: torch.Tensor) -> NDArray[Any]:
        """Return a view of a tensor, and remember that it exists."""
        root = self.roots[-1]() if self.roots else None
        address = tensor.data_ptr()
        if root is None or root.shape != tensor.shape or self._address != address:
            root, self._address = tensor.numpy(), address
            alive = (known for known in self.roots if known() is not None)
            self.roots = [*alive, weakref.ref(root)]
        return root[...]  # keeps the root alive, as do all views made from it

    def _synced(self, device: Device, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """Return the host's memory with the device's values."""
        self._settle()
        if self.host is None:
            self.host = zeros(shape, dtype)
        if self.tensor is not None:
            self.host.copy_(device.download(self.tensor))
            self.tensor = None  # so that the next `get` uploads what the script writes
        return self.host

    def follow(self, place: Device | None) -> None:
        """Move to another device; views stay live."""
        if place == self.device:
            return
        self._settle()
        self.changes += 1
        Events.add()
        if self.device is not None:
            self._leave(self.device)
        self.device = place
        if place is not None and self.tensor is not None:
            # The memory of an existing view becomes the host's copy, so that it stays live.
            if self.seen:
                self.host, self.tensor = self.tensor, None
            else:
                self.tensor = place.upload(self.tensor)

    def _leave(self, device: Device) -> None:
        if self.tensor is not None:
            values = device.download(self.tensor)
            self.tensor = values if self.host is None else self.host.copy_(values)
        else:
            self.tensor = self.host
        self.seen, self.host = self.host is not None, None

    def reshape(self, shape: tuple[int, ...]) -> None:
        """Keep the elements if the memory is large enough, else drop them."""
        self._settle()
        self.changes += 1
        Events.add()
        self.tensor = _reshaped(self.tensor, shape, self.seen)
        self.host = _reshaped(self.host, shape, True)
        self.seen = self.seen and self.tensor is not None

    def to(self, dtype: torch.dtype) -> None:
        self._settle()
        self.changes += 1
        Events.add()
        self.tensor = None if self.tensor is None else self.tensor.to(dtype)
        self.host = None if self.host is None else self.host.to(dtype)
        self.seen = False


class Reshaped:
    """A shared array in another shape."""

    __slots__ = ("_array", "_shape")

    seen = shared = True
    deferrable = False

    def __init__(self, array: "Array | Reshaped", shape: tuple[int, ...]) -> None:
        self._array, self._shape = array, shape

    @property
    def held(self) -> bool:
        return self._array.held

    @property
    def pending(self) -> Callable[[], torch.Tensor] | None:
        return self._array.pending

    def watch(self) -> None:
        self._array.watch()

    def stamp(self) -> tuple[int, ...] | None:
        return self._array.stamp()

    def get(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        tensor = self._array.get(self._shape, dtype)
        if not tensor.is_contiguous():
            # In-place additions must reach the shared array.
            self._array.set(tensor.contiguous())
            tensor = self._array.get(self._shape, dtype)
        return tensor.view(shape)

    def set(self, value: torch.Tensor) -> None:
        self._array.set(value.reshape(self._shape))

    def defer(self, compute: Callable[[], torch.Tensor]) -> None:
        self.set(compute())

    def view(self, shape: tuple[int, ...], dtype: torch.dtype) -> NDArray[Any]:
        return self._array.view(self._shape, dtype).reshape(shape)

    def follow(self, place: Device | None) -> None:
        self._array.follow(place)

    def to(self, dtype: torch.dtype) -> None:
        self._array.to(dtype)


def shared(
    array: Array | Reshaped, shape: tuple[int, ...], wanted: tuple[int, ...]
) -> Array | Reshaped:
    """Return another blob's array for sharing, in a shape of its own.

    Raises
    ------
    ShapeError
        If the numbers of elements differ.
    """
    if math.prod(shape) != math.prod(wanted):
        raise ShapeError(f"shape {wanted} cannot share an array of shape {shape}")
    Events.add()
    if isinstance(array, Array):
        array.shared = True
    return array if shape == wanted else Reshaped(array, shape)


def with_shape(
    array: Array | Reshaped, shape: tuple[int, ...], wanted: tuple[int, ...]
) -> Array | Reshaped:
    """Return a blob's array for its new shape; blobs that share it keep theirs."""
    if isinstance(array, Array) and not array.shared:
        array.reshape(wanted)
        return array
    if math.prod(shape) == math.prod(wanted):
        return shared(array, shape, wanted)
    Events.add()
    return Array(current())


def _reshaped(
    tensor: torch.Tensor | None, shape: tuple[int, ...], keep: bool
) -> torch.Tensor | None:
    """Return a view of the tensor in a new shape, possibly of its first elements only."""
    if tensor is None or tensor.shape == shape:
        return tensor
    count = math.prod(shape)
    if tensor.numel() == count:
        return tensor.reshape(shape)
    # Caffe never shrinks a blob's memory, so values return when the blob grows again.
    room = tensor.untyped_storage().nbytes() // tensor.element_size()
    if keep and count <= room:
        return tensor.as_strided(shape, torch.empty(shape, device="meta").stride(), 0)
    return None
