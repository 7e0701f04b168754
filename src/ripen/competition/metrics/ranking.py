"""Metrics of a ranking: the classes or labels of each row, most probable first.

A ranking is an int64 ndarray of shape (n, c) of class numbers. The truth is the class of each row,
shape (n,), or 0 or 1 for each of c labels, shape (n, c).
"""

import numpy as np
from numpy.typing import NDArray

from ripen.competition.metrics import CLASSES, LABELS, metric
from ripen.settings.typed import Count

Ints = NDArray[np.int64]
TOP = 5
EITHER = (*CLASSES, *LABELS)


@metric("top5", "top 5", "probability", greater_is_better=True, tasks=("multiclass",))
def top5(labels: Ints, probabilities: NDArray[np.float64]) -> float:
    """Return the share of rows whose class is among the five most probable.

    Undefined for five classes or fewer, where it would always be 1.

    Source: scikit-learn, `top_k_accuracy_score` with `k=5`.
    """
    return _top(labels, probabilities, TOP)


@metric("top_k", "top k", "probability", greater_is_better=True, tasks=("multiclass",))
def top_k(labels: Ints, probabilities: NDArray[np.float64], *, k: Count = 3) -> float:
    """Return the share of rows whose class is among the k most probable.

    Undefined for k classes or fewer, where it would always be 1.

    Source: scikit-learn, `top_k_accuracy_score`.
    """
    return _top(labels, probabilities, k)


def _top(labels: Ints, probabilities: NDArray[np.float64], k: int) -> float:
    from sklearn.metrics import top_k_accuracy_score

    classes = np.arange(probabilities.shape[1])
    if len(classes) <= k:
        return float("nan")
    if len(classes) == 2:  # scikit-learn needs one column here
        return float(np.mean(probabilities.argmax(axis=1) == labels))
    return float(top_k_accuracy_score(labels, probabilities, k=k, labels=classes))


@metric("map_at_k", "MAP@k", "ranking", greater_is_better=True, tasks=EITHER)
def map_at_k(truth: Ints, ranking: Ints, *, k: Count = 3) -> float:
    """Return the mean over rows of the average precision of the best k.

    For a row it is the sum of the precisions at the correct places, divided by k or by the number
    of true labels, whichever is smaller. With one class a row it is 1 / place, and 0 beyond k. Rows
    without a true label count 0.

    Source: Kaggle, `expedia-hotel-recommendations`, `humpback-whale-identification`.
    """
    hits = _hits(truth, ranking)[:, :k]
    places = np.arange(1, hits.shape[1] + 1)
    precision = hits.cumsum(axis=1) / places
    possible = np.maximum(np.minimum(_true(truth), k), 1)
    return float(np.mean((precision * hits).sum(axis=1) / possible))


@metric("ndcg_at_k", "NDCG@k", "ranking", greater_is_better=True, tasks=EITHER)
def ndcg_at_k(truth: Ints, ranking: Ints, *, k: Count = 5) -> float:
    """Return the mean over rows of the discounted gain of the best k, divided by the maximum.

    A true label at place i gains 1 / log2(i + 1). Rows without a true label count 0.

    Source: Järvelin and Kekäläinen, 2002; Kaggle, `airbnb-recruiting-new-user-bookings`;
    scikit-learn, `ndcg_score`, which averages over the orders of equal scores.
    """
    discounts = 1 / np.log2(np.arange(2, ranking.shape[1] + 2))[:k]
    gain = _hits(truth, ranking)[:, :k] @ discounts
    largest = np.concatenate([[0.0], discounts.cumsum()])[np.minimum(_true(truth), len(discounts))]
    return float(np.mean(np.divide(gain, largest, out=np.zeros(len(gain)), where=largest > 0)))


def _hits(truth: Ints, ranking: Ints) -> NDArray[np.int64]:
    """Return 1 where a ranked class is true, else 0, shape (n, c)."""
    if truth.ndim == 1:
        return np.asarray(ranking == truth[:, None], np.int64)
    return np.take_along_axis(truth, ranking, axis=1).astype(np.int64)


def _true(truth: Ints) -> Ints:
    """Return the number of true classes of each row, shape (n,)."""
    return np.ones(len(truth), np.int64) if truth.ndim == 1 else truth.sum(axis=1).astype(np.int64)
