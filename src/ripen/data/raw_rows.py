"""The rows of raw tables: their parts, their ids and their labels."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ripen.core.errors import DataError
from ripen.data.column_types import BLANK, MISSING

SHOWN = 5  # rows, in an error
TAG_MARKS = "|,;"  # between the labels of a cell; without these, blanks


def parted(text: pd.DataFrame, target: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the training and the test rows of one table: the latter have no target.

    >>> [len(part) for part in parted(pd.DataFrame({"y": ["1", "", "0"]}), "y")]
    [2, 1]
    """
    blank = text[target].isin(MISSING)
    return text[~blank].reset_index(drop=True), text[blank].reset_index(drop=True)


def in_order(table: pd.DataFrame, other: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return a table with the columns of another one, row by row, under these names."""
    named = other.set_axis(list(names), axis=1).set_index(table.index)
    return pd.concat([table, named], axis=1)


def labelled(
    text: pd.DataFrame, targets: Sequence[str], where: str, *, drop: bool, option: str = ""
) -> tuple[pd.DataFrame, str]:
    """Return the rows that have a target, and how many are left out as a sentence, "" for none.

    Blanks are missing, and where all other targets are numbers the texts of `MISSING` too.

    Parameters
    ----------
    text : DataFrame
    targets : sequence of str
        Columns.
    where : str
        The table's name, for errors.
    drop : bool
        Whether rows without a target may be left out.
    option : str
        What would make `drop` true, for the error.

    Raises
    ------
    DataError
        If a row lacks a target and none may be left out, or no row has all of them.

    >>> labelled(pd.DataFrame({"y": ["1", "", "NA"]}), ["y"], "", drop=True)[1]
    '2 of 3 rows have no y, and are left out'
    """
    blank = text[list(targets)].apply(_is_blank)
    lacking = blank.any(axis=1)
    if not targets or not lacking.any():
        return text, ""
    found, shown = lacking, f"{_rows(lacking)} have no {' or '.join(targets)}"
    if (partly := lacking & ~blank.all(axis=1)).any():
        found = partly
        shown = f"{_rows(partly)} have only some of the targets {', '.join(targets)}"
    if lacking.all():
        raise DataError(f"{where}: {shown}: there is nothing to learn")
    if not drop:
        raise DataError(f"{where}: {shown}: {_numbers(found)}. Remove these rows, or {option}")
    return text[~lacking], f"{_rows(lacking)} have no {' or '.join(targets)}, and are left out"


def _rows(chosen: "pd.Series[bool]") -> str:
    return f"{int(chosen.sum()):,} of {len(chosen):,} rows"


def _numbers(chosen: "pd.Series[bool]") -> str:
    """Return the numbers of the first of these rows, from 1."""
    rows = [str(row + 1) for row in chosen.to_numpy().nonzero()[0]]
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return f"row {', '.join(rows[:SHOWN])}{more}"


def _is_blank(values: "pd.Series[str]") -> "pd.Series[bool]":
    missing = values.str.strip().isin(MISSING)
    numbers = pd.to_numeric(values[~missing], errors="coerce").notna().all()
    return missing if numbers else values.str.strip().isin(BLANK)


def with_numbers(
    texts: Mapping[str, pd.DataFrame], id: str, sample: "pd.Series[str] | None"
) -> dict[str, pd.DataFrame]:
    """Give tables without ids their rows' numbers, where the sample submission's ids are these.

    The rule: the test table has no column of ids, and those of the sample are 1, 2, … n of its n
    rows, or 0, 1, … n-1. Then every table without that column numbers its rows so. If only the
    training table has no ids, its rows are numbered from 1.

    Parameters
    ----------
    texts : mapping of str to DataFrame
        By part, "test" among them.
    id : str
    sample : Series of str, or None
        The ids of the sample, in its order.

    Returns
    -------
    dict of str to DataFrame
        The tables, `id` their first column; those that were given where the rule does not hold.
    """
    test = texts.get("test")
    if test is None:
        return dict(texts)
    first: int | None = 1
    if id not in test:
        ids = [] if sample is None else sample.tolist()
        first = next((n for n in (1, 0) if ids == numbers_from(n, len(test))), None)
    if first is None:
        return dict(texts)
    return {
        part: text
        if id in text
        else pd.concat(
            [pd.Series(numbers_from(first, len(text)), text.index, name=id), text], axis=1
        )
        for part, text in texts.items()
    }


def numbers_from(first: int, n: int) -> list[str]:
    """Return n whole numbers as text.

    >>> numbers_from(1, 3)
    ['1', '2', '3']
    """
    return [str(number) for number in range(first, first + n)]


def tags_in(values: "pd.Series[str]") -> "pd.Series[Any]":
    """Return the labels of each cell as a list: parted by bars, commas or else by blanks.

    >>> tags_in(pd.Series(["sugar beet, maize", "maize"])).tolist()
    [['sugar beet', 'maize'], ['maize']]
    """
    mark = next((mark for mark in TAG_MARKS if values.str.contains(mark, regex=False).any()), None)
    return values.map(lambda cell: [tag.strip() for tag in cell.split(mark) if tag.strip()])


def with_tags(text: pd.DataFrame, column: str, labels: Iterable[str], where: Path) -> pd.DataFrame:
    """Return a table with a column of 0 and 1 for each label, in place of that of all of them.

    Raises
    ------
    DataError
        If there is no such column.
    """
    if column not in text:
        raise DataError(f"{where}: column '{column}', which columns.tags names, is missing")
    found = tags_in(text[column])
    each = {label: found.map(lambda tags, label=label: str(int(label in tags))) for label in labels}
    return pd.concat([text.drop(columns=column), pd.DataFrame(each, index=text.index)], axis=1)
