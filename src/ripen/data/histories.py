"""Histories: tables with several rows for each entity, such as its orders, as one row for each."""

from pathlib import Path
from typing import Any

import pandas as pd

from ripen.data import parts
from ripen.data.column_types import convert, detect

LEVELS = 20  # the most frequent ones of a category: their shares, and the means of numbers in them
MEANS = 60  # such means, of a category
NUMBERS, CATEGORIES = ("number", "date"), ("category", "boolean", "ordered")
Found = dict[str, "pd.Series[Any]"]


def summary(table: pd.DataFrame, keys: list[str], name: str, decimal: str = ".") -> pd.DataFrame:
    """Return one row for each value of the keys, as text.

    It has the number of rows; of numbers and dates the mean, the minimum, the maximum and the last,
    in the order of the first column of times or else of the file; of categories the number of
    different values, the last, and the shares of the `LEVELS` most frequent; and the means of
    numbers in each of these, of at most `MEANS`. Texts are left out.

    Parameters
    ----------
    table : DataFrame
        As text.
    keys : list of str
    name : str
        The table's file, with whose stem the names of its columns begin.
    decimal : "." or ","

    >>> table = pd.DataFrame({"id": ["a", "a", "b"], "paid": ["1", "4", "2"]})
    >>> summary(table, ["id"], "orders.csv").to_dict("list")["orders_paid_mean"]
    ['2.5', '2.0']
    """
    kinds = {str(c): detect(table[c], decimal) for c in table if c not in keys}
    typed = {c: convert(table[c], kind, decimal) for c, kind in kinds.items()}
    numeric = [c for c, kind in kinds.items() if kind.type in NUMBERS]
    numbers = pd.DataFrame({c: _as_number(typed[c]) for c in numeric}, index=table.index)
    if times := [c for c in numeric if parts.is_time(typed[c])]:
        order = typed[times[0]].argsort(kind="stable").to_numpy()
        table, numbers = table.iloc[order], numbers.iloc[order]
    by = [table[key] for key in keys]
    groups = numbers.groupby(by, sort=False)
    found: Found = {"rows": groups.size()}
    for part in ("mean", "min", "max", "last"):
        found |= {f"{c}_{part}": values for c, values in getattr(groups, part)().items()}
    for c in (c for c, kind in kinds.items() if kind.type in CATEGORIES):
        found |= {f"{c}_{part}": values for part, values in _of_levels(table[c], by).items()}
        found |= _in_levels(numbers, table[c], by)
    texts = {f"{Path(name).stem}_{c}": _as_text(values) for c, values in found.items()}
    return pd.DataFrame(texts).rename_axis(keys).reset_index()


def _of_levels(values: "pd.Series[str]", by: list["pd.Series[str]"]) -> Found:
    """Return how many levels of a category a group has, the last, and the shares of some."""
    groups = values.groupby(by, sort=False)
    found: Found = {"different": groups.nunique(), "last": groups.last()}
    for level in _frequent(values):
        found[f"{level}_share"] = (values == level).groupby(by, sort=False).mean()
    return found


def _in_levels(
    numbers: pd.DataFrame, values: "pd.Series[str]", by: list["pd.Series[str]"]
) -> Found:
    """Return the means of numbers in each of some levels of a category; {} where they are many."""
    levels, found = _frequent(values), Found()
    if numbers.shape[1] * len(levels) <= MEANS:
        for level in levels:
            means = numbers.where(values == level).groupby(by, sort=False).mean()
            found |= {f"{c}_of_{values.name}_{level}": means[c] for c in numbers}
    return found


def _frequent(values: "pd.Series[str]") -> list[str]:
    return [level for level in values.value_counts().index[:LEVELS] if level]


def _as_number(values: "pd.Series[Any]") -> "pd.Series[float]":
    """Return numbers, of dates the days since 1970."""
    if pd.api.types.is_datetime64_any_dtype(values):
        values = (values - pd.Timestamp(0)) / pd.Timedelta(days=1)
    return values.astype(float)


def _as_text(values: "pd.Series[Any]") -> "pd.Series[Any]":
    return values.map(lambda value: value if isinstance(value, str) else repr(value)).mask(
        values.isna(), ""
    )
