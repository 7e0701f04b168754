"""Columns that the files themselves show to be other than their training values make believe."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from ripen.data.column_types import convert, detect, is_missing
from ripen.settings.schema import Column

CODES = 20  # distinct numbers: with at most as many, beside texts, they are levels
SHOWN = 3  # columns in the reason
INFINITE = float("inf")


@dataclass(frozen=True)
class Types:
    """The section `columns.types`, and the reason for it."""

    settings: dict[str, dict[str, Any]]
    reason: str = ""


def odd(train: pd.DataFrame, test: pd.DataFrame, decimal: str = ".") -> Types:
    """Return types for the columns with values that do not fit the type detected.

    Stage `prepare` refuses such values, since they may be mistakes. Nobody corrects the files of a
    competition, so they become a level of their own, or a missing value among numbers.

    Parameters
    ----------
    train, test : DataFrame
        As text; only the columns of `train` that `test` has count.
    decimal : "." or ","
    """
    found: dict[str, dict[str, Any]] = {}
    values = []
    for name in (str(name) for name in train if name in test):
        both = pd.concat([train[name], test[name]], ignore_index=True)
        column = detect(train[name], decimal)
        if column.type not in ("number", "date", "boolean"):
            continue
        known = convert(both, column, decimal)
        bad = both[~is_missing(both, column) & (known.isna() | known.isin((INFINITE, -INFINITE)))]
        if bad.empty:
            continue
        found[name] = _type(both, column, sorted(set(bad)), known)
        values.append(f"{name}: {bad.iloc[0]!r}")
    more = ", …" if len(values) > SHOWN else ""
    return Types(found, f"values of another type: {', '.join(values[:SHOWN])}{more}")


def _type(
    both: "pd.Series[str]", column: Column, bad: list[str], known: "pd.Series[Any]"
) -> dict[str, Any]:
    """Return the settings of one column."""
    again = detect(both)
    if column.type == "number" and known.nunique() > CODES and len(bad) <= CODES:
        return {"type": "number", "unknown": bad}
    if column.type == "date" and again.type == "date":
        return {"type": "date", "format": again.format}
    if column.type == "date" and len(bad) <= CODES:
        return {"type": "date", "format": column.format, "unknown": bad}
    return {"type": "text" if again.type == "text" else "category"}
