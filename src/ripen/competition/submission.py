"""The submission: in the exact form of the competition's sample."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ripen.competition.ids import columns_of, others, with_id
from ripen.competition.index import Index, Ints
from ripen.competition.tasks import TASKS
from ripen.core.csv_files import UTF16, read_text, sniff
from ripen.core.errors import DataError
from ripen.settings.schema import Competition, Csv

HALF = 0.5  # above which a label of several is the more probable one
NUMBERS = {"0", "1"}
SHOWN = 20  # allowed values, in an error


def read_sample(path: Path, id: str, csv: Csv | None = None) -> pd.DataFrame:
    """Read the sample submission as text: its ids, and its columns in their order.

    The column of ids is the one with the competition's name for it, else the first. Where several
    columns make up the ids, one with these is put before them (`ripen.competition.ids`).

    Raises
    ------
    DataError
        If it is missing or not a table, has no column beside the ids, or has a duplicate id.
    """
    csv = csv_of(path, csv or Csv())
    sample = with_id(read_text(path, csv.separator, csv.encoding), id)
    if len(sample.columns) < 2:
        raise DataError(f"{path}: has no column beside '{sample.columns[0]}'")
    ids = sample[id_column(sample, id)]
    if ids.duplicated().any():
        row = int(ids.duplicated().argmax())
        raise DataError(f"{path}: row {row + 1}: id '{ids.iloc[row]}' is in an earlier row already")
    return sample


def csv_of(path: Path, csv: Csv) -> Csv:
    """Return the format of the sample: that of the tables, or its own if its header shows another.

    Raises
    ------
    DataError
        If it is missing.
    """
    own = Csv(**sniff(path))  # type: ignore[arg-type]
    with path.open("rb") as file:
        header = file.readline()
    another = own.separator.encode() in header and csv.separator.encode() not in header
    wide = UTF16 in (own.encoding, csv.encoding) and own.encoding != csv.encoding
    return own if another or wide else csv


def id_column(sample: pd.DataFrame, id: str) -> str:
    """Return the name of the sample's column of ids."""
    return id if id in sample else str(sample.columns[0])


@dataclass(frozen=True)
class Placed:
    """Where the values of each row of the sample come from.

    Attributes
    ----------
    id : str
        The sample's column of ids.
    names : list of str
        Its other columns.
    rows : int64 ndarray of shape (rows of the sample,)
        Positions among the test part's ids, in the index's order.
    melted : int64 ndarray of that shape, or None
        The output that a row asks for, if its id names one: ``7_height``.
    """

    id: str
    names: list[str]
    rows: Ints
    melted: Ints | None = None


def placed(sample: pd.DataFrame, where: Path, competition: Competition, index: Index) -> Placed:
    """Find the test row of each row of the sample. Several rows of one id count as one.

    Parameters
    ----------
    sample : DataFrame
    where : Path
        The sample's file, for errors.
    competition : Competition
    index : Index

    Raises
    ------
    DataError
        If the sample's ids are not those of the test rows.
    """
    column = id_column(sample, competition.id)
    names = others(sample, column, competition.id)
    ids, test = sample[column], _test_ids(index).drop_duplicates()
    places = pd.Series(np.arange(len(test)), test.to_numpy())
    if len(names) == 1 and not ids.isin(test).any():
        melted = {
            f"{id}_{name}": (place, output)
            for place, id in enumerate(test)
            for name, output in _outputs(index).items()
        }
        if ids.isin(melted).all() and len(ids):
            rows, outputs = np.array([melted[id] for id in ids], np.int64).T
            if len(lacking := np.setdiff1d(np.arange(len(test)), rows)):
                raise DataError(
                    f"{where}: column '{column}': {test.iloc[lacking[0]]} of the test part is "
                    "missing"
                )
            return Placed(column, names, rows, outputs)
    for given, other, what in (
        (ids, test, "is not an id of the test part"),
        (test, ids, "of the test part is missing"),
    ):
        odd = given[~given.isin(other)]
        if len(odd):
            raise DataError(f"{where}: column '{column}': {odd.iloc[0]} {what}")
    return Placed(column, names, places.loc[ids].to_numpy(np.int64))


def _test_ids(index: Index) -> "pd.Series[str]":
    return index.rows.loc[index.rows["part"] == "test", "id"]


def _outputs(index: Index) -> dict[str, int]:
    """Return the position of each output by the names that a sample may use."""
    places = {name: k for k, name in enumerate(index.names)}
    return places | {name: k for k, name in enumerate(index.classes)}


def fill(
    sample: pd.DataFrame,
    where: Path,
    competition: Competition,
    index: Index,
    outputs: NDArray[np.float64],
) -> pd.DataFrame:
    """Return the submission: our predictions in the sample's columns, ids and order.

    An id that several rows have, images of one object, gets their mean.

    Parameters
    ----------
    sample : DataFrame
    where : Path
        The sample's file, for errors.
    competition : Competition
    index : Index
    outputs : ndarray of shape (n, k)
        Outputs for every test row, excluded ones too, in the index's order.

    Raises
    ------
    DataError
        If the sample's ids are not those of the test rows, or a column has an unknown name.
    """
    found = placed(sample, where, competition, index)
    ids = _test_ids(index)
    if ids.duplicated().any():
        outputs = pd.DataFrame(outputs).groupby(ids.to_numpy(), sort=False).mean().to_numpy()
    chosen = outputs[found.rows]
    if columns_of(competition.id) and competition.id in sample:
        sample = sample.drop(columns=competition.id)
    if found.melted is not None:
        values = chosen[np.arange(len(chosen)), found.melted]
        if competition.submission == "label" and index.task.probabilities:
            values = (values > HALF).astype(np.int64)
        return sample.assign(**{found.names[0]: values})
    form = form_of(sample[found.names[0]], competition, index.classes)
    return sample.assign(**columns(found.names, chosen, competition, index, where, form))


@dataclass(frozen=True)
class Form:
    """What the values of a sample's only column say of its labels.

    Attributes
    ----------
    best : int
        How many labels a row has at most, where several stand in it with blanks between.
    numbers : bool
        Whether they are 0 and 1, for the first and the second of two classes of other names.
    """

    best: int = 1
    numbers: bool = False


def form_of(values: "pd.Series[str]", competition: Competition, classes: Sequence[str]) -> Form:
    """Return the form of a sample's labels."""
    several = competition.submission == "labels"
    best = max(len(value.split()) for value in values) if several else 1
    two = TASKS[competition.task].classifies and len(classes) == len(NUMBERS)
    return Form(best, two and set(values) <= NUMBERS and not NUMBERS & set(classes))


def columns(
    names: list[str],
    outputs: NDArray[np.float64],
    competition: Competition,
    index: Index,
    where: Path,
    form: Form = Form(),
) -> dict[str, NDArray[Any]]:
    """Return the values of the submission's columns.

    A single column holds what the setting `submission` names: a class, or its place where the
    sample has numbers; the most probable classes; the probability of the second of two classes; or
    a value. Columns of the classes' values or names hold their probabilities; of several targets a
    probability or a value each, or with "label" 0 or 1.
    """
    only = names[0] if len(names) == 1 else None
    classes = np.array(index.classes)
    if only and competition.submission == "labels":
        return {only: _best(outputs, classes, form.best, index)}
    if only and competition.submission == "label" and index.task.classifies:
        places = outputs.argmax(axis=1)
        return {only: places if form.numbers else classes[places]}
    places = _outputs(index)
    if only and only not in places:
        if outputs.shape[1] > 2 or (outputs.shape[1] > 1 and not index.task.classifies):
            what = "probabilities" if index.task.probabilities else "values"
            whose = "classes. Set: submission: label" if index.task.classifies else "targets"
            raise DataError(
                f"{where}: its only column '{only}' cannot hold the {what} of "
                f"{outputs.shape[1]} {whose}"
            )
        return {only: outputs[:, -1]}
    if unknown := [name for name in names if name not in places]:
        what = "no class" if index.task.classifies else "none of the targets"
        allowed = ", ".join(index.classes[:SHOWN])
        raise DataError(f"{where}: column '{unknown[0]}' is {what}. Allowed: {allowed}")
    if competition.submission == "label" and not index.task.classifies:
        outputs = (outputs > HALF).astype(np.int64) if index.task.probabilities else outputs
    return {name: outputs[:, places[name]] for name in names}


def _best(
    outputs: NDArray[np.float64], classes: NDArray[np.str_], best: int, index: Index
) -> NDArray[Any]:
    """Return each row's most probable labels, most probable first, separated by blanks.

    Of independent labels, those above 0.5, and at least one.
    """
    order = np.argsort(-outputs, axis=1, kind="stable")
    if index.task.classifies:
        counts = np.full(len(outputs), max(1, best))
    else:
        counts = np.maximum(1, (outputs > HALF).sum(axis=1))
    return np.array(
        [" ".join(classes[row[:n]]) for row, n in zip(order, counts, strict=True)], object
    )
