"""Stratified splits that keep groups, such as near-duplicates, together.

scikit-learn's StratifiedGroupKFold is similar. Here the share of a class is exact to less than one
row wherever its rows are in no group.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ripen.core.errors import DataError


def held_out(
    labels: NDArray[np.int64], groups: NDArray[np.int64], share: float, seed: int
) -> NDArray[np.bool_]:
    """Return which rows are held out for validation.

    Parameters
    ----------
    labels : int64 ndarray of shape (n,)
        From 0 up.
    groups : int64 ndarray of shape (n,)
        Rows with the same number stay together.
    share : float in (0, 1)
        Share of each class that is held out.
    seed : int

    Returns
    -------
    bool ndarray of shape (n,)
    """
    return np.asarray(deal(labels, groups, [1 - share, share], seed) == 1)


def folds(
    labels: NDArray[np.int64], groups: NDArray[np.int64], k: int, seed: int
) -> NDArray[np.int64]:
    """Return the fold, from 0 to k - 1, in which each row is held out.

    Raises
    ------
    DataError
        If a class has fewer than k rows.
    """
    counts = np.bincount(labels)
    if counts.min() < k:
        raise DataError(
            f"class {counts.argmin()} has {counts.min()} rows. Needed: {k}, one for each fold"
        )
    return deal(labels, groups, [1 / k] * k, seed)


def deal(
    labels: NDArray[np.int64], groups: NDArray[np.int64], shares: Sequence[float], seed: int
) -> NDArray[np.int64]:
    """Deal rows to parts: groups of several rows first, from large to small, then single rows.

    Each group goes to the part that is furthest from its share of the group's classes. Single rows
    then complete the shares.

    Parameters
    ----------
    labels, groups : int64 ndarray of shape (n,)
    shares : sequence of float
        Share of each class that each part gets; they sum to 1.
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
    """Return integers of shape (classes, parts) close to each class's shares; rows sum to counts.

    The remainder of a class goes to the parts that lost most by rounding down, over all classes.
    """
    targets = np.empty((len(counts), len(shares)), np.int64)
    lost = np.zeros(len(shares))
    for label, count in enumerate(counts):
        exact = count * shares
        targets[label] = np.floor(exact + 1e-9)
        lost += exact - targets[label]
        # A part whose share of this class is a whole number gets no remainder.
        open_ = exact - targets[label] > 1e-9
        order = np.argsort(-np.where(open_, lost, -np.inf), kind="stable")
        extra = order[: count - targets[label].sum()]
        targets[label][extra] += 1
        lost[extra] -= 1
    return targets


def _fitted(missing: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    """Return the rows that each part still needs, reduced where large groups took too many."""
    fitted = np.maximum(missing, 0)
    while fitted.sum() > rows:
        fitted[np.argmax(fitted)] -= 1
    return fitted
