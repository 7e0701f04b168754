"""Which of many classes are known well, and which are taken for which."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ripen.competition.metrics import DECIMALS
from ripen.competition.metrics.classification import TOP
from ripen.judge.evaluation.scored import Scored


def table(one: Scored, classes: Sequence[str]) -> pd.DataFrame:
    """Return how each class that is there is told, in the order of the classes.

    Returns
    -------
    DataFrame
        Columns class; n (its rows); accuracy, top5 (shares of these); probability (the mean of
        what was said of the right class); predicted (how many rows of any class were taken for
        it); most_often (what its rows were taken for most often).
    """
    best = (-one.probabilities).argsort(axis=1, kind="stable")[:, :TOP]
    predicted, names = best[:, 0], np.array(classes)
    right = one.probabilities[np.arange(len(one.labels)), one.labels]
    rows = pd.DataFrame(
        {
            "label": one.labels,
            "accuracy": predicted == one.labels,
            "top5": (best == one.labels[:, None]).any(axis=1),
            "probability": right,
            "predicted": predicted,
        }
    )
    groups = rows.groupby("label")
    found = groups[["accuracy", "top5", "probability"]].mean().round(DECIMALS)
    found.insert(0, "n", groups.size())
    found["predicted"] = [int((predicted == label).sum()) for label in found.index]
    found["most_often"] = names[groups["predicted"].agg(lambda each: each.mode().iloc[0])]
    found.insert(0, "class", names[found.index.to_numpy()])
    return found.reset_index(drop=True)


def confused(one: Scored, classes: Sequence[str]) -> pd.DataFrame:
    """Return which classes were taken for which, the most frequent first.

    Returns
    -------
    DataFrame
        Columns actual, predicted, n, and probability: the mean of what was said of the predicted.
    """
    pairs = _pairs(one)
    names = np.array(classes)
    return pd.DataFrame(
        {
            "actual": names[pairs.actual],
            "predicted": names[pairs.predicted],
            "n": pairs.n,
            "probability": pairs.probability.round(DECIMALS),
        }
    )


def most_confused(one: Scored, limit: int) -> NDArray[np.int64]:
    """Return the classes of the most confused pairs, at most `limit`, in their order."""
    chosen: set[int] = set()
    for pair in _pairs(one).itertuples():
        more = chosen | {int(pair.actual), int(pair.predicted)}  # type: ignore[arg-type]
        if len(more) > limit:
            break
        chosen = more
    return np.array(sorted(chosen), np.int64)


def _pairs(one: Scored) -> pd.DataFrame:
    """Columns actual, predicted (labels), n and probability, the most frequent and surest first."""
    predicted, said = one.probabilities.argmax(axis=1), one.probabilities.max(axis=1)
    rows = pd.DataFrame({"actual": one.labels, "predicted": predicted, "probability": said})
    groups = rows[one.labels != predicted].groupby(["actual", "predicted"])
    found = groups.agg(n=("probability", "size"), probability=("probability", "mean"))
    order = ["n", "probability", "actual", "predicted"]
    ascending = [False, False, True, True]
    pairs: pd.DataFrame = found.reset_index()
    return pairs.sort_values(order, ascending=ascending, ignore_index=True)
