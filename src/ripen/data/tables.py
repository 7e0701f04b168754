"""Tables: CSV files read and checked value by value."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ripen.core.errors import DataError
from ripen.data.column_types import convert, is_missing, with_points
from ripen.settings.schema import Column

if TYPE_CHECKING:  # only the stage that reads raw files needs it, and importing it is slow
    import pandera.pandas as pa


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
