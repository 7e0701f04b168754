"""What a competition of a table asks for: its id, target, task and form of submission.

Pure functions on tables of text. They return facts with reasons. Where the files do not decide,
`Ask` chooses among options, the likeliest first.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import islice, product
from typing import Any, Protocol

import pandas as pd

from ripen.competition.ids import with_id
from ripen.core.errors import DataError
from ripen.data.column_types import MISSING, date_format, with_points
from ripen.data.tables import tags_in, with_numbers
from ripen.entry.files import Table

TAGS = 200  # labels that a row may have several of, at most: each takes a fit of its own
CLASSES = 20  # a target with more distinct whole numbers is a regression
RARE = 0.25  # share of a class, below which its label is seldom what is asked for
ZEROS, ONES = frozenset({"0", "0.0", "False"}), frozenset({"1", "1.0", "True"})
MARKS = ("_", " x ", "-", "|", ":", "/", " ")  # between the parts of an id, of at most
MADE_OF = 4  # columns
TRIED = 1000  # patterns
FEW = 5  # distinct numbers, and rows of one
UNEQUAL = 4  # times as many rows of one number as of another
_COUNT = re.compile(
    r"count|number|(^|_)num(_|$)|sales|visits|quantity|price|amount|cost|total|demand|rentals",
    re.IGNORECASE,
)
_GRADE = re.compile(
    r"quality|relevance|rating|grade|severity|diagnosis|stage|level|stars|score|degree",
    re.IGNORECASE,
)
_YES = re.compile(r"^(is|has)_|prob|^(pred|score)", re.IGNORECASE)  # asks how likely it is
_STRINGS = re.compile(r"rle|pixels|mask|bbox|box|polygon|segment|prediction_?string", re.IGNORECASE)


class Ask(Protocol):
    """Chooses one of several options, the likeliest of which comes first."""

    def __call__(self, key: str, options: Sequence[str], reason: str) -> str:
        """Decide on a fact; `reason` says why the files do not."""


@dataclass(frozen=True)
class Fact:
    """A setting, and the reason for its value."""

    key: str
    value: Any
    reason: str = ""


@dataclass(frozen=True)
class Goal:
    """What is predicted, and the form of the submission.

    Attributes
    ----------
    task : str
    submission : str
    reason, form : str
        Reasons for the task and for the submission.
    classes : dict of str to str
        Value to name, if the sample's columns name the classes differently from the target.
    tags : list of str
        The labels, if the target holds several a row.
    """

    task: str
    submission: str
    reason: str
    form: str
    classes: dict[str, str]
    tags: list[str] = field(default_factory=list)


# --- The id --------------------------------------------------------------------------------------


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
    by_value = _with_values(test, wanted)
    if shared:
        name = in_sample = first if first in shared else shared[0]
        reason = f"the column that {sample.name} and {test.name} share"
    elif by_value:
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
    ids, known = test.text[name], sample.text[in_sample]
    if len(shared) == test.text.shape[1] and len(sample.text) == len(test.text):
        same = all(sample.text[each].tolist() == test.text[each].tolist() for each in shared)
        if same and test.text[name].duplicated().any():
            raise DataError(
                f"{sample.name}: has the columns of {test.name}, and neither has ids. Put a column "
                f"of the rows' numbers, named alike, into {test.name} and {sample.name}"
            )
    if set(ids) != set(known):
        if found := _melted(known, test):
            return found
        if odd := sorted(set(known) - set(ids)):
            raise DataError(
                f"{sample.name}: its ids are not those of {test.name}: {odd[0]} is not one"
            )
        lacking = sorted(set(ids) - set(known))
        raise DataError(
            f"{sample.name}: lacks {len(lacking)} of the {len(set(ids))} ids of {test.name}, for "
            f"instance {lacking[0]}. Give it a row for each, with any value"
        )
    unique(test, name)
    return Id(name, in_sample, reason)


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


# --- The target ----------------------------------------------------------------------------------


def target_of(
    train: Table, test: Table, sample: Table, id: Id, ask: Ask
) -> tuple[list[str], str, list[str]]:
    """Find the target: the sample's columns that the test table lacks.

    Returns
    -------
    list of str, str, list of str
        The target's columns, the reason, and the other training columns that the test table lacks.

    Raises
    ------
    DataError
        If there is no target.
    """
    names = list(id.melted) or [str(name) for name in sample.text if name != id.in_sample]
    # Some test tables have the target's column too, with nothing in it.
    empty = {name for name in names if name in test.text and test.text[name].nunique() <= 1}
    empty |= {str(name) for name in test.text if test.text[name].isin(MISSING).all()}
    known = set(test.text) - empty
    lacking = [str(name) for name in train.text if name not in known and name != id.name]
    if not lacking:
        raise DataError(
            f"{train.name}: no target found: each of its columns is in {test.name} as well. "
            f"{sample.name} asks for: {', '.join(names[:5])}"
        )
    if set(names) <= set(lacking):
        chosen, reason = names, f"in {train.name} and {sample.name}, not in {test.name}"
    elif len(names) > 1 and (by_class := [c for c in lacking if columns_of(train.text[c], names)]):
        chosen, reason = by_class[:1], f"its values are the columns of {sample.name}"
    elif len(lacking) == 1:
        chosen = lacking
        asked = f"'{names[0]}'" if len(names) == 1 else f"{len(names)} columns"
        reason = f"the only column that {test.name} lacks; {sample.name} asks for {asked}"
    else:
        alike = sorted(lacking, key=lambda name: _unlike(name, train.text, names[0]))
        reason = f"{test.name} lacks {len(lacking)} columns, and {sample.name} names none of them"
        chosen = [ask("target", alike, reason)]
    return chosen, reason, [name for name in lacking if name not in chosen]


def _unlike(name: str, text: pd.DataFrame, asked: str) -> tuple[bool, bool, float]:
    """Return a key that sorts likely targets first: no date, and named like what is asked for."""
    lower, asked = name.lower(), asked.lower()
    ratio = SequenceMatcher(None, lower, asked).ratio()
    return date_format(text[name]) is not None, asked not in lower, -ratio


def columns_of(target: "pd.Series[str]", names: Sequence[str]) -> dict[str, str]:
    """Return the sample's column of each class; {} if columns and classes do not match.

    All columns may share a prefix before the class: ``Status_C``.

    >>> columns_of(pd.Series(["C", "D"]), ["Status_C", "Status_D"])
    {'C': 'Status_C', 'D': 'Status_D'}
    """
    values = set(target)
    if len(names) != len(values):
        return {}
    for prefix in {name[: -len(value)] for name in names for value in values if value}:
        found = {name.removeprefix(prefix): name for name in names if name.startswith(prefix)}
        if set(found) == values:
            return found
    return {name: name for name in names} if set(names) == values else {}


# --- The task and the form -----------------------------------------------------------------------


def goal_of(
    targets: pd.DataFrame,
    sample: Table,
    id: Id,
    metric: str | None,
    ask: Ask,
    tasks: Collection[str] = (),
) -> Goal:
    """Find the task and the form of the submission, from the values of the target and the sample.

    Parameters
    ----------
    targets : DataFrame of shape (n, targets)
        As text.
    sample : Table
    id : Id
    metric : str, optional
        What the metric needs, if it is known: "label", "probability" or "value".
    ask : Ask
    tasks : collection of str
        Those that the metric allows, if it is known.

    Raises
    ------
    DataError
        If ripen cannot write the submission's form: masks, boxes, strings.
    """
    names = [str(name) for name in sample.text if name != id.in_sample]
    given = sample.text[names]
    reachable(sample, names)
    if targets.shape[1] > 1:
        return _several(targets, id, tasks)
    target = targets.iloc[:, 0]
    if named := columns_of(target, list(id.melted) or names):
        other = named if any(key != value for key, value in named.items()) else {}
        task = "binary" if len(named) == 2 else "multiclass"
        k = len(named)
        return Goal(task, "probability", f"{k} values", f"a column for each of {k} classes", other)
    if len(names) > 1:
        if set(target) < set(names):
            more = ", ".join(sorted(set(names) - set(target))[:5])
            raise DataError(
                f"{sample.name}: asks for the probability of {more} too, of which there is no "
                "training row: ripen cannot learn it. Remove the column, and add it to the "
                "submission"
            )
        raise DataError(
            f"{sample.name}: its columns {', '.join(names[:5])} are neither columns of the "
            f"training table nor values of '{target.name}'"
        )
    return _single(target, given.iloc[:, 0], sample.name, metric, ask)


def reachable(sample: Table, names: Sequence[str]) -> None:
    """Refuse masks, boxes and other strings.

    Raises
    ------
    DataError
        Names the column.
    """
    for name in names:
        values = sample.text[name]
        numbers = values.str.fullmatch(r"(\d+ )+\d+").any()
        if _STRINGS.search(name) and (numbers or not numeric(values[values != ""])):
            example = next((value for value in values if value), "")
            raise DataError(
                f"{sample.name}: column '{name}' ({example[:30]!r}) looks like masks, boxes or "
                "strings. ripen predicts classes and numbers: it cannot enter this competition"
            )


def _several(targets: pd.DataFrame, id: Id, tasks: Collection[str]) -> Goal:
    """Return the goal of k targets: one class, independent labels, or numbers.

    They are one class if exactly one of k is 1 in each row, independent labels if all are 0 or 1.
    """
    k = targets.shape[1]
    form = f"a row for each id and each of {k} targets" if id.melted else f"{k} columns"
    numbers = tuple(tasks) == ("regression",)
    if set(targets.to_numpy().ravel()) <= ZEROS | ONES and not numbers:
        one = k > 2 and (targets.isin(ONES).sum(axis=1) == 1).all() and not id.melted
        if one and (not tasks or "multiclass" in tasks):
            return Goal("multiclass", "probability", f"one of {k} columns is 1", form, {})
        return Goal("multilabel", "probability", f"{k} columns of 0 and 1", form, {})
    if bad := [str(name) for name in targets if not numeric(targets[name])]:
        odd = next(value for value in targets[bad[0]] if not numeric(pd.Series([value])))
        raise DataError(
            f"target '{bad[0]}': several targets must be numbers, or 0 and 1 each: it holds {odd!r}"
        )
    return Goal("regression", "value", f"{k} columns of numbers", form, {})


def _single(
    target: "pd.Series[str]", given: "pd.Series[str]", name: str, metric: str | None, ask: Ask
) -> Goal:
    """Return the goal of one column: a label, several labels, a probability or a number."""
    values, numbers = target.value_counts(), numeric(target)
    counts = f"{len(values)} values"
    if len(values) <= 2:
        counts = " and ".join(f"{count:,} rows of {value}" for value, count in values.items())
    if len(values) < 2:
        raise DataError(f"target '{target.name}': has one value ({counts}): nothing to predict")
    fractional = numbers and pd.to_numeric(target).mod(1).ne(0).any()
    if numbers and (fractional or len(values) > CLASSES):
        return Goal(
            "regression", "value", f"a number: {len(values):,} different values", "a number", {}
        )
    if not numbers and (tags := tags_of(target)):
        if len(tags) > TAGS:
            raise DataError(
                f"target '{target.name}': holds several of {len(tags):,} labels a row. ripen "
                f"predicts at most {TAGS}: it cannot enter this competition"
            )
        reason = f"several of {len(tags)} labels a row, such as {max(target, key=len)}"
        return Goal("multilabel", "labels", reason, f"{name} holds labels in a row", {}, tags)
    if not numbers and len(values) > max(CLASSES, len(target) // 2):
        raise DataError(
            f"target '{target.name}': {len(values):,} different texts in {len(target):,} rows. "
            "ripen predicts classes and numbers: it cannot enter this competition"
        )
    if len(values) == 2:
        return _of_two(target, numbers, given, name, counts, metric, ask)
    most = int(given.str.count(r"\S+").max())
    spaced = given.str.split().explode().isin(set(values.index)).all()
    if most > 1 and spaced and not set(given) <= set(values.index):
        return Goal("multiclass", "labels", counts, f"{name} holds {most} labels a row", {})
    if numbers:
        whole = pd.to_numeric(given, errors="coerce").mod(1).eq(0).all()
        options = ["multiclass", "regression"]
        if not whole or is_count(target):
            options = options[::-1]
        needs = {"value": "regression", "label": "multiclass", "probability": "multiclass"}
        task = needs.get(metric or "") or ask("task", options, f"{counts}, whole numbers")
        if task == "regression":
            return Goal("regression", "value", f"{counts}, in order", "a number", {})
    return Goal("multiclass", "label", counts, f"{name} holds one class a row", {})


def _of_two(
    target: "pd.Series[str]",
    numbers: bool,
    given: "pd.Series[str]",
    name: str,
    counts: str,
    metric: str | None,
    ask: Ask,
) -> Goal:
    """Return the goal of a column of two values: a label, or a probability."""
    values, sample = target.value_counts(), set(given)
    numbered = sample == {"0", "1"}  # perhaps in place of words
    if numbered or (sample <= set(values.index) and (len(sample) == 2 or not numbers)):
        return Goal("binary", "label", counts, f"{name} holds {' and '.join(sorted(sample))}", {})
    if not sample <= {*values.index, "0", "1"}:
        return Goal("binary", "probability", counts, f"{name} holds {given.iloc[0]}", {})
    said = f"{name} holds {given.iloc[0]} in every row"
    options = ["label", "probability"]
    if values.min() < RARE * len(target):
        options, said = options[::-1], f"{said}, and one class is rare"
    elif _YES.search(str(given.name)):
        options, said = options[::-1], f"{said}, and its column is named '{given.name}'"
    return Goal("binary", metric or ask("submission", options, said), counts, said, {})


def tags_of(target: "pd.Series[str]") -> list[str]:
    """Return the labels of a target that holds several a row, in different numbers; else [].

    >>> tags_of(pd.Series(["clear road", "clear", "road", "haze clear road", "haze"]))
    ['clear', 'haze', 'road']
    >>> tags_of(pd.Series(["sugar beet", "maize", "sugar beet"]))
    []
    """
    words = tags_in(target)
    tags = sorted(set(words.explode().dropna()))
    lengths = words.str.len()
    alone = set(tags) & set(target)
    return tags if lengths.nunique() > 1 and alone and len(tags) < target.nunique() else []


def grades(target: "pd.Series[str]") -> bool:
    """Whether classes are steps of a scale: whole numbers without gaps, under such a name."""
    if not _GRADE.search(str(target.name)) or not numeric(target):
        return False
    steps = sorted(set(pd.to_numeric(target)))
    return len(steps) > 2 and steps == list(range(int(steps[0]), int(steps[0]) + len(steps)))


def is_count(target: "pd.Series[str]") -> bool:
    """Whether whole numbers count something: by their name, with wide gaps, or with rare values."""
    numbers = pd.to_numeric(target)
    gaps = numbers.max() - numbers.min() + 1 >= 2 * numbers.nunique()
    rows = numbers.value_counts()
    rare = len(rows) > FEW and rows.min() < FEW and rows.max() >= UNEQUAL * rows.min()
    return bool(_COUNT.search(str(target.name)) or (numbers.nunique() > 2 and (gaps or rare)))


def as_numbers(values: "pd.Series[str]", decimal: str) -> "pd.Series[str]":
    """Return values with decimal points if all are numbers that are written in another way.

    >>> as_numbers(pd.Series(["$1,200", "$80.5"]), ".").tolist()
    ['1200', '80.5']
    >>> as_numbers(pd.Series(["1,5", "n/a"]), ",").tolist()
    ['1,5', 'n/a']
    """
    found = with_points(values, decimal)
    return found if numeric(found) else values


def numeric(values: "pd.Series[str]") -> bool:
    """Whether values are all finite numbers.

    >>> numeric(pd.Series(["1", "2.5e3"])), numeric(pd.Series(["1", "NA"]))
    (True, False)
    """
    found = pd.to_numeric(values, errors="coerce")
    return bool(len(found) and found.notna().all() and found.abs().lt(float("inf")).all())
