"""Networks of torchvision and timm by name, and their weights from a file."""

import difflib
import importlib
import json
import pickle
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import nn

from ripen.core.errors import DataError, UsageError
from ripen.data.image_input import Input

INSTALL = ".venv/bin/pip install -e '.[import]'"
PIXEL = 255.0


@dataclass(frozen=True)
class Architecture:
    """A network without its trained weights.

    Attributes
    ----------
    module : Module
        Takes images in RGB, less their mean, divided by their standard deviation.
    input : Input
        The input of the Caffe net that it becomes: BGR, less the mean.
    deviation : three floats
        Standard deviation in the order RGB, for values from 0 to 255.
    """

    module: nn.Module
    input: Input
    deviation: tuple[float, ...]


def build(name: str, weights: Path, outputs: int | None, size: int | None) -> Architecture:
    """Return a network.

    Parameters
    ----------
    name : str
        Such as "torchvision:resnet18" or "timm:mobilenetv2_100".
    weights : Path
        If torchvision has several weights for the network, the file's name identifies them, and
        with them their preprocessing.
    outputs : int, optional
        Number of classes, if not the network's default.
    size : int, optional
        Height and width of the input, if not the network's default.

    Raises
    ------
    UsageError
        If the network does not exist, or the library is not installed.
    """
    library, _, network = name.partition(":")
    if library not in _LIBRARIES or not network:
        raise UsageError(f"--arch {name}: allowed: torchvision:NAME and timm:NAME")
    classes = {} if outputs is None else {"num_classes": outputs}
    return _LIBRARIES[library](network, weights, classes, size)


def _torchvision(
    network: str, weights: Path, classes: dict[str, int], size: int | None
) -> Architecture:
    models: Any = _imported("torchvision").models
    _known(network, models.list_models(module=models), "torchvision")
    module = models.get_model(network, weights=None, **classes)
    published = list(models.get_model_weights(network))
    same = [each for each in published if each.url.rpartition("/")[2] == weights.name]
    made = (same or published)[0].transforms()
    (cropped,), (resized,) = made.crop_size, made.resize_size
    crop = min(cropped / resized, 1.0)
    return _described(module, size or cropped, made.mean, made.std, made.interpolation.value, crop)


def _timm(network: str, weights: Path, classes: dict[str, int], size: int | None) -> Architecture:
    _imported("torchvision")  # timm imports it: this message is the better one
    timm: Any = _imported("timm")
    _known(network, timm.list_models(), "timm")
    module = timm.create_model(network, pretrained=False, **classes)
    made = module.pretrained_cfg
    side = size or made["input_size"][-1]
    return _described(
        module, side, made["mean"], made["std"], made["interpolation"], made["crop_pct"]
    )


_LIBRARIES = {"torchvision": _torchvision, "timm": _timm}


def _described(
    module: nn.Module,
    size: int,
    mean: Sequence[float],
    deviation: Sequence[float],
    interpolation: str,
    crop: float,
) -> Architecture:
    settings = {
        "height": size,
        "width": size,
        "channel_order": "BGR",
        "raw_scale": PIXEL,
        "mean": [round(each * PIXEL, 3) for each in reversed(mean)],
        "interpolation": "bilinear" if interpolation == "bilinear" else "bicubic",
        "crop": round(crop, 4),
    }
    promised = TypeAdapter(Input).validate_json(json.dumps(settings))
    return Architecture(module, promised, tuple(each * PIXEL for each in deviation))


def _known(network: str, known: list[str], library: str) -> None:
    if network not in known:
        near = difflib.get_close_matches(network, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"{library} has no network '{network}'{hint}")


_LACKING = re.compile(r"operator torchvision::(\w+) does not exist")
_declared: list[Any] = []


def _imported(name: str) -> Any:
    """Import an optional library.

    A torchvision that was built for another PyTorch, such as PyPI's beside a PyTorch without CUDA,
    lacks its own operators, and its import fails at the first of them. Classifiers need none, so
    that it is enough to declare them.
    """
    while True:
        try:
            return importlib.import_module(name)
        except ImportError as error:
            raise UsageError(f"{name} cannot be imported: {error}. Run {INSTALL}") from None
        except RuntimeError as error:
            missed = _LACKING.search(str(error))
            if missed is None:
                raise UsageError(f"{name} cannot be imported: {error}") from None
            library: Any = torch.library.Library
            _declared.append(library("torchvision", "FRAGMENT"))
            _declared[-1].define(f"{missed[1]}(Tensor x) -> Tensor")


State = dict[str, torch.Tensor]
# A counter of training batches, which inference does not use and old files lack.
COUNTER = "num_batches_tracked"
# Names in torchvision's old files of DenseNets: since PyTorch 0.4 a module's name has no dot.
_OLD = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.")


def load_state(module: nn.Module, file: Path) -> None:
    """Fill a module's weights.

    Parameters
    ----------
    module : Module
    file : Path
        A state saved with `torch.save`, alone or under the key "state_dict" or "model"; or a
        `.safetensors` file. Reading it runs no code.

    Raises
    ------
    DataError
        If the file is not a state, or belongs to another network.
    UsageError
        If it is a `.safetensors` file and the package that reads them is not installed.
    """
    state = {_OLD.sub(r"\1\2.", key): value for key, value in read_state(file).items()}
    own: State = module.state_dict()
    for key, value in own.items():
        if key not in state:
            if not key.endswith(COUNTER):
                raise DataError(f"{file}: '{key}' is missing")
            state[key] = value
        if state[key].shape != value.shape:
            found, wanted = tuple(state[key].shape), tuple(value.shape)
            raise DataError(f"{file}: '{key}' has shape {found}; expected {wanted}")
    if more := sorted(set(state) - set(own)):
        raise DataError(f"{file}: unexpected '{more[0]}', which this network does not have")
    module.load_state_dict(state)


def read_state(file: Path) -> State:
    """Return the tensors of a file by name."""
    found = _safetensors(file) if file.suffix == ".safetensors" else _saved(file)
    for key in ("state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not found or not all(map(torch.is_tensor, found.values())):
        raise DataError(f"{file}: not a dict of tensors")
    # torch.nn.DataParallel adds this prefix to the names of the module that it wraps.
    return {str(key).removeprefix("module."): value for key, value in found.items()}


def _saved(file: Path) -> object:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from None
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{file}: not a file of PyTorch weights: {reason}") from None


def _safetensors(file: Path) -> object:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError:
        raise UsageError(
            f"{file}: the package safetensors is not installed. Run {INSTALL}"
        ) from None
    try:
        return load_file(file)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from None
    except SafetensorError as error:
        raise DataError(f"{file}: not a .safetensors file: {error}") from None
