"""Tables to be joined to the rows: they describe a value of their columns, such as each store."""

from collections.abc import Iterable, Sequence

from ripen.data.tables import coverage, key_of
from ripen.entry.files import Table

COVERED = 0.5  # least share of the rows, of each part, that the table describes


def of_tables(
    train: Table, test: Table, others: Iterable[Table], targets: Sequence[str]
) -> dict[str, str]:
    """Return the names of the tables to join, each with the columns that it is joined by.

    Such a table has one row for each value of columns that it shares with both parts, covers
    most rows of each, and has more columns. One with a target in it is none.
    """
    found = {}
    for table in others:
        if table.name in (train.name, test.name) or set(targets) & set(table.text):
            continue
        parts = [train.text, test.text]
        keys = key_of(table.text, parts)
        if not keys or len(keys) == table.text.shape[1]:
            continue
        if coverage(table.text, keys, parts) >= COVERED:
            found[table.name] = " and ".join(keys)
    return found
