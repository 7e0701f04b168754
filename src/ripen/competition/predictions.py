"""Probabilities as the models leave them for `evaluate` and `predict`: one long table."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ripen.core.atomic import replacing
from ripen.core.errors import DataError
from ripen.core.layout import Layout


def table(
    model: str, part: str, ids: NDArray[np.int64], probabilities: NDArray[np.floating]
) -> pd.DataFrame:
    """Return one model's probabilities on one part as rows of the long table.

    Parameters
    ----------
    model, part : str
        For instance "svm" and "validation".
    ids : ndarray of shape (n,)
    probabilities : ndarray of shape (n, classes)
        Rows sum to 1.

    Returns
    -------
    DataFrame of n rows
        Columns model, part, id, p0, p1, …
    """
    columns = {f"p{k}": column for k, column in enumerate(probabilities.T.astype(np.float64))}
    return pd.DataFrame({"model": model, "part": part, "id": ids, **columns})


def probabilities(rows: pd.DataFrame) -> NDArray[np.float64]:
    """Return the probabilities of rows of the long table, shape (n, classes)."""
    return rows.filter(regex=r"^p\d+$").to_numpy(np.float64)


def write(path: Path, tables: Iterable[pd.DataFrame]) -> None:
    """Write the long table as CSV, every digit kept."""
    with replacing(path) as temporary:
        pd.concat(tables).to_csv(temporary, index=False, lineterminator="\n")


def read(*paths: Path) -> pd.DataFrame:
    """Read and join long tables."""
    return pd.concat([pd.read_csv(path) for path in paths])


def read_left(layout: Layout) -> dict[str, pd.DataFrame]:
    """Read what the stages of a competition left, by the stage that did.

    Raises
    ------
    DataError
        If none left anything.
    """
    files = {"baselines": layout.baselines, "train": layout.train}
    paths = {stage: folder / "predictions.csv" for stage, folder in files.items()}
    found = {stage: read(path) for stage, path in paths.items() if path.exists()}
    if not found:
        raise DataError(f"{layout.models}: no model left a predictions.csv. Run: dvc repro")
    return found
