"""The form of a submission, checked against the sample before anything is sent."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ripen.competition.ids import others, with_id
from ripen.competition.submission import NUMBERS, csv_of, form_of, id_column, read_sample
from ripen.competition.tasks import TASKS
from ripen.core.csv_files import read_text
from ripen.core.errors import DataError
from ripen.data.column_types import with_points
from ripen.settings.schema import Competition

_MISSING = {"", "na", "nan", "n/a", "null", "none"}  # as programs write it


def check(
    file: Path, sample: Path, competition: Competition, classes: Sequence[str] = ()
) -> pd.DataFrame:
    """Make sure that a submission has the sample's form.

    Parameters
    ----------
    file, sample : Path
    competition : Competition
        Its task and `submission` say what a column may hold.
    classes : sequence of str
        The classes' values, for a column of labels.

    Returns
    -------
    DataFrame
        Ids and labels as text, numbers as float64.

    Raises
    ------
    DataError
        If the columns or ids, or the order of either, differ from the sample's, or a value is not
        allowed.
    """
    csv = csv_of(sample, competition.csv)
    form = read_sample(sample, competition.id, csv)
    rows = with_id(read_text(file, csv.separator), competition.id)
    columns = [str(name) for name in form.columns]
    needed = ", ".join(columns)
    if missing := [name for name in columns if name not in rows]:
        raise DataError(f"{file}: column '{missing[0]}' is missing. Needed: {needed}")
    if list(rows.columns) != columns:
        raise DataError(f"{file}: the columns are {', '.join(rows.columns)}. Needed: {needed}")
    ids = id_column(form, competition.id)
    _check_ids(file, rows[ids], sample, form[ids])
    names = others(form, ids, competition.id)
    rows = rows[[ids, *names]]
    if holds_labels(competition, names):
        several = competition.submission == "labels"
        by_number = form_of(form[names[0]], competition, classes).numbers
        allowed = sorted(NUMBERS) if by_number else classes
        _check_labels(file, rows[names[0]], allowed, several=several)
        return rows
    low, high = (0.0, 1.0) if TASKS[competition.task].probabilities else (-np.inf, np.inf)
    numbers = {
        name: _checked_numbers(file, with_points(rows[name], csv.decimal), low, high)
        for name in names
    }
    return rows.assign(**numbers)


def holds_labels(competition: Competition, columns: Sequence[str]) -> bool:
    """Whether the columns beside the ids hold classes, and not probabilities or values."""
    # The same rule that `ripen.competition.submission.columns` writes by: several columns of a
    # classification are always probabilities.
    if len(columns) > 1:
        return False
    classifies = TASKS[competition.task].classifies
    return competition.submission == "labels" or (competition.submission == "label" and classifies)


def _check_ids(file: Path, ids: "pd.Series[str]", sample: Path, known: "pd.Series[str]") -> None:
    if len(ids) != len(known):
        raise DataError(f"{file}: has {len(ids)} rows, and {sample} has {len(known)}")
    other = ids.to_numpy() != known.to_numpy()
    if other.any():
        row = int(other.argmax())
        same = sorted(ids) == sorted(known)
        why = ". The ids are the same, in another order" if same else ""
        if not same and ids.duplicated().any():
            why = f". {ids[ids.duplicated()].iloc[0]!r} is there twice"
        raise DataError(
            f"{file}: row {row + 1}, column '{ids.name}': {ids.iloc[row]!r} is not "
            f"{known.iloc[row]!r}, the id in that row of {sample}{why}"
        )


def _check_labels(
    file: Path, labels: "pd.Series[str]", classes: Sequence[str], *, several: bool
) -> None:
    known = labels.isin(list(classes))
    if several:  # with blanks between
        known |= labels.str.split().map(lambda each: bool(each) and set(each) <= set(classes))
    wrong = ~known.to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        shown = ", ".join(classes[:20])
        raise DataError(
            f"{file}: row {row + 1}, column '{labels.name}': {labels.iloc[row]!r} is not a class: "
            f"{shown}"
        )


def _checked_numbers(
    file: Path, values: "pd.Series[str]", low: float, high: float
) -> NDArray[np.float64]:
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(np.float64)
    wrong = ~(np.isfinite(numbers) & (numbers >= low) & (numbers <= high))
    if wrong.any():
        row = int(wrong.argmax())
        if (missing := values.str.strip().str.lower().isin(_MISSING)).iloc[row]:
            others = int(missing.sum()) - 1
            more = f", and {others} more in this column" if others else ""
            raise DataError(
                f"{file}: row {row + 1}, column '{values.name}': the value is missing{more}"
            )
        allowed = f" from {low:g} to {high:g}" if np.isfinite(high) else ""
        raise DataError(
            f"{file}: row {row + 1}, column '{values.name}': {values.iloc[row]!r} is not a number"
            f"{allowed}"
        )
    return numbers
