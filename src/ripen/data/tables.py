"""Tables: CSV files read and checked value by value."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ripen.core.errors import DataError
from ripen.data.column_types import BLANK, MISSING, convert, is_missing, with_points
from ripen.settings.schema import Column

if TYPE_CHECKING:  # only the stage that reads raw files needs it, and importing it is slow
    import pandera.pandas as pa

SHOWN = 5  # rows, in an error
_PART = re.compile(r"train(ing)?|test(ing)?", re.IGNORECASE)
_MARKS = re.compile(r"[\W_]")
TAG_MARKS = "|,;"  # between the labels of a cell; without these, blanks


@dataclass(frozen=True)
class Expected:
    """The expected form of a column.

    Attributes
    ----------
    check : pandera Column
        On numbers with a decimal point, or on text.
    allowed : str
        The same in words, for errors: "a number from 0 to 1".
    column : Column
        Its type, to which the values are converted.
    missing : bool
        Whether a value may be missing.
    """

    check: "pa.Column"
    allowed: str
    column: Column
    missing: bool = False


def identifier() -> Expected:
    """Return the form of an id: any text, once."""
    import pandera.pandas as pa

    check = pa.Column(str, pa.Check(lambda value: value != ""), unique=True)
    return Expected(check, "an id", Column(type="identifier"))


def number(column: Column, hint: str = "") -> Expected:
    """Return the form of a finite number, in the column's range; `hint` ends its description."""
    import pandera.pandas as pa

    low, high, missing = column.min, column.max, may_be_missing(column)
    checks = [pa.Check(np.isfinite)]
    words = "a number"
    if low is not None:
        checks.append(pa.Check.ge(low))
        words += f" from {low:g}"
    if high is not None:
        checks.append(pa.Check.le(high))
        words += f" to {high:g}"
    check = pa.Column(np.float64, checks, coerce=True, nullable=missing)
    return Expected(check, words + hint, replace(column, type="number"), missing)


def category(column: Column, classes: list[str] | None = None) -> Expected:
    """Return the form of a category: one of the classes, or any text."""
    import pandera.pandas as pa

    missing = classes is None and may_be_missing(column)
    typed = replace(column, type=column.type or "category")
    if classes is None:
        check = pa.Check(lambda value: value != "") if not missing else None
        return Expected(pa.Column(str, check), "a value", typed, missing)
    shown = ", ".join(classes[:20])
    return Expected(pa.Column(str, pa.Check.isin(classes)), f"a class: {shown}", typed)


def form(column: Column, decimal: str = ".", hint: str = "", *, unique: bool = False) -> Expected:
    """Return the expected form of a column.

    Parameters
    ----------
    column : Column
        With its type.
    decimal : "." or ","
    hint : str
        What to do about an invalid value.
    unique : bool
        Whether a date may be there only once, being an id.
    """
    import pandera.pandas as pa

    if column.type == "number":
        return number(column, hint)
    words = {
        "boolean": "true or false",
        "date": f"a date of the form {column.format}",
        "ordered": f"one of {', '.join((column.levels or [])[:20])}",
    }
    if column.type not in words:
        return category(column)
    missing = may_be_missing(column)

    def fits(values: "pd.Series[str]") -> "pd.Series[bool]":
        known = convert(values, column, decimal).notna()
        return known | is_missing(values, column) if missing else known

    check = pa.Column(str, pa.Check(fits), unique=unique)
    return Expected(check, words[str(column.type)] + hint, column, missing)


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


def in_order(table: pd.DataFrame, other: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return a table with the columns of another one, row by row, under these names."""
    named = other.set_axis(list(names), axis=1).set_index(table.index)
    return pd.concat([table, named], axis=1)


def joined_by(id: str, table: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the columns that only another one has, matched by their ids."""
    new = [name for name in other if name not in table]
    return table.join(other.set_index(id)[new], on=id)


def key_of(table: pd.DataFrame, parts: Iterable[pd.DataFrame]) -> list[str]:
    """Return the columns by which a table is joined to all parts: those that it shares with them.

    Or one of these, if that describes more rows: a plane's number, where `year` is when it was
    built. [] if no columns are shared, or if two of its rows have the same values in them.
    """
    parts = list(parts)
    shared = [str(name) for name in table if all(name in part for part in parts)]
    several = [shared, *([name] for name in shared)] if len(shared) > 1 else [shared]
    keys = [each for each in several if each and not table.duplicated(each).any()]
    if len(keys) < 2:
        return keys[0] if keys else []
    return max(keys, key=lambda each: coverage(table, each, parts))


def coverage(table: pd.DataFrame, keys: list[str], parts: Iterable[pd.DataFrame]) -> float:
    """Return the share of the rows that a table describes, in the part where it is least."""
    known = pd.MultiIndex.from_frame(table[keys])
    return min(float(pd.MultiIndex.from_frame(part[keys]).isin(known).mean()) for part in parts)


def described(
    texts: Mapping[str, pd.DataFrame],
    name: str,
    other: pd.DataFrame,
    key: Mapping[str, str] | None = None,
) -> dict[str, pd.DataFrame]:
    """Return the parts with the columns of a table that has a row for each value of some columns.

    A row that it does not describe has "" in them. A column of a name that the parts have already
    gets that of the table before it: ``stores_type``.

    Parameters
    ----------
    texts : mapping of str to DataFrame
        By part.
    name : str
        The table's file.
    other : DataFrame
        The table.
    key : mapping of str to str, optional
        The columns of the parts that it is joined by, each with the table's own name of it; by
        default those that are shared (`key_of`).

    Raises
    ------
    DataError
        If the table shares no column with all parts, or describes a value twice.
    """
    if key:
        other = renamed(other, name, key)
    keys = [*key] if key else key_of(other, texts.values())
    if not keys or other.duplicated(keys).any():
        shared = keys or [str(c) for c in other if all(c in text for text in texts.values())]
        why = (
            f"has several rows for the same {' and '.join(shared)}"
            if shared
            else ("shares no column with the training and the test table")
        )
        raise DataError(f"{name}: {why}: it cannot be joined")
    taken = {str(column) for text in texts.values() for column in text} - set(keys)
    others = {column: f"{Path(name).stem}_{column}" for column in other if column in taken}
    by_key = other.rename(columns=others).set_index(keys)
    return {part: text.join(by_key, on=keys).fillna("") for part, text in texts.items()}


def renamed(table: pd.DataFrame, name: str, key: Mapping[str, str]) -> pd.DataFrame:
    """Return a table with the parts' names of its keys, and the table's before names that they had.

    Raises
    ------
    DataError
        If it lacks a key.
    """
    if lacking := [own for own in key.values() if own not in table]:
        raise DataError(f"{name}: column '{lacking[0]}', which files.keys names, is missing")
    given = {theirs: f"{Path(name).stem}_{theirs}" for theirs, own in key.items() if theirs != own}
    return table.rename(columns=given | {own: theirs for theirs, own in key.items()})


def alike(tables: Mapping[str, pd.DataFrame]) -> list[list[str]]:
    """Return names of tables, together if they and their columns are the same but for the part.

    >>> alike(dict.fromkeys(["weather_test.csv", "weather_train.csv"], pd.DataFrame({"day": [1]})))
    [['weather_test.csv', 'weather_train.csv']]
    """
    found: dict[Any, list[str]] = {}
    for name, table in tables.items():
        # Names of columns may differ in their marks: id_01 is id-01 in the other part.
        columns = [_MARKS.sub("", str(column).lower()) for column in table]
        found.setdefault((_PART.sub("", name), *columns), []).append(name)
    return list(found.values())


def united(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return tables by name, those that are `alike` as one under the first name."""
    return {
        first: _one([tables[name] for name in (first, *others)]) for first, *others in alike(tables)
    }


def _one(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    columns = tables[0].columns
    return pd.concat([each.set_axis(columns, axis=1) for each in tables], ignore_index=True)


def parted(text: pd.DataFrame, target: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the training and the test rows of one table: the latter have no target.

    >>> [len(part) for part in parted(pd.DataFrame({"y": ["1", "", "0"]}), "y")]
    [2, 1]
    """
    blank = text[target].isin(MISSING)
    return text[~blank].reset_index(drop=True), text[blank].reset_index(drop=True)


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


def may_be_missing(column: Column) -> bool:
    """Whether values may be missing: by default yes, unless the column has a range of numbers."""
    if column.missing is not None:
        return column.missing
    return column.min is None and column.max is None


def read_table(
    path: Path,
    text: pd.DataFrame,
    wanted: Mapping[str, Expected],
    ignored: Iterable[str],
    decimal: str = ".",
) -> pd.DataFrame:
    """Check every value of a table of text.

    Parameters
    ----------
    path : Path
        For errors.
    text : DataFrame
        From `read_text`.
    wanted : mapping of str to Expected
        The columns that the file must have, in any order.
    ignored : iterable of str
        Further columns that it may have.
    decimal : "." or ","

    Returns
    -------
    DataFrame
        Columns in the order of `wanted`, each of its type (`ripen.data.column_types.convert`).

    Raises
    ------
    DataError
        One line that names file, row (the first after the header is 1), column and allowed values.
    """
    import pandera.pandas as pa

    names = ", ".join(wanted)
    if missing := [name for name in wanted if name not in text]:
        raise DataError(f"{path}: column '{missing[0]}' is missing. Needed: {names}")
    if extra := [name for name in map(str, text) if name not in wanted and name not in ignored]:
        raise DataError(f"{path}: column '{extra[0]}' is one too many. Allowed: {names}")
    given = text[list(wanted)].copy()
    for name, expected in wanted.items():
        if expected.column.type == "number":
            given[name] = with_points(given[name], decimal)
            if expected.missing:
                given[name] = given[name].mask(is_missing(text[name], expected.column))
    schema = pa.DataFrameSchema({name: expected.check for name, expected in wanted.items()})
    try:
        found = schema.validate(given, lazy=True)
    except pa.errors.SchemaErrors as error:
        raise DataError(f"{path}: {_first_failure(error.failure_cases, text, wanted)}") from None
    typed = {
        name: found[name]
        if expected.column.type == "number"
        else convert(text[name], expected.column)
        for name, expected in wanted.items()
    }
    return pd.DataFrame(typed, index=text.index)


def _first_failure(cases: pd.DataFrame, text: pd.DataFrame, wanted: Mapping[str, Expected]) -> str:
    rows = cases.dropna(subset=["index"]).sort_values("index", kind="stable")
    first = rows.iloc[0]
    row, column = int(first["index"]), str(first["column"])
    if first["check"] == "field_uniqueness":
        # Both rows of a pair are listed; name the later one, which is the one to correct.
        row = int(text.index[text[column].duplicated()][0])
        value: Any = text[column].loc[row]
        earlier = int(text.index[text[column] == value][0])
        return f"row {row + 1}, column '{column}': {value!r} is in row {earlier + 1} already"
    value = text[column].loc[row]
    return f"row {row + 1}, column '{column}': {value!r} is not {wanted[column].allowed}"
