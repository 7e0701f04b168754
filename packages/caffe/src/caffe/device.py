"""Where nets compute: on the CPU, or on a GPU that torch finds.

Nets follow the mode: at its next pass a net moves its blobs to the current device
(`Blob.follow`).
"""

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from operator import index
from typing import Protocol

import psutil
import torch

from caffe.errors import CaffeError, MemoryExceeded


class Sized(Protocol):
    """A blob; only its shape matters here."""

    @property
    def shape(self) -> tuple[int, ...]: ...


@dataclass(frozen=True)
class Device:
    """A device with memory of its own.

    Parameters
    ----------
    name : str
        torch's name for it.
    upload, download : callable
        Return a tensor on the device, or in host memory; the same tensor if it is there already.
    finish : callable
        Wait until the device has done what it was given.
    memory : callable
        Return its bytes of memory.
    """

    name: str
    upload: Callable[[torch.Tensor], torch.Tensor] = field(compare=False)
    download: Callable[[torch.Tensor], torch.Tensor] = field(compare=False)
    finish: Callable[[], object] = field(compare=False, default=lambda: None)
    memory: Callable[[], int] = field(compare=False, default=lambda: 0)


_precise: set[str] = set()


def cuda(number: int) -> Device:
    """Return a GPU.

    The first call for it turns TF32 off, which torch uses for convolutions by default: of a
    float32 it keeps 10 bits of 23, and moves a first layer's gradients by up to 70%. Scripts that
    want it set ``torch.backends.cudnn.allow_tf32 = True`` after `set_mode_gpu`.
    """
    name = f"cuda:{number}"
    if name not in _precise:
        _precise.add(name)
        torch.backends.cudnn.allow_tf32 = False
    finish = partial(torch.cuda.synchronize, number)
    upload = partial(torch.Tensor.to, device=name)
    return Device(
        name, upload, torch.Tensor.cpu, finish, lambda: torch.cuda.mem_get_info(number)[1]
    )


_current: Device | None = None
_number = 0


def current() -> Device | None:
    """Return the device of the current mode; None is the CPU."""
    return _current


def use(device: Device | None) -> None:
    """Make nets compute on a device; None is the CPU."""
    global _current
    _current = device


@contextmanager
def tuned(repeated: bool) -> Iterator[None]:
    """Let cuDNN try its algorithms and keep the fastest, if the shapes are those of the last pass.

    The trials take longer than a pass, so a net whose shapes change must not repeat them each time.
    """
    wanted = repeated and _current is not None and not torch.backends.cudnn.benchmark
    if not wanted:
        yield
        return
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = False


def too_large(blobs: Iterable[Sized]) -> MemoryExceeded:
    """Return the error for a net that exceeds the device's memory, with a batch that would fit.

    Parameters
    ----------
    blobs : iterable of Blob
        The blobs between the net's layers: values and gradients of 4 bytes each are counted.
    """
    shapes = [blob.shape for blob in blobs]
    batch = max((shape[0] for shape in shapes if shape), default=1)
    needed = sum(8 * math.prod(shape) for shape in shapes)
    name = "this machine" if _current is None else _current.name
    room = psutil.virtual_memory().total if _current is None else _current.memory()
    fits = max(1, min(batch // 2, int(0.8 * batch * room / max(1, needed))))
    return MemoryExceeded(
        f"the memory of {name}, {room / 2**30:.1f} GiB, does not suffice: the blobs of a batch of "
        f"{batch} take {needed / 2**30:.1f} GiB, beside weights and buffers. Try a batch of {fits}",
        fits,
    )


def finish() -> None:
    """Wait until the current device has finished its work; the CPU always has."""
    if _current is not None:
        _current.finish()


def set_mode_cpu() -> None:
    """Compute on the CPU."""
    use(None)


def set_mode_gpu() -> None:
    """Compute on the GPU that `set_device` chose, or on the first.

    Raises
    ------
    CaffeError
        If torch finds none.
    """
    _check("set_mode_gpu()", _number)
    use(cuda(_number))


def set_device(device: int) -> None:
    """Choose the GPU that `set_mode_gpu` computes on.

    Raises
    ------
    CaffeError
        If torch does not find that GPU.
    """
    global _number
    device = index(device)  # a TypeError for None, as in pycaffe
    _check(f"set_device({device})", device)
    _number = device
    if _current is not None:
        use(cuda(device))


def _check(call: str, number: int) -> None:
    if torch.version.cuda is None and torch.version.hip is None:
        raise CaffeError(
            f"{call}: torch finds no CUDA device here: its build {torch.__version__} is without "
            "CUDA. Allowed: set_mode_cpu()"
        )
    with warnings.catch_warnings(record=True) as caught:  # torch warns of a driver that is too old
        warnings.simplefilter("always")
        found, count = torch.cuda.is_available(), torch.cuda.device_count()
    if not found or not count:
        reason = f" ({str(caught[0].message).partition('. ')[0]})" if caught else ""
        raise CaffeError(
            f"{call}: torch finds no CUDA device here{reason}. Allowed: set_mode_cpu()"
        )
    if not 0 <= number < count:
        raise CaffeError(f"{call}: torch finds {count} CUDA devices. Allowed: 0 to {count - 1}")
