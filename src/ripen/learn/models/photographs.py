"""What a served model of photographs takes: their files; and what it makes of them for itself."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import caffe
from caffe.formats import to_text
from ripen.core.atomic import write_text
from ripen.core.errors import DataError
from ripen.data.batches import batches, prepare_views
from ripen.data.decode import File
from ripen.data.decode import decode as decoded
from ripen.data.image_input import Input, histogram, views
from ripen.learn.models.views import AT_ONCE
from ripen.nets import frozen
from ripen.nets.contract import contract
from ripen.nets.surgery import trunk
from ripen.nets.zoo import DEFINITIONS
from ripen.settings.schema import Competition, FrozenNet
from ripen.settings.typed import typed

Array = NDArray[np.float32]


@typed
class Look:
    """How one frozen net looks at a picture, as `ripen.nets.frozen` does."""

    net: FrozenNet
    wanted: Input
    crop: float
    precision: Literal["float16", "float32"]


@typed
class Photographs:
    """What frozen nets say of a picture, side by side, and how often it has each colour.

    Colours are counted in `bins` an axis, none where that is 0.
    """

    looks: list[Look]
    bins: int = 0


def photographs(competition: Competition, names: Sequence[str]) -> Photographs:
    """Return what a model on the features of some nets takes; colours may be among them."""
    images = competition.images
    assert images is not None  # or there would be no features
    looks, bins = [], 0
    for name in names:
        found = frozen.settings(competition.features[name], f"features.{name}")
        if isinstance(found, frozen.OfColours):
            bins = found.bins
        else:
            net = frozen.frozen_net(competition.features[name])
            wanted = contract(net.net).input
            look = Look(net=net, wanted=wanted, crop=images.crop, precision=images.precision)
            looks.append(look)
    return Photographs(looks=looks, bins=bins)


def write_nets(folder: Path, taken: Photographs, weights: Callable[[str], Path]) -> None:
    """Put the frozen nets into a folder, which is a matter of many megabytes.

    Parameters
    ----------
    folder : Path
    taken : Photographs
    weights : callable
        Gives the caffemodel of a net of the zoo.
    """
    for number, look in enumerate(taken.looks):
        definition, copied = _files(folder, number)
        frozen = DEFINITIONS[look.net.net].deploy()
        written = trunk(frozen, look.net.layers, look.net.pools, look.net.sides[0])
        write_text(definition, to_text(written))
        shutil.copyfile(weights(look.net.net), copied)


class Photographed:
    """Photographs with their nets, which `write_nets` put into a folder."""

    def __init__(self, taken: Photographs, folder: Path) -> None:
        self._taken = taken
        self._nets = [
            caffe.Net(*[str(path) for path in _files(folder, number)], caffe.TEST)
            for number in range(len(taken.looks))
        ]

    def values(self, given: pd.DataFrame) -> Array:
        """Return features, shape (n, d), of a table of one column: paths, or the files' bytes.

        Raises
        ------
        DataError
            If it is not that, or a picture cannot be read.
        """
        if given.shape[1] != 1:
            raise DataError(
                f"input: {given.shape[1]} columns. Needed: one, of paths of pictures or their bytes"
            )
        files = [_file(row, value) for row, value in enumerate(given.iloc[:, 0])]
        looks = zip(self._taken.looks, self._nets, strict=True)
        parts = [_features(look, net, files) for look, net in looks]
        if self._taken.bins:
            pictures = (decoded(file.read(), file.name) for file in files)
            parts.append(np.stack([histogram(one, self._taken.bins) for one in pictures]))
        return np.concatenate(parts, axis=1)


def _features(look: Look, net: caffe.Net, files: Sequence[File]) -> Array:
    """Return what one net says, the mean over its views of each size, shape (n, d)."""
    seen = [
        view
        for side in look.net.sides
        for view in _each_view(look, look.wanted.sized(side, side), net, files)
    ]
    total: Array = sum(seen[1:], start=seen[0])
    return total / np.float32(len(seen))


def _each_view(look: Look, wanted: Input, net: caffe.Net, files: Sequence[File]) -> Iterator[Array]:
    """Yield what one net says of each view of pictures of one size, shape (n, d)."""
    seen = views(look.net.views, look.crop)
    size, prepare = max(1, AT_ONCE // len(seen)), prepare_views(wanted, seen)
    (output,) = net.outputs
    found = []
    for batch in batches(files, wanted, prepare, size, threads=1):
        net.blobs["data"].reshape(*batch.data.shape)
        said = np.asarray(net.forward(data=batch.data)[output], look.precision)
        found.append(said.reshape(len(batch.rows), len(seen), -1).astype(np.float32))
    yield from np.moveaxis(np.concatenate(found), 1, 0)


def _file(row: int, value: Any) -> File:
    if isinstance(value, bytes):
        return File(f"row {row}", lambda: value)
    path = Path(str(value))
    if not path.is_file():
        raise DataError(f"input: row {row}: {path} is no file")
    return File(str(path), path.read_bytes)


def _files(folder: Path, number: int) -> tuple[Path, Path]:
    return folder / f"trunk_{number}.prototxt", folder / f"trunk_{number}.caffemodel"
