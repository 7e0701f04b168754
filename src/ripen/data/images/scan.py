"""Look at every picture of a competition once: what it is, whether it is whole, how it looks."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ripen.core.errors import DataError
from ripen.data.images.ahead import in_order
from ripen.data.images.decode import Facts, examine
from ripen.data.images.files import File

SIDE = 16
ENOUGH = (4 * SIDE, 4 * SIDE)
_NOTHING = Facts(0, 0, "", "", ())


@dataclass(frozen=True, slots=True)
class Look:
    """What was found at a picture.

    Attributes
    ----------
    name : str
        Its file's name in the archive.
    facts : Facts
        Zeros and "" where the file could not be read.
    bytes : int
        The file's size.
    sha256 : str
        Of the file; "" where the archive does not give it.
    dhash : int
        64 bits: is each of 8 by 8 fields, in grey, brighter than its left neighbour?
    mirrored_dhash : int
        That of the picture's mirror image.
    brightness : float
        Mean of the grey values, from 0 to 255.
    thumbnail : uint8 ndarray of shape (16, 16)
        The whole picture in grey, whatever its proportions.
    problem : str
        Why it is left out; "" for a good picture.
    """

    name: str
    facts: Facts
    bytes: int
    sha256: str
    dhash: int
    mirrored_dhash: int
    brightness: float
    thumbnail: NDArray[np.uint8]
    problem: str


def scan(files: Iterable[File], min_side: int, threads: int) -> Iterator[Look]:
    """Yield what is found at each picture, in the order of the files.

    At most a few pictures a thread are in memory at a time.

    Parameters
    ----------
    files : iterable of File
        Read one after the other, in this order, by the caller's thread. One that cannot be read is
        a picture with a problem.
    min_side : int
        A picture of a smaller width or height is left out.
    threads : int
        The result does not depend on it.
    """
    contents = ((file.name, *_content(file)) for file in files)
    yield from in_order(lambda each: look(*each[:2], min_side, each[2]), contents, threads)


def _content(file: File) -> tuple[bytes, str]:
    try:
        return file.read(), ""
    except DataError as error:  # of the archive
        return b"", str(error)


def look(name: str, content: bytes, min_side: int, damage: str = "") -> Look:
    """Return what is found at one picture's file.

    `damage` is what is wrong with the file already, in which case nothing is looked for.
    """
    facts, problem, grey = _NOTHING, damage, Image.new("L", (1, 1))
    if not damage:
        facts, problem, grey = _seen(name, content, min_side)
    thumbnail, fields = _shrunk(grey, SIDE, SIDE), _shrunk(grey, 9, 8)
    return Look(
        name=name,
        facts=facts,
        bytes=len(content),
        sha256="" if damage else hashlib.sha256(content).hexdigest(),
        dhash=dhash(fields),
        mirrored_dhash=dhash(fields[:, ::-1]),
        brightness=float(thumbnail.mean(dtype=np.float64)),
        thumbnail=thumbnail,
        problem=problem,
    )


def _seen(name: str, content: bytes, min_side: int) -> tuple[Facts, str, Image.Image]:
    """Facts, problem, and the picture in grey: one black pixel where it cannot be read."""
    try:
        picture, facts = examine(content, name, ENOUGH)
    except DataError as error:
        return _NOTHING, str(error).removeprefix(f"{name}: "), Image.new("L", (1, 1))
    problem = ""
    if min(facts.width, facts.height) < min_side:
        problem = f"is too small: {facts.width}x{facts.height}, at least {min_side} is needed"
    return facts, problem, picture.convert("L")


def dhash(fields: NDArray[np.uint8]) -> int:
    """Return the difference hash of a grey picture of 8 rows and 9 columns.

    >>> hex(dhash(np.tile(np.arange(9, dtype=np.uint8), (8, 1))))
    '0xffffffffffffffff'
    """
    return int.from_bytes(np.packbits(fields[:, 1:] > fields[:, :-1]).tobytes())


def _shrunk(grey: Image.Image, width: int, height: int) -> NDArray[np.uint8]:
    return np.asarray(grey.resize((width, height), Image.Resampling.BILINEAR))
