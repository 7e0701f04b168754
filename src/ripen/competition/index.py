"""The index: one row for each id, in the one order that all files share.

Stage `prepare` writes it for every competition. Later files refer to a row by its number in the
index; only the submission uses the ids.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ripen.competition.tasks import TASKS, Targets, Task
from ripen.core.errors import DataError, reading
from ripen.core.frames import write_frame
from ripen.core.json_files import read_json, write_json
from ripen.core.layout import Layout
from ripen.settings.schema import Competition

INDEX, CLASSES = "index.csv", "classes.json"
COLUMNS = {
    "id": "str",  # as the user's files spell it
    "part": "str",  # "train", "test", or "more": labelled rows for the learning curve alone
    "target": "str",  # a class, a number, or several, separated by blanks; "" if unknown
    "group": "str",  # rows that are alike or belong together
    "fold": "int64",  # the fold that holds the row out; -1 if none does
    "problem": "str",  # why a row is excluded, "" for most
}
REPEATS = re.compile(r"fold_\d+")  # the further folds of a repeated split: fold_2, …
WEIGHT = "weight"  # a column of the index if the settings name a weight
# Further columns that are not text, most of them of images.
IMAGES = {
    "width": "int64",
    "height": "int64",
    "bytes": "int64",
    "brightness": "float64",
    WEIGHT: "float64",
}
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Index:
    """The index, and how its targets are encoded.

    Attributes
    ----------
    rows : DataFrame of n rows
        The columns of `COLUMNS`, and the reader's own.
    task : Task
    classes : tuple of str
        Values of the target in the order of their labels, or the names of several targets; empty
        for a single value.
    names : tuple of str
        Their display names.
    """

    rows: pd.DataFrame
    task: Task
    classes: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def targets(self) -> Targets:
        """Labels, -1 if unknown, or values, NaN if unknown; shape (n,), or (n, k) for k targets.

        As `Task.encode` returns them.
        """
        return self.task.encode(self.rows["target"], self.classes)

    @property
    def outputs(self) -> int:
        """The number of a model's outputs for a row."""
        return self.task.outputs(self.classes)

    @property
    def folds(self) -> Ints:
        """The fold of each row in the first split, shape (n,)."""
        return self.rows["fold"].to_numpy(np.int64)

    @property
    def repeats(self) -> list[Ints]:
        """The folds of each repeat of the split, each of shape (n,)."""
        names = ["fold", *filter(REPEATS.fullmatch, map(str, self.rows))]
        return [self.rows[name].to_numpy(np.int64) for name in names]

    @property
    def groups(self) -> "pd.Series[str]":
        """The group of each row, "" if it has none."""
        found: pd.Series[str] = self.rows["group"]
        return found

    @property
    def weight(self) -> NDArray[np.float64] | None:
        """The weight of each row, shape (n,); None without weights."""
        return self.rows[WEIGHT].to_numpy(np.float64) if WEIGHT in self.rows else None

    def known(self) -> NDArray[np.bool_]:
        """Return whether each row's target is known, shape (n,)."""
        return (self.rows["target"] != "").to_numpy()

    def learnable(self) -> Ints:
        """Return the row numbers of the training part, without exclusions."""
        return self.part("train")

    def part(self, name: str) -> Ints:
        """Return the row numbers of a part, without exclusions."""
        good = (self.rows["part"] == name) & (self.rows["problem"] == "")
        return np.flatnonzero(good.to_numpy()).astype(np.int64)


def write(folder: Path, rows: pd.DataFrame, names: dict[str, str]) -> None:
    """Write the index and its classes, value to name in the order of the labels."""
    write_frame(folder / INDEX, rows)
    write_json(folder / CLASSES, names)


def read(layout: Layout, competition: Competition) -> Index:
    """Read what `write` wrote."""
    with reading(layout.prepared / INDEX):
        rows = pd.read_csv(layout.prepared / INDEX, dtype=str, keep_default_na=False)
        types = COLUMNS | IMAGES | dict.fromkeys(filter(REPEATS.fullmatch, map(str, rows)), "int64")
        rows = rows.astype({name: types[name] for name in rows.columns if name in types})
    names = read_json(layout.prepared / CLASSES)
    return Index(rows, TASKS[competition.task], tuple(names), tuple(names.values()))


def classes_of(
    competition: Competition, found: Sequence[str], known: dict[str, str], where: str
) -> dict[str, str]:
    """Return the classes, value to name in the order of their labels, or the names of the targets.

    Parameters
    ----------
    competition : Competition
    found : sequence of str
        Values of the target.
    known : dict of str to str
        The classes that the reader lists, value to name; empty if it lists none.
    where : str
        For the error.

    Raises
    ------
    DataError
        If a value is not one of the competition's classes, or the task needs another number of
        them.
    """
    task = TASKS[competition.task]
    if not task.classifies:
        return {name: name for name in task.named(competition.targets)}
    declared = competition.classes
    if isinstance(declared, dict):
        classes = declared
    elif declared is not None:
        classes = {value: known.get(value, value) for value in declared}
    elif competition.one_hot:
        classes = {name: name for name in competition.targets}
    else:
        classes = known or {value: value for value in sorted(set(found), key=_in_order)}
    if unknown := sorted(set(found) - set(classes)):
        raise DataError(
            f"{where}: unknown class '{unknown[0]}'. Allowed: {', '.join(list(classes)[:20])}"
        )
    task.check_classes(list(classes), where)
    return classes


def _in_order(value: str) -> tuple[float, str]:
    """Return a key that sorts numbers by value, before words."""
    try:
        return (float(value), value)
    except ValueError:
        return (float("inf"), value)
