"""`ripen classify`: names the content of images with a net of the zoo."""

import io
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ripen.core.errors import DataError, UsageError, line
from ripen.data import image_input
from ripen.data.decode import decode
from ripen.nets.contract import Label, contract, labels
from ripen.nets.device import available, on
from ripen.nets.published import load

STANDARD_INPUT = "-"
BAR = 30  # characters, for a probability of 1


@dataclass(frozen=True)
class Prediction:
    """A class and its probability."""

    label: Label
    probability: float


class Classifier:
    """A net of the zoo that classifies images.

    Parameters
    ----------
    name : str
        The net.

    Raises
    ------
    UsageError
        If the net does not exist, or its contract names no classes.
    SourceError, DataError
        If its weights are not found, or belong to another net.
    """

    def __init__(self, name: str) -> None:
        self._labels = labels(name)
        if not self._labels:
            raise UsageError(f"net '{name}' has no class names: its contract lacks 'classes'")
        self._net = load(name)
        self._input = contract(name).input
        self._net.blobs["data"].reshape(1, *self._net.blobs["data"].shape[1:])

    def classify(self, image: Image.Image, top: int) -> list[Prediction]:
        """Return the `top` most probable classes of an image, the most probable first.

        The net's contract defines the preprocessing: the whole image is squeezed into the net's
        input, as in Caffe's own demonstration, or its centre is cropped.
        """
        data = image_input.values(image, self._input)
        (scores,) = self._net.forward(data=data[np.newaxis]).values()
        probabilities = scores.reshape(-1)
        best = np.argsort(-probabilities, kind="stable")[:top]
        return [Prediction(self._labels[i], float(probabilities[i])) for i in best]


def classify(images: Iterable[str], net: str, top: int, as_json: bool, where: str = "cpu") -> int:
    """Classify images on a device and print their classes; return the exit code.

    An image that cannot be read is named on standard error; the others are still classified.
    """
    predictions: dict[str, list[Prediction]] = {}
    code = 0
    with on(available() if where == "auto" else where):
        # Fetching weights prints its progress, which must not get into the JSON on standard output.
        with redirect_stdout(sys.stderr):
            classifier = Classifier(net)
        for name in _files(images):
            try:
                predictions[name] = classifier.classify(_read(name), top)
            except DataError as error:
                print(f"ripen: {line(error)}", file=sys.stderr)
                code = error.exit_code
                continue
            if not as_json:
                print(table(name, predictions[name]), flush=True)
    if as_json:
        print(
            json.dumps([_plain(name, net, found) for name, found in predictions.items()], indent=2)
        )
    return code


def table(image: str, predictions: list[Prediction]) -> str:
    """Return the most probable name of an image, and a line with a bar for each class."""
    width = max(len(_short(prediction.label)) for prediction in predictions)
    lines = [f"{image}: {_short(predictions[0].label)}"]
    for prediction in predictions:
        bar = "█" * round(BAR * prediction.probability)
        lines.append(
            f"  {prediction.probability:6.1%}  {_short(prediction.label):<{width}}  {bar}".rstrip()
        )
    return "\n".join(lines)


def _short(label: Label) -> str:
    """Return the first of a synset's names."""
    return label.name.partition(",")[0]


def _plain(image: str, net: str, predictions: list[Prediction]) -> dict[str, Any]:
    return {
        "image": image,
        "net": net,
        "top": [
            {"name": p.label.name, "synset": p.label.synset, "probability": p.probability}
            for p in predictions
        ],
    }


def _files(images: Iterable[str]) -> Iterator[str]:
    """Yield the files among the names, and the images in the folders among them."""
    suffixes = {suffix.lower() for suffix in Image.registered_extensions()}
    for name in images:
        folder = Path(name)
        if name == STANDARD_INPUT or not os.path.isdir(name):
            yield name
            continue
        found = [str(p) for p in sorted(folder.iterdir()) if p.suffix.lower() in suffixes]
        if not found:
            raise UsageError(f"{name}: the folder has no images. Known: {_known(suffixes)}")
        yield from found


def _known(suffixes: set[str]) -> str:
    return ", ".join(sorted(suffixes & {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".webp"}))


def _read(name: str) -> Image.Image:
    if name == STANDARD_INPUT:
        return decode(io.BytesIO(sys.stdin.buffer.read()), "standard input")
    return decode(Path(name), name)
