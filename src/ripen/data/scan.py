"""Scan every image once, for its properties, its damage and its near-duplicates.

Near-duplicates are recompressed, resized, brightened or slightly cropped copies. Candidates are
images whose difference hashes differ in few bits. Unrelated images may have similar hashes too, so
a pair counts only if the thumbnails are alike.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ripen.core.errors import DataError
from ripen.data.decode import Facts, File, examine, in_order

SIDE = 16
"""Width and height of a thumbnail."""
MAX_BITS = 10
"""Bits of 64 in which the hashes of near-duplicates may differ."""
CORRELATION = 0.95
"""Least correlation of the thumbnails of near-duplicates."""
DIFFERENCE = 3
"""Mean difference in grey values up to which plain images, which correlate with nothing, match."""

FEW, MOST = 20, 0.2  # images of a group of near-duplicates, and its share of all, that are too many
_ENOUGH = (4 * SIDE, 4 * SIDE)
_NO_FACTS = Facts(0, 0, "", "", ())
_CELLS = 2**21  # of the table of distances, at a time
_PAIRS = 2**13  # of thumbnails, at a time

Pairs = NDArray[np.int64]  # of shape (pairs, 2): rows, the lower one first, in rising order


@dataclass(frozen=True, slots=True)
class Scanned:
    """The result of scanning one image.

    Attributes
    ----------
    name : str
        Name of the file in its archive.
    facts : Facts
        Zeros and "" if the file could not be decoded.
    bytes : int
        Size of the file.
    sha256 : str
        Hash of the file; "" if the archive is damaged there.
    dhash : int
        Difference hash of 64 bits: whether each of 8 by 8 grey fields is brighter than its left
        neighbour.
    mirrored_dhash : int
        Difference hash of the mirror image.
    brightness : float
        Mean grey value, from 0 to 255.
    thumbnail : uint8 ndarray of shape (16, 16)
        The whole image in grey, squeezed to a square.
    problem : str
        Why the image is excluded; "" for a good one.
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


def scan(files: Iterable[File], min_side: int, threads: int) -> Iterator[Scanned]:
    """Scan images in the order of their files; only a few per thread are in memory at a time.

    Parameters
    ----------
    files : iterable of File
        Read in this order by the caller's thread. A file that cannot be read is an image with a
        problem, not an error.
    min_side : int
        An image of a smaller width or height is excluded.
    threads : int
        The result does not depend on it.
    """
    contents = ((file.name, *_content(file)) for file in files)
    yield from in_order(lambda each: scan_image(*each[:2], min_side, each[2]), contents, threads)


def _content(file: File) -> tuple[bytes, str]:
    try:
        return file.read(), ""
    except DataError as error:  # the archive is damaged there
        return b"", str(error)


def scan_image(name: str, content: bytes, min_side: int, damage: str = "") -> Scanned:
    """Scan one image.

    Parameters
    ----------
    name : str
    content : bytes
        The file.
    min_side : int
        As `scan` has it.
    damage : str
        Error of reading the file; if there is one, `content` is not decoded.
    """
    facts, problem, grey = _NO_FACTS, damage, Image.new("L", (1, 1))
    if not damage:
        facts, problem, grey = _decoded(name, content, min_side)
    thumbnail, fields = _shrunk(grey, SIDE, SIDE), _shrunk(grey, 9, 8)
    return Scanned(
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


def _decoded(name: str, content: bytes, min_side: int) -> tuple[Facts, str, Image.Image]:
    """Return facts, problem, and the grey image, which is one black pixel if decoding fails."""
    try:
        image, facts = examine(content, name, _ENOUGH)
    except DataError as error:
        return _NO_FACTS, str(error).removeprefix(f"{name}: "), Image.new("L", (1, 1))
    problem = ""
    if min(facts.width, facts.height) < min_side:
        problem = f"is too small: {facts.width}x{facts.height}, at least {min_side} is needed"
    return facts, problem, image.convert("L")


def dhash(fields: NDArray[np.uint8]) -> int:
    """Return the difference hash of a grey image of 8 rows and 9 columns.

    >>> hex(dhash(np.tile(np.arange(9, dtype=np.uint8), (8, 1))))
    '0xffffffffffffffff'
    """
    return int.from_bytes(np.packbits(fields[:, 1:] > fields[:, :-1]).tobytes())


def _shrunk(grey: Image.Image, width: int, height: int) -> NDArray[np.uint8]:
    return np.asarray(grey.resize((width, height), Image.Resampling.BILINEAR))


@dataclass(frozen=True)
class Duplicates:
    """The duplicates among images.

    Attributes
    ----------
    group : int64 ndarray of shape (n,)
        Lowest row among the duplicates of each image, and the duplicates of those.
    exact : int64 ndarray of shape (pairs, 2)
        Each image whose file equals an earlier one, after the first such.
    near : int64 ndarray of shape (pairs, 2)
        Near-duplicates of different bytes.
    mirrored : int64 ndarray of shape (pairs, 2)
        Near-duplicates of mirror images; they do not form a group.
    """

    group: NDArray[np.int64]
    exact: Pairs
    near: Pairs
    mirrored: Pairs


def find_duplicates(images: Sequence[Scanned]) -> Duplicates:
    """Return the duplicates among images; undecodable files are compared by their bytes only.

    Duplicates are no group if that had more than `FEW` images and a share `MOST` of all.
    """
    exact = _same_files([image.sha256 for image in images])
    # Of equal files, compare the first one only with the rest.
    later = set(exact[:, 1].tolist())
    rows = np.array(
        [i for i, image in enumerate(images) if image.facts.width and i not in later], np.int64
    )
    hashes = np.array([images[i].dhash for i in rows], np.uint64)
    mirrored = np.array([images[i].mirrored_dhash for i in rows], np.uint64)
    thumbnails = np.array([images[i].thumbnail for i in rows], np.uint8)
    near = rows[near_pairs(hashes, hashes, thumbnails, thumbnails)]
    turned = near_pairs(mirrored, hashes, thumbnails[..., ::-1], thumbnails)
    # Silhouettes, or slides of tissue, all resemble each other, and a picture may stand for every
    # image that is lacking. Such a group would not fit into a fold. Equal files go together still
    # where only the near-duplicates are too many.
    most = max(FEW, MOST * len(images))
    near_few = near[_size_of(near, len(images), exact) <= most]
    exact_few = exact[_size_of(exact, len(images), near_few) <= most]
    group = groups(len(images), np.concatenate([exact_few, near_few]))
    return Duplicates(group, exact, near, rows[turned])


def near_pairs(
    hashes: NDArray[np.uint64],
    others: NDArray[np.uint64],
    thumbnails: NDArray[np.uint8],
    other_thumbnails: NDArray[np.uint8],
    max_bits: int = MAX_BITS,
) -> Pairs:
    """Return the pairs i < j in which image i of the first set resembles image j of the second.

    Parameters
    ----------
    hashes, others : uint64 ndarray of shape (n,)
    thumbnails, other_thumbnails : uint8 ndarray of shape (n, height, width)
    max_bits : int
        Bits in which the hashes of a pair may differ.
    """
    found = [np.empty((0, 2), np.int64)]
    for pairs in _candidates(hashes, others, max_bits):
        for start in range(0, len(pairs), _PAIRS):
            part = pairs[start : start + _PAIRS]
            same = alike(thumbnails[part[:, 0]], other_thumbnails[part[:, 1]])
            found.append(part[same])
    return np.concatenate(found)


def alike(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return whether the thumbnails of each pair correlate, or hardly differ at all.

    Parameters
    ----------
    a, b : uint8 ndarray of shape (pairs, height, width)

    Returns
    -------
    bool ndarray of shape (pairs,)
    """
    x, y = (t.reshape(len(t), -1).astype(np.int64) for t in (a, b))
    n = x.shape[1]
    # Integers, so that the sums are the same on every machine.
    covariance = n * (x * y).sum(1) - x.sum(1) * y.sum(1)
    spread_x, spread_y = (n * (v * v).sum(1) - v.sum(1) ** 2 for v in (x, y))
    limit = CORRELATION * np.sqrt(spread_x.astype(np.float64)) * np.sqrt(spread_y)
    same = np.abs(x - y).sum(1) <= DIFFERENCE * n
    return np.asarray(same | ((covariance >= limit) & (covariance > 0)), np.bool_)


def groups(n: int, pairs: Pairs) -> NDArray[np.int64]:
    """Return for each of n rows the lowest row that it is connected to by pairs."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    _, component = connected_components(edges, directed=False)
    _, first = np.unique(component, return_index=True)
    return np.asarray(first[component], np.int64)


def _size_of(pairs: Pairs, n: int, others: Pairs) -> NDArray[np.int64]:
    """Return for each pair the number of rows of its group, which further pairs make larger."""
    group = groups(n, np.concatenate([pairs, others]))
    return np.bincount(group)[group[pairs[:, 0]]]


def _same_files(hashes: Sequence[str]) -> Pairs:
    first: dict[str, int] = {}
    pairs = [(first.setdefault(sha256, i), i) for i, sha256 in enumerate(hashes) if sha256]
    return np.array([pair for pair in pairs if pair[0] < pair[1]], np.int64).reshape(-1, 2)


def _candidates(
    hashes: NDArray[np.uint64], others: NDArray[np.uint64], max_bits: int
) -> Iterator[Pairs]:
    """Yield, block by block, the pairs i < j whose hashes differ in at most `max_bits` bits.

    All pairs are compared: for 37,500 images that takes seconds, and needs no index structure.
    """
    start = 0
    while start < len(hashes) - 1:
        rest = others[start + 1 :]
        stop = min(len(hashes), start + max(1, _CELLS // len(rest)))
        distance = np.bitwise_count(hashes[start:stop, np.newaxis] ^ rest)
        i, j = np.nonzero(distance <= max_bits)
        pairs = np.stack([i + start, j + start + 1], axis=1).astype(np.int64)
        yield pairs[pairs[:, 0] < pairs[:, 1]]
        start = stop
