"""How a competition's parts were split: by groups, in time, or neither. Validation splits alike.

The signs are groups that only the test part has, and times later than all training rows.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pandas as pd

from ripen.data import parts
from ripen.data.column_types import convert, date_format, detect
from ripen.entry.files import Files, Table

FOLDS = 5
PAIRED = 12  # columns whose pairs are tried as groups
GLANCE = 200  # test rows that are looked at before all are
_SUBJECT = re.compile(r"(^|_)id$|[a-z]I[dD]$|patient|subject|person|group|user|case", re.IGNORECASE)


@dataclass(frozen=True)
class Split:
    """The section `validation`, and the reason for it."""

    settings: dict[str, Any]
    reason: str


def of_table(
    train: pd.DataFrame, test: pd.DataFrame, id: str, targets: Iterable[str], classes: bool
) -> Split:
    """Return a validation that splits rows as training and test part were split.

    Parameters
    ----------
    train, test : DataFrame
        As text.
    id : str
    targets : iterable of str
    classes : bool
        Whether the target is one of some classes.
    """
    rare = rarest(train[list(targets)]) if classes else ""
    stratified = "stratified_group" if classes and not rare else "group"
    if parts.group_in_id(train[id], test[id]):
        pattern = {"group": id, "pattern": parts.GROUP_IN_ID, "folds": FOLDS}
        reason = f"{id} begins with a group, and no group is in both parts"
        return Split({"split": stratified} | pattern, reason)
    others = {*targets} if date_format(train[id]) else {id, *targets}
    shared = [str(name) for name in train if name in test and name not in others]
    typed = {name: _typed(train, test, name) for name in shared}
    for name in shared:
        if parts.later(*typed[name]):
            reason = f"the test rows' {name} is later than the training rows'"
            return Split({"split": "time", "column": name, "folds": FOLDS}, reason)
    for name in shared:
        if parts.apart(*typed[name]):
            reason = f"each {name} has several rows, and none is in both parts"
            return Split({"split": stratified, "group": name, "folds": FOLDS}, reason)
    if pair := _pair_apart(train, test, shared):
        reason = f"each {' and '.join(pair)} has several rows, and none is in both parts"
        return Split({"split": stratified, "group": pair, "folds": FOLDS}, reason)
    reason = "train and test seem split at random"
    if rare:
        return Split({"split": "kfold", "folds": FOLDS}, f"{reason}; {rare}")
    return Split({"split": "stratified" if classes else "kfold", "folds": FOLDS}, reason)


def _pair_apart(train: pd.DataFrame, test: pd.DataFrame, shared: list[str]) -> list[str]:
    """Return two columns that together name entities, each in one part only; else [].

    A storm is a name and a year. Columns with a value of its own in most rows are measurements.
    """
    several = [name for name in shared if min(train[name].nunique(), test[name].nunique()) > 1]
    few = [name for name in several if train[name].nunique() <= len(train) / 2][:PAIRED]
    for pair in combinations(few, 2):
        both = [part[pair[0]] + " " + part[pair[1]] for part in (train, test)]
        if not both[1][:GLANCE].isin(both[0]).any() and parts.apart(*both):
            return [*pair]
    return []


def rarest(targets: pd.DataFrame) -> str:
    """Return why classes cannot be stratified: one has fewer rows than there are folds; else "".

    >>> rarest(pd.DataFrame({"y": ["a"] * 9 + ["b"]}))
    'the rarest class has 1 row, too few to stratify'
    """
    least = int(targets.value_counts().min())
    if least >= FOLDS:
        return ""
    return f"the rarest class has {least} row{'s' * (least > 1)}, too few to stratify"


def _typed(train: pd.DataFrame, test: pd.DataFrame, name: str) -> "tuple[pd.Series[Any], ...]":
    """Return a column of both parts, with the type detected on both together."""
    both = pd.concat([train[name], test[name]], ignore_index=True)
    values = convert(both, detect(both))
    return values[: len(train)], values[len(train) :]


def in_names(known: Mapping[str, str], test: Iterable[str]) -> Split | None:
    """Return the groups of a split by subjects in images' names, ``10_left``; None without them.

    Names of classes are no subjects, nor are names that are no more than the classes.

    Parameters
    ----------
    known : mapping of str to str
        The class of each training image by its file's name, with or without suffix.
    test : iterable of str
        The sample's ids.
    """
    train, classes = pd.Series([*known]), set(known.values())
    least = max(parts.LEAST_GROUPS, len(classes) + 1)
    if not parts.group_in_id(train, pd.Series([*test]), parts.GROUP_IN_NAME, least):
        return None
    subjects = set(train.str.extract(parts.GROUP_IN_NAME)[0])
    if subjects <= classes:
        return None
    reason = "names begin with a subject, and no subject is in both parts"
    return Split({"group": "id", "pattern": parts.GROUP_IN_NAME}, reason)


def of_images(
    files: Files, known: Mapping[str, str], test: Table | None = None
) -> tuple[Table, str] | None:
    """Return the table that names the subject of each training image, and the column with it.

    Each subject is in one part only. Dates are not subjects, and numbers only in a column named
    like one: an age or a size is not.

    Parameters
    ----------
    files : Files
    known : mapping of str to str
        The class of each training image by its file's name, with or without suffix.
    test : Table, optional
    """
    classes = set(known.values())
    for table in files.tables.values():
        text = table.text
        image = next((str(c) for c in text if len(text) and set(text[c]) <= set(known)), None)
        if image is None:
            continue
        for column in text:
            values = text[column]
            repeated = FOLDS <= values.nunique() <= len(values) / 2
            if test and column in test.text and set(test.text[column]) & set(values):
                continue
            kind = detect(values).type
            if kind == "date" or (kind == "number" and not _SUBJECT.search(str(column))):
                continue
            if column != image and repeated and not set(values) <= classes:
                return table, str(column)
    return None
