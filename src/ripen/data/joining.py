"""Joining tables to the rows of the parts, by columns that both have."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ripen.core.errors import DataError

_PART = re.compile(r"train(ing)?|test(ing)?", re.IGNORECASE)
_MARKS = re.compile(r"[\W_]")


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
    shared = shared_columns(table, parts)
    several = [shared, *([name] for name in shared)] if len(shared) > 1 else [shared]
    keys = [each for each in several if each and not table.duplicated(each).any()]
    if len(keys) < 2:
        return keys[0] if keys else []
    return max(keys, key=lambda each: coverage(table, each, parts))


def shared_columns(table: pd.DataFrame, parts: Iterable[pd.DataFrame]) -> list[str]:
    """Return the columns of a table that all parts have too."""
    parts = list(parts)
    return [str(name) for name in table if all(name in part for part in parts)]


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
        shared = keys or shared_columns(other, texts.values())
        why = "shares no column with the training and the test table"
        if shared:
            why = f"has several rows for the same {' and '.join(shared)}"
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
    named = [each.set_axis(columns, axis=1) for each in tables]
    return pd.concat(named, ignore_index=True)
