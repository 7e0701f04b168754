"""Where nets compute: on the CPU, or on a GPU that torch finds.

Nets follow the mode: at its next pass a net moves its blobs to the current device
(`Blob.follow`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch

from caffe.errors import CaffeError


@dataclass(frozen=True)
class Device:
    """A device with memory of its own.

    Parameters
    ----------
    name : str
        torch's name for it.
    upload, download : callable
        Return a tensor on the device, or in host memory; the same tensor if it is there already.
    """

    name: str
    upload: Callable[[torch.Tensor], torch.Tensor] = field(compare=False)
    download: Callable[[torch.Tensor], torch.Tensor] = field(compare=False)


def cuda(number: int) -> Device:
    name = f"cuda:{number}"
    return Device(name, partial(torch.Tensor.to, device=name), torch.Tensor.cpu)


_current: Device | None = None
_number = 0


def current() -> Device | None:
    """Return the device of the current mode; None is the CPU."""
    return _current


def use(device: Device | None) -> None:
    """Make nets compute on a device; None is the CPU."""
    global _current
    _current = device


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
    _check(f"set_device({device})", device)
    _number = device
    if _current is not None:
        use(cuda(device))


def _check(call: str, number: int) -> None:
    count = torch.cuda.device_count()
    if not torch.cuda.is_available() or not count:
        raise CaffeError(f"{call}: torch finds no CUDA device here. Allowed: set_mode_cpu()")
    if not 0 <= number < count:
        raise CaffeError(f"{call}: torch finds {count} CUDA devices. Allowed: 0 to {count - 1}")
