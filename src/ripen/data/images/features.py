"""What frozen nets say of pictures, once for each picture and kept by what it is.

A shelf is a folder of finished rows, in files named by what is in them: of one net, its weights,
its layers and its views of a picture; each row is found by the SHA-256 of the picture's file. A
picture that another competition has too, or that was done before somebody ended the stage, is not
done again.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

import caffe
from caffe.formats import to_text
from ripen.core.atomic import replacing
from ripen.data.batches import batches, prepare_views
from ripen.data.decode import File
from ripen.data.image_input import views
from ripen.nets.zoo import DEFINITIONS, weights
from ripen.nets.zoo.contract import contract
from ripen.nets.zoo.trunk import trunk
from ripen.settings.schema.photos import FrozenNet

SHELVED = 256  # pictures in a file of a shelf: what is lost at most when it is ended
Advance = Callable[[int], None]


class Extractor:
    """A frozen net, and the views of a picture that it is shown.

    Parameters
    ----------
    settings : FrozenNet
    side : int
        Height and width of its input, in pixels: one of those of the settings.
    crop : float in (0, 1)
        Share of a picture's sides, of the views that are parts of it.
    precision : "float16" or "float32"
        In which the features are kept.

    Raises
    ------
    UsageError, SourceError
        If there is no such net, or its weights cannot be had.
    ConfigError
        If it has no such layer.

    Attributes
    ----------
    key : str
        Hash of everything that the features depend on beside the picture.
    """

    def __init__(
        self, settings: FrozenNet, side: int, crop: float, precision: str = "float16"
    ) -> None:
        self.wanted = contract(settings.net).input.sized(side, side)
        self.views = views(settings.views, crop)
        self.dtype = np.dtype(precision)
        definition = trunk(
            DEFINITIONS[settings.net].deploy(), settings.layers, settings.pools, side
        )
        file = weights.caffemodel(settings.net)
        self._net = caffe.Net(definition, caffe.TEST, weights=str(file))
        (self._output,) = self._net.outputs
        self.size = int(self._net.blobs[self._output].shape[1])
        self.key = _hash(
            to_text(definition),
            hashlib.sha256(file.read_bytes()).hexdigest(),
            repr(self.wanted),
            repr(self.views),
            precision,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Of one picture's features: views, and numbers of each."""
        return len(self.views), self.size

    def of(
        self, files: Sequence[File], batch_size: int, threads: int
    ) -> Iterator[NDArray[np.floating]]:
        """Yield the features of pictures, batch after batch, shape (n, views, size).

        Raises
        ------
        DataError
            If a picture cannot be read.
        """
        prepare = prepare_views(self.wanted, self.views)
        for batch in batches(files, self.wanted, prepare, batch_size, threads):
            self._net.blobs["data"].reshape(*batch.data.shape)
            found = self._net.forward(data=batch.data)[self._output]
            yield np.asarray(found).reshape(len(batch.rows), *self.shape).astype(self.dtype)


def fill(
    extractor: Extractor,
    shelf: Path,
    files: Sequence[File],
    sha256: Sequence[str],
    batch_size: int,
    threads: int,
    advance: Advance,
) -> None:
    """Put what is missing of pictures on a shelf.

    Parameters
    ----------
    extractor : Extractor
    shelf : Path
        Its folder.
    files, sha256 : sequences of length n
        The pictures' files and their hashes.
    batch_size, threads : int
        As `ripen.data.batches` has them; `batch_size` are pictures.
    advance : callable
        Is told how many pictures are done more.
    """
    there = set(_places(shelf))
    missing = {sha: file for sha, file in zip(sha256, files, strict=True) if sha not in there}
    advance(len(files) - len(missing))
    for start in range(0, len(missing), SHELVED):
        names = list(missing)[start : start + SHELVED]
        found = []
        for features in extractor.of([missing[name] for name in names], batch_size, threads):
            found.append(features)
            advance(len(features))
        with (
            replacing(shelf / f"{_hash(names)}.h5") as temporary,
            h5py.File(temporary, "w") as file,
        ):
            file["features"] = np.concatenate(found)
            file["sha256"] = np.array(names, "S64")


def gather(shelf: Path, sha256: Sequence[str], out: h5py.Dataset, views: slice) -> None:
    """Copy the rows of pictures from a shelf, all of whom are there, into a data set.

    Parameters
    ----------
    shelf : Path
    sha256 : sequence of str, length n
    out : Dataset of shape (n, all views, size)
    views : slice
        Those that the shelf has.
    """
    places = _places(shelf)
    wanted: dict[Path, list[int]] = {}
    for row, sha in enumerate(sha256):
        wanted.setdefault(places[sha][0], []).append(row)
    for path, rows in wanted.items():
        with h5py.File(path) as file:
            out[rows, views] = file["features"][()][[places[sha256[row]][1] for row in rows]]


def _places(shelf: Path) -> dict[str, tuple[Path, int]]:
    """Return the file and row of each picture on a shelf."""
    places: dict[str, tuple[Path, int]] = {}
    for path in sorted(shelf.glob("[!.]*.h5")):
        with h5py.File(path) as file:
            places |= {sha.decode(): (path, row) for row, sha in enumerate(file["sha256"][()])}
    return places


def _hash(*values: object) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:32]
