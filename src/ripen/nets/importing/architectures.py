"""Networks of torchvision and timm, by name, and the pictures that they take."""

import difflib
import importlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import nn

from ripen.core.errors import UsageError
from ripen.nets.zoo.contract import Input

PIXEL = 255.0


@dataclass(frozen=True)
class Architecture:
    """A network whose weights are still to be filled.

    Attributes
    ----------
    module : Module
        Takes pictures in RGB, less their mean and divided by their deviation.
    input : Input
        What the Caffe net made of it will take: BGR, less the mean.
    deviation : three floats
        In the order RGB, for values from 0 to 255.
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
        Where torchvision has several for the network, the file's name tells which these are, and
        so how their pictures are made.
    outputs : int, optional
        How many classes it tells apart, where not as many as usual.
    size : int, optional
        Its picture's height and width, where not the usual.

    Raises
    ------
    UsageError
        If there is no such network, or the library is not installed.
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
    _imported("torchvision")  # which timm imports
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
    """Import a library that is not needed for anything else.

    A torchvision built for another PyTorch, such as PyPI's beside one without CUDA, has no
    operators of its own, none of which a classifier needs, and stops at the first that it misses.
    Declared, they are not missed.
    """
    while True:
        try:
            return importlib.import_module(name)
        except ImportError as error:
            raise UsageError(
                f"{name} cannot be imported: {error}. Run pip install 'ripen[import]'"
            ) from None
        except RuntimeError as error:
            missed = _LACKING.search(str(error))
            if missed is None:
                raise UsageError(f"{name} cannot be imported: {error}") from None
            library: Any = torch.library.Library
            _declared.append(library("torchvision", "FRAGMENT"))
            _declared[-1].define(f"{missed[1]}(Tensor x) -> Tensor")
