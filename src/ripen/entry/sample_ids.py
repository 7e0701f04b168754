"""The ids that a sample submission asks for: which columns of the test table hold them."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice, product

import pandas as pd

from ripen.competition.ids import with_id
from ripen.core.errors import DataError
from ripen.data.raw_rows import with_numbers
from ripen.entry.files import Table

MARKS = ("_", " x ", "-", "|", ":", "/", " ")  # between the parts of an id, of at most
MADE_OF = 4  # columns
TRIED = 1000  # patterns


@dataclass(frozen=True)
class Id:
    """The column of ids: its name in the test table, its name in the sample.

    With `melted` the sample has a row for each id and each of these names: ``id_name``.
    """

    name: str
    in_sample: str
    reason: str
    melted: tuple[str, ...] = ()


def id_of(sample: Table, test: Table) -> Id:
    """Find the ids: the column that sample and test share, by name or else by its values.

    Raises
    ------
    DataError
        If there is none, its values differ, or an id is duplicated.
    """
    first = str(sample.text.columns[0])
    wanted = set(sample.text[first])
    shared = [str(name) for name in sample.text if name in test.text]
    if first not in shared:  # a column of values, not of ids, may be in both
        shared = [name for name in shared if set(sample.text[name]) == set(test.text[name])]
    if shared:
        name = in_sample = first if first in shared else shared[0]
        reason = f"the column that {sample.name} and {test.name} share"
    elif by_value := _with_values(test, wanted):
        name, in_sample = by_value[0], first
        reason = f"{sample.name} calls it {first}: the same values"
    elif found := _melted(sample.text[first], test):
        return found
    elif first in with_numbers({"test": test.text}, first, sample.text[first])["test"]:
        return Id(first, first, f"{sample.name} numbers the rows of {test.name}, which has no ids")
    else:
        raise DataError(
            f"{test.name}: has no column of the ids of {sample.name} ('{first}': "
            f"{sample.text[first].iloc[0]}, …). Add one to {test.name} and the training table"
        )
    _refuse_copy(sample, test, name)
    ids, known = set(test.text[name]), set(sample.text[in_sample])
    if ids == known:
        unique(test, name)
        return Id(name, in_sample, reason)
    if found := _melted(sample.text[in_sample], test):
        return found
    if odd := sorted(known - ids):
        raise DataError(f"{sample.name}: its ids are not those of {test.name}: {odd[0]} is not one")
    lacking = sorted(ids - known)
    raise DataError(
        f"{sample.name}: lacks {len(lacking)} of the {len(ids)} ids of {test.name}, for "
        f"instance {lacking[0]}. Give it a row for each, with any value"
    )


def _refuse_copy(sample: Table, test: Table, name: str) -> None:
    """Refuse a sample that repeats the test table, if the shared column `name` has duplicates."""
    columns = [*test.text]
    if test.text[name].is_unique or not set(columns) <= set(sample.text):
        return
    if sample.text[columns].to_numpy().tolist() == test.text.to_numpy().tolist():
        raise DataError(
            f"{sample.name}: has the columns of {test.name}, and neither has ids. Put a column "
            f"of the rows' numbers, named alike, into {test.name} and {sample.name}"
        )


def pattern_of(sample: Table, test: Table) -> str:
    """Return a pattern of the test table's columns that make up the sample's ids; "" for none.

    The sample has these columns, or its first one has their values with a mark between:
    ``1_2012-11-02`` of store and day. No column of the test table has the ids itself.
    """
    first = str(sample.text.columns[0])
    wanted = set(sample.text[first])
    shared = [str(name) for name in sample.text if name in test.text]
    alone = any(test.text[name].is_unique for name in _with_values(test, wanted))
    # Beside an id the rows' numbers, or what else each row has; not a target without a value yet.
    same = [name for name in shared if not alone or test.text[name].nunique() > 1]
    if 2 <= len(same) < min(sample.text.shape[1], test.text.shape[1]):
        pattern = "_".join(f"{{{name}}}" for name in same)
        return pattern if _makes(test.text, pattern, sample.text) else ""
    if alone:
        return ""
    known = max(wanted, key=len)
    for mark in MARKS:
        pieces = known.split(mark)
        if not 2 <= len(pieces) <= MADE_OF:
            continue
        # The columns that hold a part of one id, in the order of its parts.
        named = [[str(c) for c in test.text if (test.text[c] == p).any()] for p in pieces]
        for columns in islice(product(*named), TRIED):
            pattern = mark.join(f"{{{name}}}" for name in columns)
            if _makes(test.text, pattern, sample.text[[first]].set_axis([pattern], axis=1)):
                return pattern
    return ""


def _makes(test: pd.DataFrame, pattern: str, sample: pd.DataFrame) -> bool:
    """Whether the columns of a pattern make up the sample's ids, each once."""
    known = with_id(sample, pattern)[pattern]
    if not with_id(test[:1], pattern)[pattern].isin(known).all():
        return False
    made = with_id(test, pattern)[pattern]
    return made.is_unique and set(made) == set(known)


def _with_values(table: Table, wanted: set[str]) -> list[str]:
    """Return the columns that have these values and no others."""
    return [
        str(name)
        for name, first in table.text.iloc[0].items()
        if first in wanted and set(table.text[str(name)]) == wanted  # most differ in the first
    ]


def looked_up(sample: Table, test: Table, others: Iterable[Table]) -> None:
    """Refuse a sample whose ids are the rows of a third table, each a test row and a target.

    Raises
    ------
    DataError
        Names the table.
    """
    first = str(sample.text.columns[0])
    wanted = set(sample.text[first])
    if _with_values(test, wanted):
        return
    for table in others:
        shared = [str(name) for name in table.text if name != first and name in test.text]
        if shared and first in table.text and set(table.text[first]) == wanted:
            raise DataError(
                f"{sample.name}: its ids are rows of {table.name}, several for each {shared[0]}. "
                f"ripen writes the ids of {test.name}, or id_target: it cannot enter this "
                "competition"
            )


def unique(table: Table, id: str) -> None:
    """Check that ids are unique.

    Raises
    ------
    DataError
        Names the first row with a duplicate; the first row after the header is 1.
    """
    again = table.text[id].duplicated()
    if again.any():
        row = int(again.argmax())
        raise DataError(
            f"{table.name}: row {row + 1}, column '{id}': {table.text[id].iloc[row]!r} is in an "
            "earlier row already. An id must be unique"
        )


def _melted(known: "pd.Series[str]", test: Table) -> Id | None:
    """Parse ids of the form ``id_name``, a row for each id and name."""
    split = known.str.rpartition("_")
    heads, names = set(split[0]), tuple(dict.fromkeys(split[2]))
    for column in test.text if len(names) > 1 else ():
        ids = set(test.text[column])
        if len(known) == len(ids) * len(names) and heads == ids:
            reason = f"rows of the sample are {column}_name, {len(names)} for each {column}"
            return Id(str(column), str(known.name), reason, names)
    return None
