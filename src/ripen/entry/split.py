"""How a competition's parts were split: by groups, in time, or neither. Validation does the same.

What the test part has that no training row has is the sign: other groups, or later times.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ripen.data.column_types import convert, detect
from ripen.entry.facts import numeric
from ripen.entry.files import Files, Table

FOLDS = 5
GROUP_IN_ID = r"^(.+)_\d+$"
_TIME_NAME = re.compile(
    r"date|time|year|month|week|day|hour|timestamp|period|season", re.IGNORECASE
)
LEAST_GROUPS = 2 * FOLDS  # in the training part: fewer cannot be told from a category


@dataclass(frozen=True)
class Split:
    """The section `validation`, and why."""

    settings: dict[str, Any]
    reason: str


def of_table(
    train: pd.DataFrame, test: pd.DataFrame, id: str, targets: Iterable[str], classes: bool
) -> Split:
    """Return how to validate, as the test part is split from the training part.

    Parameters
    ----------
    train, test : DataFrame
        As text.
    id : str
    targets : iterable of str
    classes : bool
        Whether the target is one of some classes.
    """
    stratified = "stratified_group" if classes else "group"
    if group_in_id(train[id], test[id]):
        pattern = {"group": id, "pattern": GROUP_IN_ID, "folds": FOLDS}
        reason = f"{id} begins with a group, and no group is in both parts"
        return Split({"split": stratified} | pattern, reason)
    shared = [str(name) for name in train if name in test and name not in {id, *targets}]
    for name in shared:
        if later(train[name], test[name]):
            reason = f"the test rows' {name} is later than the training rows'"
            return Split({"split": "time", "column": name, "folds": FOLDS}, reason)
    for name in shared:
        if apart(train[name], test[name]):
            reason = f"each {name} has several rows, and none is in both parts"
            return Split({"split": stratified, "group": name, "folds": FOLDS}, reason)
    reason = "neither groups nor time tell the parts apart"
    if classes:
        least = int(train[list(targets)].iloc[:, 0].value_counts().min())
        if least < FOLDS:
            rare = f"the rarest class has {least} row{'s' * (least > 1)}"
            return Split(
                {"split": "kfold", "folds": FOLDS}, f"{reason}; {rare}, too few to stratify"
            )
    return Split({"split": "stratified" if classes else "kfold", "folds": FOLDS}, reason)


def group_in_id(train: "pd.Series[str]", test: "pd.Series[str]") -> bool:
    """Whether ids are ``group_number``, with several rows in some group and no group in both parts.

    >>> group_in_id(pd.Series(["1_01", "1_02", "3_01"]), pd.Series(["2_01"]))
    True
    """
    parts = [each.str.extract(GROUP_IN_ID)[0] for each in (train, test)]
    if any(each.isna().any() for each in parts):
        return False
    several = parts[0].nunique() < len(parts[0])
    return several and parts[0].nunique() > 1 and not set(parts[0]) & set(parts[1])


def later(train: "pd.Series[str]", test: "pd.Series[str]") -> bool:
    """Whether a column is a time, and no test row is before the last training row."""
    both = times(pd.concat([train, test], keys=["train", "test"]))
    if both is None or both["train"].min() == both["train"].max():
        return False
    return bool(both["test"].min() >= both["train"].max())


def times(values: "pd.Series[str]") -> "pd.Series[Any] | None":
    """Return a column's times: dates, or numbers under the name of a time; None if it has none."""
    column = detect(values)
    if column.type == "date":
        return convert(values, column).dropna()
    if column.type == "number" and _TIME_NAME.search(str(values.name)):
        return convert(values, column).dropna()
    return None


def apart(train: "pd.Series[str]", test: "pd.Series[str]") -> bool:
    """Whether a column names entities: several rows each, and other ones in the test part."""
    known, others = (each[each != ""] for each in (train, test))
    fractional = numeric(known) and pd.to_numeric(known).mod(1).ne(0).any()
    if known.empty or others.empty or fractional:
        return False
    several = known.nunique() <= len(known) / 2 and others.nunique() < len(others)
    enough = known.nunique() >= LEAST_GROUPS
    return bool(several and enough and not set(known) & set(others))


def of_images(files: Files, known: Mapping[str, str]) -> tuple[Table, str] | None:
    """Return the table that says whom each training image shows, and its column that does.

    Parameters
    ----------
    files : Files
    known : mapping of str to str
        The class of each training image by its file's name, with or without suffix.
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
            if column != image and repeated and not set(values) <= classes:
                return table, str(column)
    return None
