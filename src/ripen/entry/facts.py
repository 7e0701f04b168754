"""What a competition of a table asks for: its target, task and form of submission.

Pure functions on tables of text. They return facts with reasons. Where the files do not decide,
`Ask` chooses among options, the likeliest first.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any, Protocol

import pandas as pd

from ripen.core.errors import DataError
from ripen.data.column_types import MISSING, date_format, with_points
from ripen.data.raw_rows import tags_in
from ripen.entry.files import Table
from ripen.entry.sample_ids import Id

TAGS = 200  # labels that a row may have several of, at most: each takes a fit of its own
CLASSES = 20  # a target with more distinct whole numbers is a regression
RARE = 0.25  # share of a class, below which a submission seldom holds labels
ZEROS, ONES = frozenset({"0", "0.0", "False"}), frozenset({"1", "1.0", "True"})
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
    """Chooses one of several options; the likeliest comes first."""

    def __call__(self, key: str, options: Sequence[str], reason: str) -> str:
        """Decide on a fact; `reason` is why the files do not."""


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

    @property
    def classifies(self) -> bool:
        """Whether a row has one class."""
        return self.task in ("binary", "multiclass")


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
    """Return a key that sorts likely targets first: no date, and named like the sample's column."""
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
                f"{sample.name}: asks for the probability of {more} too, which has no training "
                "row: ripen cannot learn it. Remove the column, and add it to the "
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
