"""`ripen import-net`: a net of the zoo fetched and converted, or a PyTorch network made one."""

import hashlib
import re
from pathlib import Path

from pydantic import TypeAdapter

from ripen.core.errors import UsageError
from ripen.nets.importing import files, state
from ripen.nets.importing.architectures import build
from ripen.nets.importing.convert import convert
from ripen.nets.zoo import DEFINITIONS
from ripen.nets.zoo.contract import MODELS, Input, contract
from ripen.nets.zoo.weights import caffemodel

IMAGENET = 1000


def run(
    name: str,
    weights: Path | None,
    architecture: str | None,
    outputs: int | None = None,
    size: int | None = None,
) -> int:
    """Write a net's folder and say what is in it; return the exit code.

    Parameters
    ----------
    name : str
        The net's, a folder of models/.
    weights : Path or None
        A local file of weights; needed with an architecture.
    architecture : str or None
        Of torchvision or timm; a net that ripen knows, if none is given.
    outputs, size : int or None
        Where they are not the architecture's usual ones.

    Raises
    ------
    UsageError, SourceError, DataError
        If there is no such net, its weights cannot be had, are others, or do not fit, or the
        network does what Caffe has no layer for.
    """
    if architecture is None:
        if outputs or size:
            raise UsageError("--outputs and --size go with --arch")
        home = caffemodel(name, weights).parent
        print(_table(sorted(f for f in home.iterdir() if f.suffix in (".prototxt", ".caffemodel"))))
    else:
        print(_imported(name, weights, architecture, outputs, size))
    if contract(name).classes:
        print(f"try it: ripen classify IMAGE --net {name}")
    return 0


def _imported(
    name: str, weights: Path | None, architecture: str, outputs: int | None, size: int | None
) -> str:
    if name in DEFINITIONS:
        raise UsageError(f"'{name}' is a net that ripen has already; choose another name")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UsageError(f"'{name}' is no name for a folder. Allowed: a-z, 0-9 and _")
    if weights is None:
        raise UsageError(f"--arch {architecture} needs --weights FILE")
    found = build(architecture, weights, outputs, size)
    state.load(found.module, weights)
    shape = (3, found.input.height, found.input.width)
    title = architecture.partition(":")[2]
    converted = convert(found.module, shape, title, found.deviation)
    net = converted.filled()
    classes = net.blobs[converted.net.layer[-1].top[0]].shape[1]
    front = {
        "name": title,
        "caffemodel": f"{name}.caffemodel",
        "weights": {"format": "pytorch", "architecture": architecture, "sha256": _sha256(weights)},
        "license": f"not stated: that of whoever published {weights.name}",
        "input": TypeAdapter(Input).dump_python(found.input, exclude_none=True),
        **({"classes": "imagenet"} if classes == IMAGENET else {}),
        "parameters": sum(blob.count for blobs in net.params.values() for blob in blobs),
    }
    written = files.write(MODELS / name, converted, front, found.input)
    agreement = f"its answers to random pictures are PyTorch's within {converted.difference:.1g}"
    return f"{_table(written)}\n{agreement}"


def _table(written: list[Path]) -> str:
    width = max(len(str(file)) for file in written)
    return "\n".join(f"{file!s:<{width}}  sha256 {_sha256(file)}" for file in written)


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
