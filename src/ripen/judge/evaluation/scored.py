"""Probabilities beside the truth: what models left, joined with the labels that are known."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ripen.competition import predictions
from ripen.competition.datasets.prepared import read_part
from ripen.core.layout import Layout


@dataclass(frozen=True)
class Truth:
    """The rows of a part whose labels are known.

    Attributes
    ----------
    ids, labels : int64 ndarray of shape (n,)
    folds : int64 ndarray of shape (n,), or None
        In which fold each was held out, where it was one of several.
    """

    ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    folds: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Scored:
    """One model's probabilities on one part, beside the truth.

    Attributes
    ----------
    ids, labels : int64 ndarray of shape (n,)
    probabilities : float64 ndarray of shape (n, classes)
    folds : int64 ndarray of shape (n,), or None
    """

    model: str
    part: str
    ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    folds: NDArray[np.int64] | None = None


def known_parts(layout: Layout) -> dict[str, Truth]:
    """Return the parts of a table, or of small pictures, whose labels are known."""
    parts = {name: read_part(layout.prepared, name) for name in ("validation", "test")}
    return {
        name: Truth(part.ids, part.labels)
        for name, part in parts.items()
        if part.labels is not None
    }


def known_photos(index: pd.DataFrame) -> dict[str, Truth]:
    """Return the parts of photographs whose labels are known; ids are numbers of index rows.

    Every training picture is validated on, by a model that was trained without its fold.
    """
    found = {}
    for name, part in (("validation", "train"), ("test", "test")):
        rows = index[(index.part == part) & (index.label >= 0) & (index.problem == "")]
        if len(rows):
            folds = rows.fold.to_numpy() if part == "train" else None
            found[name] = Truth(rows.index.to_numpy(), rows.label.to_numpy(), folds)
    return found


def join(table: pd.DataFrame, known: Mapping[str, Truth]) -> Iterator[Scored]:
    """Yield every model's probabilities on each part that is known, in the table's order."""
    for (model, part), rows in table.groupby(["model", "part"], sort=False):
        if (truth := known.get(str(part))) is not None:
            ids = rows["id"].to_numpy()
            at = pd.Series(np.arange(len(truth.ids)), index=truth.ids).loc[ids].to_numpy()
            folds = None if truth.folds is None else truth.folds[at]
            found = predictions.probabilities(rows)
            yield Scored(str(model), str(part), ids, truth.labels[at], found, folds)


def main_part(scored: list[Scored]) -> str:
    """Return the part by which models are chosen: "test" where nothing is validated."""
    return "validation" if any(one.part == "validation" for one in scored) else "test"


def last_part(scored: list[Scored]) -> str:
    """Return the part that is drawn: "test" where its labels are known, else "validation"."""
    return "test" if any(one.part == "test" for one in scored) else "validation"
