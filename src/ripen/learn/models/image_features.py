"""The features of images that a served model computes by itself, with its own copies of nets."""

import base64
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import caffe
from caffe.formats import to_text
from ripen.core.atomic import write_text
from ripen.core.errors import DataError, shown
from ripen.data.decode import File
from ripen.data.image_input import Input
from ripen.nets import frozen
from ripen.nets.contract import contract
from ripen.nets.opening import open_net
from ripen.settings.schema import Competition, Images
from ripen.settings.typed import typed

SMALLEST = 32  # bytes of an image: less than that is a mistyped path


@typed
class ImageFeatures:
    """Sets of features side by side, each the mean over an image's views.

    `inputs` has the input of each set's net by the net's name, so that a served model needs no
    file of the zoo.
    """

    sets: list[frozen.OfNet | frozen.OfColours | frozen.OfThumbnail]
    inputs: dict[str, Input]
    images: Images


def image_features(competition: Competition, names: Sequence[str]) -> ImageFeatures:
    """Return the features that a model takes: some sets of the competition's section `features`."""
    images = competition.images
    assert images is not None  # or there would be no features
    sets = [frozen.settings(competition.features[name], f"features.{name}") for name in names]
    nets = {net.net for each in sets for net in each.nets()}
    inputs = {net: contract(net).input for net in sorted(nets)}
    return ImageFeatures(sets=sets, inputs=inputs, images=images)


def write_nets(folder: Path, taken: ImageFeatures, weights: Callable[[str], Path]) -> None:
    """Write the frozen nets, many megabytes, into a folder.

    Parameters
    ----------
    folder : Path
    taken : ImageFeatures
    weights : callable
        Returns the caffemodel of a net of the zoo.
    """
    for number, each in enumerate(taken.sets):
        for net in each.nets():
            definition, caffemodel = _files(folder, number)
            write_text(definition, to_text(frozen.definition(net)))
            shutil.copyfile(weights(net.net), caffemodel)


class Extractor:
    """Computes features with the nets that `write_nets` put into a folder."""

    def __init__(self, taken: ImageFeatures, folder: Path) -> None:
        self._images = taken.images
        self._sets = [
            (each, [_opened(folder, number, taken.inputs[net.net]) for net in each.nets()])
            for number, each in enumerate(taken.sets)
        ]

    def values(self, given: pd.DataFrame) -> NDArray[np.float32]:
        """Return features, shape (n, d), of a table of one column: paths, or the files' bytes.

        Raises
        ------
        DataError
            If the table has another form, or an image cannot be read.
        """
        files, parts = image_files(given), []
        for each, opened in self._sets:
            found = each.extract(files, self._images, threads=1, nets=opened)
            parts.append(found.array().mean(axis=1, dtype=np.float32))
        return np.concatenate(parts, axis=1)


def image_files(given: pd.DataFrame) -> list[File]:
    """Return the images of a table of one column: paths, or the files' bytes, in base64 too.

    Requests to MLflow's server are JSON, which has no bytes.

    Raises
    ------
    DataError
        If the table has another form.
    """
    if given.shape[1] != 1:
        raise DataError(
            f"input: {given.shape[1]} columns. Needed: one, of paths of images or their bytes"
        )
    return [_file(row, value) for row, value in enumerate(given.iloc[:, 0])]


def _opened(folder: Path, number: int, wanted: Input) -> frozen.Opened:
    deploy, weights = map(str, _files(folder, number))
    return open_net(deploy, caffe.TEST, weights), wanted


def _file(row: int, value: Any) -> File:
    if isinstance(value, bytes):
        return File(f"row {row}", lambda: value)
    text = str(value)
    if os.path.isfile(text):  # of a text that is too long for a path, pathlib's is an error
        return File(text, Path(text).read_bytes)
    try:
        content = base64.b64decode(text, validate=True)
    except ValueError:
        content = b""
    if len(content) < SMALLEST:
        raise DataError(f"input: row {row}: {shown(text)} is neither a file nor an image in base64")
    return File(f"row {row}", lambda: content)


def _files(folder: Path, number: int) -> tuple[Path, Path]:
    return folder / f"trunk_{number}.prototxt", folder / f"trunk_{number}.caffemodel"
