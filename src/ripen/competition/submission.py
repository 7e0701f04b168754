"""The submission: in the exact form of the competition's sample."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ripen.competition.index import Index
from ripen.core.csv_files import read_text
from ripen.core.errors import DataError
from ripen.settings.schema import Competition


def read_sample(path: Path, id: str) -> pd.DataFrame:
    """Read the sample submission: its ids, and its columns in their order; all of it text.

    The column of ids is the one that the competition calls so, else the first.

    Raises
    ------
    DataError
        If it is missing, is no table, has no column beside the ids, or an id twice.
    """
    sample = read_text(path)
    if len(sample.columns) < 2:
        raise DataError(f"{path}: has no column beside '{sample.columns[0]}'")
    ids = sample[id_column(sample, id)]
    if ids.duplicated().any():
        row = int(ids.duplicated().argmax())
        raise DataError(f"{path}: row {row + 1}: id '{ids.iloc[row]}' is in an earlier row already")
    return sample


def id_column(sample: pd.DataFrame, id: str) -> str:
    """Return the name of the sample's column of ids."""
    return id if id in sample else str(sample.columns[0])


def fill(
    sample: pd.DataFrame,
    where: Path,
    competition: Competition,
    index: Index,
    outputs: NDArray[np.float64],
) -> pd.DataFrame:
    """Return the submission: the sample's columns, ids and order, our predictions.

    Parameters
    ----------
    sample : DataFrame
    where : Path
        The sample's file, for errors.
    competition : Competition
    index : Index
    outputs : ndarray of shape (n, k)
        Of all test rows, in the index's order, those without a prediction among them.

    Raises
    ------
    DataError
        If the sample's ids are not those of the test rows, or its columns are not understood.
    """
    column = id_column(sample, competition.id)
    test = index.rows[index.rows["part"] == "test"]
    known = pd.DataFrame(outputs, index=test["id"].to_numpy())
    ids = sample[column]
    for given, other, what in (
        (ids, known.index, "is not an id of the test part"),
        (test["id"], ids, "of the test part is missing"),
    ):
        odd = given[~given.isin(other)]
        if len(odd):
            raise DataError(f"{where}: column '{column}': {odd.iloc[0]} {what}")
    chosen = known.loc[ids].to_numpy()
    names = [str(name) for name in sample if name != column]
    return sample.assign(**columns(names, chosen, competition, index, where))


def columns(
    names: list[str],
    outputs: NDArray[np.float64],
    competition: Competition,
    index: Index,
    where: Path,
) -> dict[str, NDArray[np.generic]]:
    """Return what the submission's columns hold.

    A single column holds what the setting `submission` names: a class, the probability of the
    second of two classes, or a value. Columns of the classes' values or names hold probabilities.
    """
    only = names[0] if len(names) == 1 else None
    if only and competition.submission == "label" and index.task.classifies:
        return {only: np.array(index.classes)[outputs.argmax(axis=1)]}
    places = {name: k for k, name in enumerate(index.classes)}
    places |= {name: k for k, name in enumerate(index.names)}
    if only and only not in places:
        if len(index.classes) > 2:
            raise DataError(
                f"{where}: its only column '{only}' cannot hold the probabilities of "
                f"{len(index.classes)} classes. Set: submission: label"
            )
        return {only: outputs[:, -1]}
    if unknown := [name for name in names if name not in places]:
        raise DataError(
            f"{where}: column '{unknown[0]}' is no class. Allowed: {', '.join(index.classes[:20])}"
        )
    return {name: outputs[:, places[name]] for name in names}
