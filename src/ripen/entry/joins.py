"""Tables to be joined to the rows: they describe a value of their columns, such as each store."""

from collections.abc import Iterable, Sequence

from ripen.data.tables import key_of
from ripen.entry.files import Table

COVERED = 0.5  # least share of the rows, of each part, that the table describes


def of_tables(
    train: Table, test: Table, others: Iterable[Table], targets: Sequence[str]
) -> dict[str, str]:
    """Return the names of the tables to join, each with the columns that it is joined by.

    Such a table has one row for each value of the columns that it shares with both parts, covers
    most rows of each, and has more columns. One with a target in it is none.
    """
    found = {}
    for table in others:
        if table.name in (train.name, test.name) or set(targets) & set(table.text):
            continue
        keys = key_of(table.text, [train.text, test.text])
        if not keys or len(keys) == table.text.shape[1]:
            continue
        known = set(table.text[keys].itertuples(index=False, name=None))
        rows = [part.text[keys].itertuples(index=False, name=None) for part in (train, test)]
        covered = [[row in known for row in part] for part in rows]
        if all(sum(each) >= COVERED * len(each) for each in covered):
            found[table.name] = " and ".join(keys)
    return found
