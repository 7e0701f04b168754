"""Tables beside the rows: which describe a value of their columns, and which are histories."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from ripen.data import parts
from ripen.data.column_types import convert, detect
from ripen.data.joining import alike, coverage, described, key_of, renamed, shared_columns, united
from ripen.entry.files import Table

COVERED = 0.5  # least share of the rows, of each part, that a table describes, and
REMEMBERED = 0.2  # that have a history
_ROW = re.compile(r"_?(id|idx|code|key|no|nr|number|name)$")

Kind = tuple[
    str, dict[str, str], str
]  # a section, the keys if the settings must name them, and why


@dataclass
class Joins:
    """The tables to join, as settings of the section `files`, the reasons, and other tables."""

    settings: dict[str, Any] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    @property
    def reason(self) -> str:
        """All reasons, and the tables that are not joined."""
        unused = [f"not used: {', '.join(self.unused)}"] if self.unused else []
        return "; ".join(self.reasons + unused)

    def take(self, names: list[str], kind: Kind) -> None:
        """Add tables that are one."""
        section, key, why = kind
        self.settings.setdefault(section, []).extend(names)
        if key:
            self.settings.setdefault("keys", {})[names[0]] = key
        self.reasons.append(f"{names[0]} {why}")


def of_tables(
    train: Table, test: Table, others: Iterable[Table], targets: Sequence[str], id: str
) -> Joins:
    """Return the tables to join.

    One with a row for each value of columns that it shares with both parts, or whose names are
    alike, is joined if it covers most rows of each part and has more columns. One with several rows
    for each id, or for each entity in the only column that it shares, is a history. A table with a
    target in it is neither.
    """
    found = Joins()
    by_name = {table.name: table.text for table in others}
    rows, tables, rest = {"train": train.text, "test": test.text}, united(by_name), alike(by_name)
    rest = [names for names in rest if not set(targets) & set(tables[names[0]])]
    # A table may describe a column of one that is joined before it: the weather at a shop's town.
    while joined := next((e for e in _kinds(rest, tables, rows, id) if e[1][0] == "joined"), None):
        names, (_, key, _) = joined
        found.take(*joined)
        rest.remove(names)
        rows = described(rows, names[0], tables[names[0]], key)
    for history in _kinds(rest, tables, rows, id):  # what is left describes nothing
        found.take(*history)
    used = {name for each in found.settings.values() for name in each}
    found.unused = [name for name in by_name if name not in used]
    return found


def _kinds(
    rest: list[list[str]],
    tables: dict[str, pd.DataFrame],
    rows: dict[str, pd.DataFrame],
    id: str,
) -> Iterator[tuple[list[str], Kind]]:
    """Yield the tables that are joined or histories, by their names, and how."""
    for names in rest:
        if kind := _kind(names[0], tables[names[0]], [*rows.values()], id):
            yield names, kind


def _kind(name: str, table: pd.DataFrame, rows: list[pd.DataFrame], id: str) -> Kind | None:
    """Return a table's section, its keys if the settings must name them, and why."""
    keys = key_of(table, rows)
    least = REMEMBERED if keys == [id] else COVERED  # an id is no value that others may have
    if keys and len(keys) < table.shape[1] and coverage(table, keys, rows) >= least:
        return "joined", {}, f"describes each {' and '.join(keys)}"
    for key in _keys(name, table, rows):
        (column,) = key
        keyed = renamed(table, name, key)
        share = coverage(keyed, [column], rows)
        several = bool(keyed.duplicated([column]).any())
        if not several and share >= COVERED and table.shape[1] > 1:
            return "joined", key, f"describes each {column}"
        if several and share >= REMEMBERED and column == id:
            same = key == {id: id}
            return "histories", {} if same else key, f"has several rows for each {column}"
    shared = shared_columns(table, rows)
    if len(shared) != 1 or coverage(table, shared, rows) < COVERED:
        return None
    values = rows[0][shared[0]]
    if parts.are_entities(convert(values, detect(values))):
        return "histories", {shared[0]: shared[0]}, f"has several rows for each {shared[0]}"
    return None


def _keys(name: str, table: pd.DataFrame, rows: list[pd.DataFrame]) -> list[dict[str, str]]:
    """Return columns of the rows, each with that of the table that is named like it.

    ``shop`` is ``Shop_ID`` of any table, and ``id`` of shops.csv.
    """
    both = [str(column) for column in rows[0] if column in rows[1]]
    of = _bare(PurePosixPath(name).stem)
    found = []
    for column in both:
        bare = _bare(column)
        for own in map(str, table):
            named = _bare(own) == bare or (bare == of and _ROW.search(own.lower()))
            if own.casefold() == column.casefold() or (bare and named):
                found.append({column: own})
    return found


def _bare(name: str) -> str:
    """Return what a column or a table is named for.

    >>> _bare("Store_ID"), _bare("shops"), _bare("movieId"), _bare("movies")
    ('store', 'shop', 'mov', 'mov')
    """
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return re.sub(r"(ies?|y|s)$", "", _ROW.sub("", words))
