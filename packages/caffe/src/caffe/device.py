"""Where nets compute: on the processor, or on a GPU where torch finds one.

Nets follow the mode: at its next pass a net moves its blobs to where the mode says
(`Blob.follow`).
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial

import torch

from caffe.errors import CaffeError


@dataclass(frozen=True)
class Device:
    """A place of computing with a memory of its own.

    Parameters
    ----------
    name : str
        torch's name of it.
    upload, download : callable
        Give a tensor there, or in the processor's memory; the same one where it is there already.
    """

    name: str
    upload: Callable[[torch.Tensor], torch.Tensor] = field(compare=False)
    download: Callable[[torch.Tensor], torch.Tensor] = field(compare=False)


def _cuda(number: int) -> Device:
    name = f"cuda:{number}"
    return Device(name, partial(torch.Tensor.to, device=name), torch.Tensor.cpu)


_current: Device | None = None
_number = 0


def current() -> Device | None:
    """Return the device that the mode says; None is the processor."""
    return _current


def use(device: Device | None) -> None:
    """Let nets compute on a device; None is the processor."""
    global _current
    _current = device


def computing(device: Device | None) -> AbstractContextManager[object]:
    """Within it, tensors that a layer makes anew are on the device."""
    return nullcontext() if device is None else torch.device(device.name)


def set_mode_cpu() -> None:
    """Compute on the processor."""
    use(None)


def set_mode_gpu() -> None:
    """Compute on the GPU that `set_device` chose, or on the first.

    Raises
    ------
    CaffeError
        If torch finds none.
    """
    _check("set_mode_gpu()", _number)
    use(_cuda(_number))


def set_device(device: int) -> None:
    """Choose the GPU that `set_mode_gpu` computes on.

    Raises
    ------
    CaffeError
        If torch does not find it.
    """
    global _number
    _check(f"set_device({device})", device)
    _number = device
    if _current is not None:
        use(_cuda(device))


def _check(call: str, number: int) -> None:
    count = torch.cuda.device_count()
    if not torch.cuda.is_available() or not count:
        raise CaffeError(f"{call}: torch finds no CUDA device here. Allowed: set_mode_cpu()")
    if not 0 <= number < count:
        raise CaffeError(f"{call}: torch finds {count} CUDA devices. Allowed: 0 to {count - 1}")
