"""k folds: at random, by class, by group, by both, in time, or as the user deals them."""

from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from ripen.competition.splitters import SPLITTERS, Ints, Split, Splitter, too_few
from ripen.core.errors import DataError
from ripen.settings.typed import typed

Folds = Annotated[int, Field(ge=2)]


def _in_turn(rows: int, held_out: "list[NDArray[np.int64]]") -> Split:
    """Number the folds of scikit-learn's splits."""
    fold = np.full(rows, -1)
    for number, held in enumerate(held_out):
        fold[held] = number
    return Split(np.arange(rows), fold)


def _check_classes(rows: pd.DataFrame, labels: Ints, folds: int) -> None:
    counts = np.bincount(labels)
    if counts.min() < folds:
        rare = str(counts.argmin())
        if "target" in rows:  # the name that the user knows it by
            rare = str(rows["target"].iloc[int(np.argmax(labels == counts.argmin()))])
        raise too_few(int(counts.min()), folds, rare)


@SPLITTERS.register("kfold")
@typed
class KFold(Splitter):
    """Deals rows at random, to folds of as many rows."""

    folds: Folds

    def split(self, rows: pd.DataFrame, targets: NDArray[np.generic], seed: int) -> Split:
        """Deal rows (`Splitter.split`)."""
        from sklearn import model_selection

        if len(rows) < self.folds:
            raise DataError(f"{len(rows)} labelled rows cannot be dealt to {self.folds} folds")
        dealt = model_selection.KFold(self.folds, shuffle=True, random_state=seed)
        return _in_turn(len(rows), [held for _, held in dealt.split(targets)])


@SPLITTERS.register("stratified")
@typed
class Stratified(Splitter):
    """Deals rows so that each class has as many in every fold; values are binned into tenths."""

    folds: Folds

    def split(self, rows: pd.DataFrame, targets: NDArray[np.generic], seed: int) -> Split:
        """Deal rows (`Splitter.split`)."""
        from sklearn.model_selection import StratifiedKFold

        classes = classes_of(targets)
        _check_classes(rows, classes, self.folds)
        dealt = StratifiedKFold(self.folds, shuffle=True, random_state=seed)
        return _in_turn(len(rows), [held for _, held in dealt.split(classes, classes)])


@SPLITTERS.register("group")
@typed
class Group(Splitter):
    """Deals whole groups, by a column: no group is both in training and in validation."""

    folds: Folds
    column: str = "group"  # of the index, where near-duplicate images are a group

    def split(self, rows: pd.DataFrame, targets: NDArray[np.generic], seed: int) -> Split:
        """Deal rows (`Splitter.split`)."""
        from sklearn.model_selection import GroupKFold

        groups = column_of(rows, self.column).to_numpy()
        if (count := len(np.unique(groups))) < self.folds:
            raise DataError(f"{count} groups cannot be dealt to {self.folds} folds")
        dealt = GroupKFold(self.folds, shuffle=True, random_state=seed)
        held_out = [held for _, held in dealt.split(targets, groups=groups)]
        return _in_turn(len(rows), held_out)


@SPLITTERS.register("stratified_group")
@typed
class StratifiedGroup(Splitter):
    """Deals whole groups, and each class alike.

    scikit-learn's StratifiedGroupKFold comes near that. Here a class differs from its share by less
    than one row wherever its rows are groups of their own.
    """

    folds: Folds
    column: str = "group"

    def split(self, rows: pd.DataFrame, targets: NDArray[np.generic], seed: int) -> Split:
        """Deal rows (`Splitter.split`)."""
        from ripen.competition.shares import deal

        classes = classes_of(targets)
        _check_classes(rows, classes, self.folds)
        groups = codes(column_of(rows, self.column))
        fold = deal(classes, groups, [1 / self.folds] * self.folds, seed)
        return Split(np.arange(len(rows)), fold)


@SPLITTERS.register("time")
@typed
class Time(Splitter):
    """Validates on what comes later: the model of each fold trains on the rows before it.

    Rows are ordered by `column`. Those before the first fold only train.
    """

    column: str
    folds: Folds

    def split(self, rows: pd.DataFrame, targets: NDArray[np.generic], seed: int) -> Split:
        """Deal rows (`Splitter.split`)."""
        order = np.argsort(column_of(rows, self.column).to_numpy(), kind="stable")
        fold = np.full(len(rows), -1)
        for number, held in enumerate(np.array_split(order, self.folds + 1)[1:]):
            fold[held] = number
        return Split(order, fold)

    def trains(self, fold: Ints, k: int) -> NDArray[np.bool_]:
        """Return the rows before a fold (`Splitter.trains`)."""
        return np.asarray(fold < k)


@SPLITTERS.register("column")
@typed
class Column(Splitter):
    """Takes the folds from a column of the training table; -1 for rows that always train."""

    column: str
    refit: ClassVar[bool] = False

    def split(self, rows: pd.DataFrame, targets: NDArray[np.generic], seed: int) -> Split:
        """Read the folds (`Splitter.split`)."""
        numbers = pd.to_numeric(column_of(rows, self.column), errors="coerce")
        if numbers.isna().any() or (numbers % 1 != 0).any() or (numbers < -1).any():
            raise DataError(f"column '{self.column}': folds must be whole numbers from -1")
        fold = numbers.to_numpy(np.int64)
        if fold.max() < 0:
            raise DataError(f"column '{self.column}': no row is held out in any fold")
        return Split(np.arange(len(rows)), fold)


def column_of(rows: pd.DataFrame, name: str) -> "pd.Series[Any]":
    """Return a column.

    Raises
    ------
    DataError
        If there is none of that name.
    """
    if name not in rows:
        raise DataError(f"validation.column: there is no column '{name}'")
    return rows[name]


def codes(groups: "pd.Series[str]") -> Ints:
    """Number groups in their order: by number where they are numbered, else by name."""
    numbers = pd.to_numeric(groups, errors="coerce")
    values = groups if numbers.isna().any() else numbers
    return np.unique(values.to_numpy(), return_inverse=True)[1].astype(np.int64)


def classes_of(targets: NDArray[np.generic]) -> Ints:
    """Return classes to stratify by: the labels, or the tenth that a value lies in."""
    if np.issubdtype(targets.dtype, np.integer):
        return targets.astype(np.int64)
    edges = np.quantile(targets.astype(np.float64), np.linspace(0.1, 0.9, 9))
    return np.unique(np.searchsorted(edges, targets.astype(np.float64)), return_inverse=True)[1]
