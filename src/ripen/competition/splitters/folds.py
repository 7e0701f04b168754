"""k folds: at random, by class, by group, by both, in time, or from a column."""

import re
from functools import reduce
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from ripen.competition.splitters import SPLITTERS, Ints, Split, Splitter, too_few
from ripen.core.errors import DataError
from ripen.settings.typed import Count, typed

BINS = 10  # of values, to stratify a regression


def _expression(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"pattern '{pattern}' is no regular expression: {error}") from None
    return pattern


Folds = Annotated[int, Field(ge=2)]
Pattern = Annotated[str, AfterValidator(_expression)]


@typed
class Repeated(Splitter):
    """Folds dealt at random, `repeats` times with different seeds.

    An out-of-fold prediction is the mean over the repeats.
    """

    folds: Folds
    repeats: Count = 1

    def splits(self, rows: pd.DataFrame, targets: NDArray[np.generic], seed: int) -> list[Split]:
        """Deal rows (`Splitter.splits`)."""
        # The first repeat has the seed itself: more repeats leave its folds as they are.
        return [self.split(rows, targets, seed + number) for number in range(self.repeats)]


@typed
class Grouped(Repeated):
    """Whole groups: no group is both in training and in validation.

    A row's group is its value in the column `group`, or its values in several. With `pattern`, a
    regular expression, it is the part of the value that matches: the first capture group, or the
    whole match.
    """

    group: str | list[str] = "group"  # the index's own, which holds near-duplicate images together
    pattern: Pattern | None = None

    def groups(self, rows: pd.DataFrame) -> NDArray[Any]:
        """Return the group of each row, as text; a row without one is a group of its own.

        Raises
        ------
        DataError
            If there is no such column, or the pattern does not match a value.
        """
        names = [self.group] if isinstance(self.group, str) else self.group
        each = [column_of(rows, name, "group").astype(object) for name in names]
        texts = [one.where(one.notna(), "").map(str) for one in each]
        values: pd.Series[Any] = reduce(lambda left, right: left + " " + right, texts)
        if len(texts) > 1:  # a row with a blank in each of them has no group
            values = values.str.strip()
        if self.pattern is not None:
            expression = re.compile(self.pattern)
            found = values.map(lambda value: _part(expression, value))
            if found.isna().any():
                raise DataError(
                    f"validation.pattern: {self.pattern} is not found in "
                    f"{values[found.isna()].iloc[0]!r}, column '{' and '.join(names)}'"
                )
            values = found
        alone = pd.Series([f"row {number}" for number in range(len(rows))], rows.index)
        return values.where(values != "", alone).to_numpy(object)


def _part(expression: "re.Pattern[str]", value: str) -> str | None:
    """Return the part of a value that matches, None if no part does."""
    if not value:
        return ""
    match = expression.search(value)
    return None if match is None else match[1 if expression.groups else 0]


def _in_turn(
    rows: int, held_out: "list[NDArray[np.int64]]", group: NDArray[Any] | None = None
) -> Split:
    """Return the splits of scikit-learn as numbered folds."""
    fold = np.full(rows, -1)
    for number, held in enumerate(held_out):
        fold[held] = number
    return Split(np.arange(rows), fold, group)


def _check_classes(rows: pd.DataFrame, targets: NDArray[np.generic], folds: int) -> None:
    """Refuse a class, or all rows, if there are fewer of them than folds."""
    if targets.ndim == 1 and np.issubdtype(targets.dtype, np.integer):
        labels = targets.astype(np.int64)
        counts = np.bincount(labels)
        if counts.min() < folds:
            rare = str(counts.argmin())
            if "target" in rows:  # the class as the user's file spells it
                rare = str(rows["target"].iloc[int(np.argmax(labels == counts.argmin()))])
            raise too_few(int(counts.min()), folds, rare)
    _check_rows(rows, folds)


def _check_rows(rows: pd.DataFrame, folds: int) -> None:
    if len(rows) < folds:
        raise DataError(f"{len(rows)} labelled rows cannot be dealt to {folds} folds")


@SPLITTERS.register("kfold")
@typed
class KFold(Repeated):
    """Deals rows at random, to folds of equal size."""

    def split(self, rows: pd.DataFrame, targets: NDArray[np.generic], seed: int) -> Split:
        """Deal rows (`Splitter.split`)."""
        from sklearn import model_selection

        _check_rows(rows, self.folds)
        dealt = model_selection.KFold(self.folds, shuffle=True, random_state=seed)
        return _in_turn(len(rows), [held for _, held in dealt.split(targets)])


@SPLITTERS.register("stratified")
@typed
class Stratified(Repeated):
    """Spreads each class evenly over the folds; values are binned into tenths."""

    def split(self, rows: pd.DataFrame, targets: NDArray[np.generic], seed: int) -> Split:
        """Deal rows (`Splitter.split`)."""
        from sklearn.model_selection import StratifiedKFold

        _check_classes(rows, targets, self.folds)
        classes = classes_of(targets, self.folds)
        dealt = StratifiedKFold(self.folds, shuffle=True, random_state=seed)
        return _in_turn(len(rows), [held for _, held in dealt.split(classes, classes)])


@SPLITTERS.register("group")
@typed
class Group(Grouped):
    """Deals whole groups at random, nearly the same number of groups to each fold."""

    def split(self, rows: pd.DataFrame, targets: NDArray[np.generic], seed: int) -> Split:
        """Deal rows (`Splitter.split`)."""
        from sklearn.model_selection import GroupKFold

        groups = self.groups(rows)
        _check_groups(groups, self.folds)
        dealt = GroupKFold(self.folds, shuffle=True, random_state=seed)
        held_out = [held for _, held in dealt.split(targets, groups=codes(groups))]
        return _in_turn(len(rows), held_out, groups)


@SPLITTERS.register("stratified_group")
@typed
class StratifiedGroup(Grouped):
    """Deals whole groups, and spreads each class evenly over the folds.

    scikit-learn's StratifiedGroupKFold does so approximately. Here a class deviates from its share
    by less than one row if each of its rows is a group of its own.
    """

    def split(self, rows: pd.DataFrame, targets: NDArray[np.generic], seed: int) -> Split:
        """Deal rows (`Splitter.split`)."""
        from ripen.competition.shares import deal

        _check_classes(rows, targets, self.folds)
        groups = self.groups(rows)
        _check_groups(groups, self.folds)
        classes = classes_of(targets, self.folds)
        fold = deal(classes, codes(groups), [1 / self.folds] * self.folds, seed)
        return Split(np.arange(len(rows)), fold, groups)


@SPLITTERS.register("time")
@typed
class Time(Splitter):
    """Validates on later rows: the model of each fold trains on all rows before it.

    Rows are ordered by `column`, and those of the same time stay together. The folds are
    consecutive, and the last one ends with the data. A model does not train on the `gap` times
    before its fold. Rows before the first fold only train.
    """

    column: str
    folds: Folds
    gap: Annotated[int, Field(ge=0)] = 0

    in_time = True

    def split(self, rows: pd.DataFrame, targets: NDArray[np.generic], seed: int) -> Split:
        """Deal rows (`Splitter.split`)."""
        from sklearn.model_selection import TimeSeriesSplit

        values = column_of(rows, self.column, "column")
        if values.isna().any():
            row = int(values.isna().to_numpy().argmax())
            raise DataError(f"column '{self.column}': row {row + 1} has no time to order it by")
        times = np.unique(values.to_numpy(), return_inverse=True)[1].reshape(-1)
        count = int(times.max()) + 1
        if (
            count // (self.folds + 1) < 1
            or count // (self.folds + 1) * self.folds + self.gap >= count
        ):
            raise DataError(
                f"column '{self.column}' has {count} different times, too few for {self.folds} "
                f"folds after each other with a gap of {self.gap}"
            )
        # Split the distinct times and not the rows, so that rows of one time stay together.
        dealt = TimeSeriesSplit(self.folds, gap=self.gap)
        held_out = [held for _, held in dealt.split(np.arange(count))]
        fold = _in_turn(count, held_out).fold[times]
        return Split(np.argsort(times, kind="stable"), fold, times)

    def trains(self, fold: Ints, k: int, group: NDArray[Any] | None = None) -> NDArray[np.bool_]:
        """Return the rows before a fold and its gap (`Splitter.trains`)."""
        if not self.gap:
            return np.asarray(fold < k)
        assert group is not None
        times = np.asarray(group).astype(np.int64)
        return np.asarray(times < times[fold == k].min() - self.gap)


@SPLITTERS.register("column")
@typed
class Column(Splitter):
    """Reads the folds from a column of the training table; -1 marks rows that always train."""

    column: str
    refit: ClassVar[bool] = False

    def split(self, rows: pd.DataFrame, targets: NDArray[np.generic], seed: int) -> Split:
        """Read the folds (`Splitter.split`)."""
        numbers = pd.to_numeric(column_of(rows, self.column, "column"), errors="coerce")
        if numbers.isna().any() or (numbers % 1 != 0).any() or (numbers < -1).any():
            raise DataError(f"column '{self.column}': folds must be whole numbers from -1")
        fold = numbers.to_numpy(np.int64)
        if fold.max() < 0:
            raise DataError(f"column '{self.column}': no row is held out in any fold")
        if fold.min() == fold.max():
            raise DataError(
                f"column '{self.column}': fold {fold[0]} is its only value, so that no row trains"
            )
        return Split(np.arange(len(rows)), fold)


def column_of(rows: pd.DataFrame, name: str, setting: str) -> "pd.Series[Any]":
    """Return a column.

    Raises
    ------
    DataError
        If there is no such column.
    """
    if name not in rows:
        raise DataError(f"validation.{setting}: there is no column '{name}'")
    return rows[name]


def _check_groups(groups: NDArray[Any], folds: int) -> None:
    if (count := len(set(groups))) < folds:
        raise DataError(f"{count} groups cannot be dealt to {folds} folds")


def codes(groups: NDArray[Any]) -> Ints:
    """Number groups in sorted order: by value if all are numbers, else by name."""
    numbers = pd.to_numeric(pd.Series(groups), errors="coerce")
    values = np.asarray(groups, "str") if numbers.isna().any() else numbers.to_numpy()
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def classes_of(targets: NDArray[np.generic], folds: int = 1) -> Ints:
    """Return classes to stratify by, each of `folds` rows or more.

    Labels are the classes themselves. Values are binned by rank into at most `BINS` classes;
    several values are standardized and averaged first. With several labels each combination is a
    class; rare combinations are merged by their number of labels, or else join the most frequent
    class.
    """
    if targets.ndim == 1 and np.issubdtype(targets.dtype, np.integer):
        return targets.astype(np.int64)
    if np.issubdtype(targets.dtype, np.integer):
        found = np.unique(targets, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
        rare = np.bincount(found)[found] < folds
        found[rare] = found.max() + 1 + targets.astype(np.int64).sum(axis=1)[rare]
        counts = np.bincount(found)
        found[counts[found] < folds] = counts.argmax()
        return np.unique(found, return_inverse=True)[1].astype(np.int64)
    values = targets.astype(np.float64)
    if values.ndim > 1:
        spread = values.std(axis=0)
        values = ((values - values.mean(axis=0)) / np.where(spread > 0, spread, 1)).mean(axis=1)
    bins = max(1, min(BINS, len(values) // folds))
    ranks = np.empty(len(values), np.int64)
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
    return ranks * bins // len(values)
