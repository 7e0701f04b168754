"""Predictions in one form for every model: a row of the index, and the model's outputs.

Those of the part "validation" are out-of-fold: the model was not trained on the row.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ripen.competition.index import Ints
from ripen.core.errors import reading
from ripen.core.frames import read_frame, write_frame
from ripen.core.layout import Layout

FILE = "predictions.csv"
PARTS = ("validation", "test")


def table(part: str, rows: Ints, outputs: NDArray[np.floating]) -> pd.DataFrame:
    """Return a model's outputs on one part as a table.

    Parameters
    ----------
    part : "validation" or "test"
    rows : int64 ndarray of shape (n,)
        Row numbers of the index.
    outputs : ndarray of shape (n, k)
        Probabilities of each class, which sum to 1, or of each label; or k values.

    Returns
    -------
    DataFrame of n rows
        Columns part, row, p0, p1, …
    """
    columns = {f"p{k}": column for k, column in enumerate(outputs.T.astype(np.float64))}
    return pd.DataFrame({"part": part, "row": rows, **columns})


def outputs(predicted: pd.DataFrame) -> NDArray[np.float64]:
    """Return the outputs of a table's rows, shape (n, k)."""
    return predicted.filter(regex=r"^p\d+$").to_numpy(np.float64)


def write(folder: Path, tables: list[pd.DataFrame], file: str = FILE) -> None:
    """Write a model's tables as CSV, with all digits."""
    write_frame(folder / file, pd.concat(tables))


def read(layout: Layout, models: list[str], name: str = FILE) -> dict[str, pd.DataFrame]:
    """Read the predictions of models, by name.

    Raises
    ------
    DataError
        If a file is missing or damaged.
    """
    found = {}
    for model in models:
        file = layout.model(model) / name
        predicted = read_frame(file, dtype={"part": str})
        with reading(file):
            predicted["row"] = predicted["row"].astype(np.int64)
            outputs(predicted)
            found[model] = predicted
    return found
