"""Look at every picture of a competition once: what it is, whether it is whole, how it looks."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ripen.errors import DataError
from ripen.images.ahead import in_order
from ripen.images.decode import Facts, examine

SIDE = 16
ENOUGH = (4 * SIDE, 4 * SIDE)
_NOTHING = Facts(0, 0, "", "", ())


class Member(NamedTuple):
    """A file of an archive: its name there, and what reads its bytes."""

    name: str
    read: Callable[[], bytes]


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
        Of the file.
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


def scan(members: Iterable[Member], min_side: int, threads: int) -> Iterator[Look]:
    """Yield what is found at each picture, in the order of the members.

    At most a few pictures a thread are in memory at a time.

    Parameters
    ----------
    members : iterable of Member
        Read one after the other, in this order, by the caller's thread.
    min_side : int
        A picture of a smaller width or height is left out.
    threads : int
        The result does not depend on it.
    """
    files = ((member.name, member.read()) for member in members)
    yield from in_order(lambda file: look(*file, min_side), files, threads)


def look(name: str, content: bytes, min_side: int) -> Look:
    """Return what is found at one picture's file."""
    facts, problem = _NOTHING, ""
    thumbnail, fields = np.zeros((SIDE, SIDE), np.uint8), np.zeros((8, 9), np.uint8)
    try:
        picture, facts = examine(content, name, ENOUGH)
    except DataError as error:
        problem = str(error).removeprefix(f"{name}: ")
    else:
        grey = picture.convert("L")
        thumbnail, fields = _shrunk(grey, SIDE, SIDE), _shrunk(grey, 9, 8)
        if min(facts.width, facts.height) < min_side:
            problem = f"is too small: {facts.width}x{facts.height}, at least {min_side} is needed"
    return Look(
        name=name,
        facts=facts,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        dhash=dhash(fields),
        mirrored_dhash=dhash(fields[:, ::-1]),
        brightness=float(thumbnail.mean(dtype=np.float64)),
        thumbnail=thumbnail,
        problem=problem,
    )


def dhash(fields: NDArray[np.uint8]) -> int:
    """Return the difference hash of a grey picture of 8 rows and 9 columns.

    >>> hex(dhash(np.tile(np.arange(9, dtype=np.uint8), (8, 1))))
    '0xffffffffffffffff'
    """
    return int.from_bytes(np.packbits(fields[:, 1:] > fields[:, :-1]).tobytes())


def _shrunk(grey: Image.Image, width: int, height: int) -> NDArray[np.uint8]:
    return np.asarray(grey.resize((width, height), Image.Resampling.BILINEAR))
