"""Predictions beside the truth."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ripen.competition import predictions
from ripen.competition.index import Index, Ints


@dataclass(frozen=True)
class Scored:
    """One model's outputs on one part, for the rows whose target is known.

    Attributes
    ----------
    model : str
    part : "validation" or "test"
    rows : int64 ndarray of shape (n,)
        Of the index.
    labels : ndarray of shape (n,)
        Classes; values in regression.
    probabilities : float64 ndarray of shape (n, outputs)
        One column of values in regression.
    folds : int64 ndarray of shape (n,), or None
        In which each was held out; None of the test part, and where there is but one.
    """

    model: str
    part: str
    rows: Ints
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    folds: Ints | None = None


def join(predicted: Mapping[str, pd.DataFrame], index: Index) -> Iterator[Scored]:
    """Yield every model's outputs on each part of which targets are known, in the models' order."""
    targets, known, folds = index.targets, index.known(), index.folds
    for model, table in predicted.items():
        for part, found in table.groupby("part", sort=False):
            found = found[known[found["row"].to_numpy()]]
            if len(found):
                rows = found["row"].to_numpy(np.int64)
                own = folds[rows] if part == "validation" else None
                several = own is not None and len(np.unique(own)) > 1
                yield Scored(
                    model,
                    str(part),
                    rows,
                    targets[rows],  # type: ignore[arg-type]
                    predictions.outputs(found),
                    own if several else None,
                )


def main_part(scored: list[Scored]) -> str:
    """Return the part by which models are chosen: "test" where nothing is validated."""
    return "validation" if any(one.part == "validation" for one in scored) else "test"


def last_part(scored: list[Scored]) -> str:
    """Return the part that is drawn: "test" where its targets are known, else "validation"."""
    return "test" if any(one.part == "test" for one in scored) else "validation"
