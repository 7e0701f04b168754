"""Tables: CSV files read and checked value by value."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ripen.core.errors import DataError
from ripen.settings.schema import Column

if TYPE_CHECKING:  # only the stage that reads raw files needs it, and it takes long
    import pandera.pandas as pa


@dataclass(frozen=True)
class Expected:
    """What a column must hold.

    Attributes
    ----------
    check : pandera Column
    allowed : str
        The same in words, for errors: "a number from 0 to 1".
    missing : bool
        Whether a value may be blank.
    """

    check: "pa.Column"
    allowed: str
    missing: bool = False


def identifier() -> Expected:
    """Return the form of an id: any text, once."""
    import pandera.pandas as pa

    return Expected(pa.Column(str, pa.Check(lambda value: value != ""), unique=True), "an id")


def number(column: Column) -> Expected:
    """Return the form of a finite number, in the column's range."""
    import pandera.pandas as pa

    low, high = column.min, column.max
    checks = [pa.Check(np.isfinite)]
    words = "a number"
    if low is not None:
        checks.append(pa.Check.ge(low))
        words += f" from {low:g}"
    if high is not None:
        checks.append(pa.Check.le(high))
        words += f" to {high:g}"
    check = pa.Column(np.float64, checks, coerce=True, nullable=bool(column.missing))
    return Expected(check, words, bool(column.missing))


def category(column: Column, classes: list[str] | None = None) -> Expected:
    """Return the form of one of some values, or of any text."""
    import pandera.pandas as pa

    if classes is None:
        check = pa.Check(lambda value: value != "") if not column.missing else None
        return Expected(pa.Column(str, check), "a value", bool(column.missing))
    shown = ", ".join(classes[:20])
    return Expected(pa.Column(str, pa.Check.isin(classes)), f"a class: {shown}")


def is_number(values: "pd.Series[str]", column: Column) -> bool:
    """Whether all values that are not blank are numbers."""
    if column.min is not None or column.max is not None:
        return True
    given = values[values != ""]
    return len(given) > 0 and bool(pd.to_numeric(given, errors="coerce").notna().all())


def read_table(
    path: Path, text: pd.DataFrame, wanted: Mapping[str, Expected], ignored: Iterable[str]
) -> pd.DataFrame:
    """Check every value of a file that was read as text.

    Parameters
    ----------
    path : Path
        For errors.
    text : DataFrame
        From `read_text`.
    wanted : mapping of str to Expected
        The columns that the file must have, in any order.
    ignored : iterable of str
        Columns that it may have besides.

    Returns
    -------
    DataFrame
        Columns in the order of `wanted`: float64 numbers, NaN where blank, and text.

    Raises
    ------
    DataError
        One line that names file, row (the first after the header is 1), column, what is allowed.
    """
    import pandera.pandas as pa

    names = ", ".join(wanted)
    if missing := [name for name in wanted if name not in text]:
        raise DataError(f"{path}: column '{missing[0]}' is missing. Needed: {names}")
    if extra := [name for name in map(str, text) if name not in wanted and name not in ignored]:
        raise DataError(f"{path}: column '{extra[0]}' is one too many. Allowed: {names}")
    blanked = text[list(wanted)].copy()
    for name, expected in wanted.items():
        if (
            expected.missing
            and expected.check.dtype is not None
            and "float" in str(expected.check.dtype)
        ):
            blanked[name] = blanked[name].replace("", np.nan)
    schema = pa.DataFrameSchema({name: expected.check for name, expected in wanted.items()})
    try:
        return schema.validate(blanked, lazy=True)
    except pa.errors.SchemaErrors as error:
        raise DataError(f"{path}: {_first_failure(error.failure_cases, text, wanted)}") from None


def _first_failure(cases: pd.DataFrame, text: pd.DataFrame, wanted: Mapping[str, Expected]) -> str:
    rows = cases.dropna(subset=["index"]).sort_values("index", kind="stable")
    first = rows.iloc[0]
    row, column = int(first["index"]), str(first["column"])
    if first["check"] == "field_uniqueness":
        # Both of a pair are listed; the later one is the one to correct.
        row = int(text[column].duplicated().argmax())
        earlier = int(text[column].eq(text[column].iloc[row]).argmax())
        value: Any = text[column].iloc[row]
        return f"row {row + 1}, column '{column}': {value!r} is in row {earlier + 1} already"
    value = text[column].iloc[row]
    return f"row {row + 1}, column '{column}': {value!r} is not {wanted[column].allowed}"
