"""Name what a picture shows: `ripen classify`, the talk's demonstration."""

import io
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ripen.core.errors import DataError, UsageError
from ripen.nets.zoo import pictures
from ripen.nets.zoo.contract import Label, contract, labels
from ripen.nets.zoo.weights import load

STANDARD_INPUT = "-"
BAR = 30


@dataclass(frozen=True)
class Guess:
    """A class and its probability."""

    label: Label
    probability: float


class Classifier:
    """A net of the zoo that names pictures.

    Parameters
    ----------
    name : str
        The net's.

    Raises
    ------
    UsageError
        If there is no such net, or it names no classes.
    SourceError, DataError
        If its weights cannot be had, or are not its own.
    """

    def __init__(self, name: str) -> None:
        self._labels = labels(name)
        if not self._labels:
            raise UsageError(f"net '{name}' names no classes: its contract has no 'classes'")
        self._net = load(name)
        self._input = contract(name).input
        self._net.blobs["data"].reshape(1, *self._net.blobs["data"].shape[1:])

    def guess(self, picture: Image.Image, top: int) -> list[Guess]:
        """Return the `top` most probable classes of a picture, the best first.

        A picture of any size becomes what the net's contract says: squeezed, as Caffe's own
        demonstration does it, or its middle.
        """
        data = pictures.values(picture, self._input)
        (scores,) = self._net.forward(data=data[np.newaxis]).values()
        probabilities = scores.reshape(-1)
        best = np.argsort(-probabilities, kind="stable")[:top]
        return [Guess(self._labels[i], float(probabilities[i])) for i in best]


def run(images: Iterable[str], net: str, top: int, as_json: bool) -> int:
    """Classify pictures and print what they show; return the exit code.

    A picture that cannot be read is named on standard error, and the others still run.
    """
    with redirect_stdout(sys.stderr):  # where a fetch shows its progress
        classifier = Classifier(net)
    guesses: dict[str, list[Guess]] = {}
    code = 0
    for name in _files(images):
        try:
            guesses[name] = classifier.guess(_read(name), top)
        except DataError as error:
            print(f"ripen: {error}", file=sys.stderr)
            code = error.exit_code
            continue
        if not as_json:
            print(table(name, guesses[name]), flush=True)
    if as_json:
        print(json.dumps([_plain(name, net, found) for name, found in guesses.items()], indent=2))
    return code


def table(image: str, guesses: list[Guess]) -> str:
    """Return the best name of a picture, and a line with a bar for each guess."""
    width = max(len(_short(guess.label)) for guess in guesses)
    lines = [f"{image}: {_short(guesses[0].label)}"]
    for guess in guesses:
        bar = "█" * round(BAR * guess.probability)
        lines.append(f"  {guess.probability:6.1%}  {_short(guess.label):<{width}}  {bar}".rstrip())
    return "\n".join(lines)


def _short(label: Label) -> str:
    """The first of a synset's names."""
    return label.name.partition(",")[0]


def _plain(image: str, net: str, guesses: list[Guess]) -> dict[str, Any]:
    return {
        "image": image,
        "net": net,
        "top": [
            {"name": g.label.name, "synset": g.label.synset, "probability": g.probability}
            for g in guesses
        ],
    }


def _files(images: Iterable[str]) -> Iterator[str]:
    """Yield the files named, and those of the folders named whose suffix is a picture's."""
    suffixes = {suffix.lower() for suffix in Image.registered_extensions()}
    for name in images:
        folder = Path(name)
        if name == STANDARD_INPUT or not folder.is_dir():
            yield name
            continue
        found = [str(p) for p in sorted(folder.iterdir()) if p.suffix.lower() in suffixes]
        if not found:
            raise UsageError(f"{name}: the folder holds no picture. Known: {_known(suffixes)}")
        yield from found


def _known(suffixes: set[str]) -> str:
    return ", ".join(sorted(suffixes & {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".webp"}))


def _read(name: str) -> Image.Image:
    if name == STANDARD_INPUT:
        return pictures.read(io.BytesIO(sys.stdin.buffer.read()), "standard input")
    return pictures.read(Path(name), name)
