"""Pictures that are the same, or nearly: recompressed, resized, brightened, cut a little.

Candidates are pictures whose difference hashes differ in few bits. Photographs of other things can
come that near by chance, so that a pair counts only if the thumbnails are alike as well.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ripen.data.images.scan import Look

MAX_BITS = 10  # of 64
CORRELATION = 0.95
DIFFERENCE = 3  # grey values, on average; for plain pictures, which correlate with nothing
_CELLS = 2**21  # of the table of distances, at a time
_PAIRS = 2**13  # of thumbnails, at a time

Pairs = NDArray[np.int64]  # of shape (pairs, 2): rows, the lower one first, in rising order


@dataclass(frozen=True)
class Duplicates:
    """What is the same among pictures.

    Attributes
    ----------
    group : int64 ndarray of shape (n,)
        The lowest row among those that are the same or nearly, over any number of steps.
    exact : int64 ndarray of shape (pairs, 2)
        Each picture whose file is the same as an earlier one's, after the first such.
    near : int64 ndarray of shape (pairs, 2)
        Pairs that look nearly the same and are no such files.
    mirrored : int64 ndarray of shape (pairs, 2)
        Pairs in which one is nearly the other's mirror image; they do not make a group.
    """

    group: NDArray[np.int64]
    exact: Pairs
    near: Pairs
    mirrored: Pairs


def find(looks: Sequence[Look], max_bits: int = MAX_BITS) -> Duplicates:
    """Return what is the same among pictures; unreadable files are compared byte by byte only.

    Parameters
    ----------
    looks : sequence of Look, length n
    max_bits : int
        Bits in which the difference hashes of a pair may differ.
    """
    exact = _same_files([look.sha256 for look in looks])
    # Of files that are the same one stands for all.
    later = set(exact[:, 1].tolist())
    rows = np.array(
        [i for i, look in enumerate(looks) if look.facts.width and i not in later], np.int64
    )
    hashes = np.array([looks[i].dhash for i in rows], np.uint64)
    mirrored = np.array([looks[i].mirrored_dhash for i in rows], np.uint64)
    thumbnails = np.array([looks[i].thumbnail for i in rows], np.uint8)
    near = rows[near_pairs(hashes, hashes, thumbnails, thumbnails, max_bits)]
    turned = near_pairs(mirrored, hashes, thumbnails[..., ::-1], thumbnails, max_bits)
    group = groups(len(looks), np.concatenate([exact, near]))
    return Duplicates(group, exact, near, rows[turned])


def near_pairs(
    hashes: NDArray[np.uint64],
    others: NDArray[np.uint64],
    thumbnails: NDArray[np.uint8],
    other_thumbnails: NDArray[np.uint8],
    max_bits: int = MAX_BITS,
) -> Pairs:
    """Return the pairs i < j in which picture i of the first looks nearly as j of the others.

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
    """Say of pairs of thumbnails whether they correlate, or hardly differ at all.

    Parameters
    ----------
    a, b : uint8 ndarray of shape (pairs, height, width)

    Returns
    -------
    bool ndarray of shape (pairs,)
    """
    x, y = (t.reshape(len(t), -1).astype(np.int64) for t in (a, b))
    n = x.shape[1]
    # Whole numbers, and so the same on every machine.
    covariance = n * (x * y).sum(1) - x.sum(1) * y.sum(1)
    spread_x, spread_y = (n * (v * v).sum(1) - v.sum(1) ** 2 for v in (x, y))
    limit = CORRELATION * np.sqrt(spread_x.astype(np.float64)) * np.sqrt(spread_y)
    same = np.abs(x - y).sum(1) <= DIFFERENCE * n
    return np.asarray(same | ((covariance >= limit) & (covariance > 0)), np.bool_)


def groups(n: int, pairs: Pairs) -> NDArray[np.int64]:
    """Return for each of n rows the lowest row that pairs connect it with."""
    edges = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    _, component = connected_components(edges, directed=False)
    _, first = np.unique(component, return_index=True)
    return np.asarray(first[component], np.int64)


def _same_files(hashes: Sequence[str]) -> Pairs:
    first: dict[str, int] = {}
    pairs = [(first.setdefault(sha256, i), i) for i, sha256 in enumerate(hashes) if sha256]
    return np.array([pair for pair in pairs if pair[0] < pair[1]], np.int64).reshape(-1, 2)


def _candidates(
    hashes: NDArray[np.uint64], others: NDArray[np.uint64], max_bits: int
) -> Iterator[Pairs]:
    """Yield, block by block, the pairs i < j whose hashes differ in at most `max_bits` bits.

    Every pair is compared: for 37,500 pictures that takes seconds, and no index has to be right.
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
