"""Ids that several columns make up: the setting `id` is then a pattern, ``{store}_{day}``."""

import re

import pandas as pd

_COLUMN = re.compile(r"\{([^{}]+)\}")


def columns_of(id: str) -> list[str]:
    """Return the columns that make up an id; [] if it is a column itself.

    >>> columns_of("{store}_{day}"), columns_of("Id")
    (['store', 'day'], [])
    """
    return _COLUMN.findall(id)


def with_id(table: pd.DataFrame, id: str) -> pd.DataFrame:
    """Return a table with its ids as the first column, if it has the columns that make them up.

    >>> table = pd.DataFrame({"store": ["a"], "day": ["7"]})
    >>> with_id(table, "{store}_{day}").iloc[0, 0]
    'a_7'
    """
    columns = columns_of(id)
    if not columns or id in table or not set(columns) <= set(table):
        return table
    found = pd.Series("", table.index, dtype="str", name=id)
    for place, text in enumerate(_COLUMN.split(id)):  # texts and columns by turns
        found += table[text] if place % 2 else text
    return pd.concat([found, table], axis=1)


def others(table: pd.DataFrame, column: str, id: str) -> list[str]:
    """Return the columns of a sample or a submission beside its ids: `column`, and its parts."""
    return [str(name) for name in table if name not in (column, *columns_of(id))]
