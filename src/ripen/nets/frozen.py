"""Features of images from frozen nets or of their pixels, each as one HDF5 file.

A file has the data sets `row`, int64 of shape (n,), the images' rows in the index, and `features`
of shape (n, views, size). Its attributes are the settings. Features are written batch by batch, so
the memory does not grow with the number of images.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

import caffe
from caffe.hdf5 import new_file
from caffe.proto.caffe_pb2 import NetParameter
from ripen.core.atomic import replacing
from ripen.core.errors import ConfigError
from ripen.core.registry import nearest
from ripen.data.batches import batches, prepare_views
from ripen.data.decode import File, decode, in_order
from ripen.data.image_input import Input, View, histogram, thumbnail, views
from ripen.nets import device
from ripen.nets.contract import contract
from ripen.nets.device import Waits
from ripen.nets.opening import open_net
from ripen.nets.published import caffemodel
from ripen.nets.surgery import trunk
from ripen.nets.zoo import DEFINITIONS
from ripen.settings.compose import as_mapping, check
from ripen.settings.schema import FrozenNet, Images
from ripen.settings.typed import typed

Advance = Callable[[int], None]
Opened = tuple[caffe.Net, Input]
"""A frozen net with its weights, and its input."""
AT_ONCE = 256  # images whose pixels are features, in a batch
SHARP = 4  # times a thumbnail's side: a JPEG file is decoded no larger than that needs


class Block(NamedTuple):
    """Features of some rows in some views.

    Attributes
    ----------
    rows, views : slice
        The block's place in the whole.
    values : ndarray of shape (rows, views, size)
    """

    rows: slice
    views: slice
    values: NDArray[np.floating]


@dataclass(frozen=True)
class Features:
    """Features of n images, which are computed when `blocks` is iterated, once.

    Attributes
    ----------
    shape : (n, views, size)
    dtype : dtype
    blocks : iterator of Block
        They cover the whole.
    waits : Waits
        What their computation waited for, so far.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    blocks: Iterator[Block]
    waits: Waits = field(default_factory=Waits)

    def array(self) -> NDArray[Any]:
        """Compute them all into one array."""
        found = np.empty(self.shape, self.dtype)
        self.write(found)
        return found

    def write(self, out: Any) -> None:
        """Compute them into an array or data set, a block at a time."""
        for block in self.blocks:
            out[block.rows, block.views] = block.values


class Extraction(Protocol):
    """Settings of one set of features."""

    @property
    def passes(self) -> int:
        """Number of times that the progress counts each image."""

    def nets(self) -> list[FrozenNet]:
        """Return the nets that it needs."""

    def extract(
        self,
        files: Sequence[File],
        images: Images,
        threads: int,
        advance: Advance = ...,
        nets: Sequence[Opened] = (),
    ) -> Features:
        """Return the features of images, from these opened `nets` or from those of the zoo.

        After each batch `advance` gets its number of images.

        Raises
        ------
        DataError
            While the features are iterated: if an image cannot be read.
        """

    def attributes(self) -> dict[str, Any]:
        """Return the attributes of the file."""


@typed
class OfNet:
    """Features from a frozen net."""

    frozen: FrozenNet

    @property
    def passes(self) -> int:
        return len(self.frozen.sides)

    def nets(self) -> list[FrozenNet]:
        """Return the net (`Extraction.nets`)."""
        return [self.frozen]

    def extract(
        self,
        files: Sequence[File],
        images: Images,
        threads: int,
        advance: Advance = lambda images: None,
        nets: Sequence[Opened] = (),
    ) -> Features:
        """Return the features of images (`Extraction.extract`)."""
        (opened,) = nets or [from_zoo(self.frozen)]
        return extract(opened, self.frozen, images, files, threads, advance)

    def attributes(self) -> dict[str, Any]:
        """Return the net's settings (`Extraction.attributes`)."""
        return as_mapping(self.frozen)


@typed
class OfPixels:
    """Features computed from the pixels of each image, without a net."""

    passes: ClassVar[int] = 1

    @property
    def size(self) -> int:
        """Number of features."""
        raise NotImplementedError

    def values(self, content: bytes, name: str) -> NDArray[np.float32]:
        """Return the features, of shape (size,), of one image file."""
        raise NotImplementedError

    def nets(self) -> list[FrozenNet]:
        """Return none (`Extraction.nets`)."""
        return []

    def extract(
        self,
        files: Sequence[File],
        images: Images,
        threads: int,
        advance: Advance = lambda images: None,
        nets: Sequence[Opened] = (),
    ) -> Features:
        """Return the features of images, which have one view (`Extraction.extract`)."""

        def blocks() -> Iterator[Block]:
            contents = ((file.name, file.read()) for file in files)
            found = in_order(lambda pair: self.values(pair[1], pair[0]), contents, threads)
            done = 0
            while batch := list(islice(found, AT_ONCE)):
                rows = slice(done, done + len(batch))
                yield Block(rows, slice(0, 1), np.stack(batch)[:, np.newaxis])
                advance(len(batch))
                done = rows.stop

        return Features((len(files), 1, self.size), np.dtype(np.float32), blocks())

    def attributes(self) -> dict[str, Any]:
        """Return the settings (`Extraction.attributes`)."""
        return as_mapping(self)


@typed
class OfColours(OfPixels):
    """Colour histograms of `bins` an axis."""

    bins: Annotated[int, Field(ge=2, le=16)]

    @property
    def size(self) -> int:
        """Number of bins."""
        return self.bins**3

    def values(self, content: bytes, name: str) -> NDArray[np.float32]:
        """Return an image's histogram."""
        return histogram(decode(content, name), self.bins)


@typed
class OfThumbnail(OfPixels):
    """The pixels of the image itself, squeezed to `side` by `side`: what is light, and where."""

    side: Annotated[int, Field(ge=1, le=64)]

    @property
    def size(self) -> int:
        """Number of values, three a pixel."""
        return 3 * self.side**2

    def values(self, content: bytes, name: str) -> NDArray[np.float32]:
        """Return an image's thumbnail."""
        least = SHARP * self.side
        return thumbnail(decode(content, name, (least, least)), self.side)


PIXELS: dict[str, type[OfColours | OfThumbnail]] = {
    "histogram": OfColours,
    "thumbnail": OfThumbnail,
}


def settings(section: Mapping[str, Any], where: str) -> OfNet | OfColours | OfThumbnail:
    """Return the extraction that a section of `features` describes.

    Raises
    ------
    ConfigError
        If `extract` names none, or its settings do not fit.
    """
    values = dict(section)
    kind = values.pop("extract", "")
    if kind == "frozen":
        return OfNet(frozen=check(values, FrozenNet, where))
    if kind in PIXELS:
        return check(values, PIXELS[kind], where)
    raise ConfigError(f"{where}: extract is '{kind}'{nearest(str(kind), ['frozen', *PIXELS])}")


def frozen_net(section: Mapping[str, Any]) -> FrozenNet:
    """Return the frozen net of a section of `features` that has one."""
    (net,) = settings(section, "features").nets()
    return net


def definition(settings: FrozenNet) -> NetParameter:
    """Return the frozen part of a net: its output has the features.

    Raises
    ------
    ConfigError
        If the net does not exist or does not have a layer.
    """
    whole = DEFINITIONS[settings.net].deploy()
    return trunk(whole, settings.layers, settings.pools, settings.sides[0])


def from_zoo(settings: FrozenNet) -> Opened:
    """Open a net of the zoo with its published weights.

    Raises
    ------
    UsageError, SourceError
        If the net does not exist, or its weights are not found.
    ConfigError
        If the net does not have a layer.
    """
    net = open_net(definition(settings), caffe.TEST, str(caffemodel(settings.net)))
    return net, contract(settings.net).input


def extract(
    opened: Opened,
    settings: FrozenNet,
    images: Images,
    files: Sequence[File],
    threads: int,
    advance: Advance,
) -> Features:
    """Return the features of images from a frozen net.

    The views of the first of the settings' `sides` come first, then those of the next.

    Parameters
    ----------
    opened : (caffe.Net, Input)
        As `from_zoo` returns them.
    settings : FrozenNet
    images : Images
        `crop`, `batch_size` (of images, not views) and the `precision` of the result.
    files : sequence of File, length n
    threads : int
        As for `ripen.data.batches`.
    advance : callable
        Called after each batch with its number of images: n times the number of `sides` in all.

    Raises
    ------
    DataError
        While iterating: if an image cannot be read.
    """
    net, wanted = opened
    (output,) = net.outputs
    batch_size = images.batch_size
    assert batch_size is not None  # `complete` has filled it in
    seen, dtype = views(settings.views, images.crop), np.dtype(images.precision)
    size, waits = int(net.blobs[output].shape[1]), Waits()

    def blocks() -> Iterator[Block]:
        for number, side in enumerate(settings.sides):
            place = slice(number * len(seen), (number + 1) * len(seen))
            done = 0
            sized = wanted.sized(side, side)
            for values in _of_side(net, sized, seen, files, batch_size, threads, waits):
                rows = slice(done, done + len(values))
                yield Block(rows, place, values.astype(dtype))
                advance(len(values))
                done = rows.stop

    return Features((len(files), len(settings.sides) * len(seen), size), dtype, blocks(), waits)


def _of_side(
    net: caffe.Net,
    wanted: Input,
    seen: Sequence[View],
    files: Sequence[File],
    batch_size: int,
    threads: int,
    waits: Waits,
) -> Iterator[NDArray[np.floating]]:
    """Yield the features at one input size, batch after batch, shape (n, views, size)."""
    (output,) = net.outputs
    decoded = batches(
        files, wanted, prepare_views(wanted, seen), batch_size, threads,
        workers=device.workers(), views=len(seen), pin=device.pin,
    )  # fmt: skip
    for batch in waits.drawn(decoded):
        device.put(net.blobs["data"], batch.data)
        found = np.asarray(net.forward()[output])
        yield found.reshape(len(batch.rows), len(seen), -1)


def write(
    path: Path, rows: NDArray[np.int64], features: Features, attributes: Mapping[str, Any]
) -> None:
    """Compute features and write them to a file, whole or not at all.

    Parameters
    ----------
    path : Path
    rows : int64 ndarray of shape (n,)
        The images' rows in the index.
    features : Features
    attributes : mapping
        The settings, stored as the file's attributes.
    """
    size = math.prod(features.shape) * features.dtype.itemsize + rows.nbytes
    with replacing(path) as temporary, new_file(temporary, size) as file:
        file["row"] = rows
        file.attrs.update(attributes)
        features.write(file.create_dataset("features", features.shape, features.dtype))
