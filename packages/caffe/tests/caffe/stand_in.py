"""A device for tests on machines without a GPU: what is on it cannot meet host memory by accident.

Its tensors are of a class of their own. An operation that mixes them with tensors in host memory
fails as on a GPU, and so does numpy's view of them; copies go there and back only by
`Device.upload`, `Device.download` and torch's own `to`, `cpu` and `copy_`. So a forgotten `.to()`
fails here too.
"""

import os
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from caffe.device import Device, cuda

_CROSSING = {torch.Tensor.copy_, torch.Tensor.to, torch.Tensor.type_as}


class OnDevice(torch.Tensor):
    """A tensor on the stand-in device."""

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.Tensor.numpy:
            raise TypeError("can't convert a tensor on the stand-in device to numpy")
        if func is torch.Tensor.cpu or (func is torch.Tensor.to and _to_host(args)):
            return args[0].as_subclass(torch.Tensor).clone()
        if func not in _CROSSING and _crosses((args, kwargs)):
            raise RuntimeError("Expected all tensors to be on the same device: stand-in and host")
        found = super().__torch_function__(func, types, args, kwargs)
        if func is torch.Tensor.copy_ and type(args[0]) is torch.Tensor:
            return args[0]
        return found


class Factories(TorchFunctionMode):
    """Create tensors on the stand-in where a layer asks for the device of another tensor."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        asked = isinstance((kwargs or {}).get("device"), torch.device)
        return found.as_subclass(OnDevice) if asked else found


def _to_host(args: tuple[Any, ...]) -> bool:
    """Whether the arguments of `to` are a tensor on the stand-in and one in host memory."""
    return len(args) > 1 and isinstance(args[1], torch.Tensor) and not isinstance(args[1], OnDevice)


def _crosses(given: Any) -> bool:
    """Whether tensors of both places are among the arguments; one number may come from the host."""
    with torch._C.DisableTorchFunctionSubclass():
        kinds = {isinstance(each, OnDevice) for each in _tensors(given) if each.dim()}
    return len(kinds) > 1


def _tensors(given: Any) -> list[torch.Tensor]:
    if isinstance(given, torch.Tensor):
        return [given]
    if isinstance(given, dict):
        given = list(given.values())
    return [t for each in given for t in _tensors(each)] if isinstance(given, list | tuple) else []


def _upload(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if isinstance(tensor, OnDevice) else tensor.clone().as_subclass(OnDevice)


def _download(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.cpu()


STAND_IN = Device("cpu", _upload, _download)


NAMED = os.environ.get("CAFFE_TEST_DEVICE", "cpu")  # of all tests of layers
OTHER = "cuda" if torch.cuda.is_available() else "stand-in"
# Of the tests that every layer must pass on the CPU and beside it.
DEVICES = ["cpu", OTHER] if NAMED == "cpu" else [NAMED]


def device(name: str) -> Device | None:
    """Return the device cpu, which is None, stand-in or cuda."""
    return {"cpu": lambda: None, "stand-in": lambda: STAND_IN, "cuda": lambda: cuda(0)}[name]()
