"""Deal rows to parts: groups stay whole, and every part gets its share of each class."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def deal(
    labels: NDArray[np.int64], groups: NDArray[np.int64], shares: Sequence[float], seed: int
) -> NDArray[np.int64]:
    """Deal rows to parts: first groups of several rows, the large ones first, then single rows.

    A group goes to the part that lacks most of its classes; single rows fill the gaps.

    Parameters
    ----------
    labels, groups : int64 ndarray of shape (n,)
    shares : sequence of float
        The share of each part in every class; they sum to 1.
    seed : int

    Returns
    -------
    int64 ndarray of shape (n,)
        The part of each row.
    """
    rng = np.random.default_rng(seed)
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    need = _targets(np.bincount(labels), np.array(shares))
    target = np.maximum(need, 1)
    parts = np.empty(len(labels), np.int64)
    several = rng.permutation(np.flatnonzero(sizes > 1))
    for g in several[np.argsort(-sizes[several], kind="stable")]:
        rows = np.flatnonzero(group == g)
        classes = np.bincount(labels[rows], minlength=len(need))
        part = int(np.argmax(classes @ (need / target)))
        parts[rows] = part
        need[:, part] -= classes
    for label, missing in enumerate(need):
        rows = rng.permutation(np.flatnonzero((labels == label) & (sizes[group] == 1)))
        parts[rows] = np.repeat(np.arange(len(shares)), _fitted(missing, len(rows)))
    return parts


def _targets(counts: NDArray[np.int64], shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return whole numbers close to the shares, shape (classes, parts); rows sum to counts.

    The remainder of a class goes to the parts that lost most by rounding down, over all classes.
    """
    targets = np.empty((len(counts), len(shares)), np.int64)
    lost = np.zeros(len(shares))
    for label, count in enumerate(counts):
        exact = count * shares
        targets[label] = np.floor(exact + 1e-9)
        lost += exact - targets[label]
        # A part that already has its share of this class gets no more of it.
        open_ = exact - targets[label] > 1e-9
        order = np.argsort(-np.where(open_, lost, -np.inf), kind="stable")
        extra = order[: count - targets[label].sum()]
        targets[label][extra] += 1
        lost[extra] -= 1
    return targets


def _fitted(missing: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    """Return what each part lacks, reduced by the excess that large groups brought to others."""
    fitted = np.maximum(missing, 0)
    while fitted.sum() > rows:
        fitted[np.argmax(fitted)] -= 1
    return fitted
