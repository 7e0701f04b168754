"""Some rows of many: for a model whose time grows faster than the rows that it learns from."""

import numpy as np

from ripen.competition.index import Ints
from ripen.competition.tasks import Targets


def thinned(train: Ints, targets: Targets, most: int | None, seed: int) -> Ints:
    """Return at most so many training rows, drawn at random, in their order.

    Each class has its share of them, and one row at least.

    Parameters
    ----------
    train : int64 ndarray of shape (n,)
        Rows of the index.
    targets : ndarray of shape (rows of the index,), or with a column for each of several targets
    most : int or None
        None for all.
    seed : int
    """
    if most is None or len(train) <= most:
        return train
    drawn = np.random.default_rng(seed).permutation(train)
    labels = targets[drawn]
    if labels.ndim > 1 or not np.issubdtype(labels.dtype, np.integer):
        return np.sort(drawn[:most])
    # A row's place among those of its class, from 0 to 1: the first places are of all classes.
    _, numbers, counts = np.unique(labels, return_inverse=True, return_counts=True)
    by_class = np.argsort(numbers, kind="stable")
    places = np.arange(len(drawn)) - np.repeat(np.cumsum(counts) - counts, counts)
    first = np.argsort(places / np.repeat(counts, counts), kind="stable")[:most]
    return np.sort(drawn[by_class[first]])
