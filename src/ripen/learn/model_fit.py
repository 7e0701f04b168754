"""One model of a competition, about to be fitted: its rows, and the folds that hold some out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ripen.competition.index import Index, Ints
from ripen.competition.splitters import Splitter
from ripen.competition.tasks import Targets
from ripen.core.errors import DataError
from ripen.learn import rare
from ripen.learn.estimator import Estimator, Rows, Work
from ripen.learn.inputs import Input
from ripen.settings.schema import PseudoLabels

KEPT = Path(".ripen") / "folds"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Fit:
    """One model of a competition, about to be fitted.

    Attributes
    ----------
    estimator : Estimator
    splitter : Splitter
    index : Index
    input : Input
    work : Work
        Its folder is the model's.
    key : str
        Hash of all that the result depends on; it names the folder of a killed fit's folds.
    say : callable
        Called with a line of progress at each step.
    studies : callable
        Returns Optuna's storage for the trials of a tuned model; None keeps them in memory.
    pseudo_labels : PseudoLabels, optional
        How test rows are labelled to learn from; None where none are.
    """

    estimator: Estimator
    splitter: Splitter
    index: Index
    input: Input
    work: Work
    key: str
    say: Say
    studies: Callable[[], Any] = lambda: None
    pseudo_labels: PseudoLabels | None = None

    def enough(self, train: Ints) -> bool:
        """Whether there are enough rows to learn from."""
        return not self._lack(train)

    @property
    def kept(self) -> Path:
        """The folder of its finished folds, until it is whole."""
        return KEPT / self.key

    def rows(self, numbers: Ints) -> Rows:
        """Return rows of the index with what the model takes of them."""
        named, weight = self.index.rows["group"].to_numpy(object)[numbers], self.index.weight
        groups = None
        if (named != "").any():  # a row without one is a group of its own
            groups = np.where(named == "", [f"row {number}" for number in numbers], named)
        return Rows(
            self.input.take(numbers),
            self.index.targets[numbers],
            groups,
            None if weight is None else weight[numbers],
        )

    def taken(self, train: Ints) -> Ints:
        """Return the training rows that the model learns from: all, or as many as it takes."""
        return thinned(train, self.index.targets, self.estimator.most, self.work.seed)

    @property
    def refits(self) -> bool:
        """Whether the test rows are predicted by a model of all labelled rows."""
        own = self.estimator.refits
        return self.splitter.refit if own is None else own

    def folds(self) -> list["Fold"]:
        """Return the folds in which rows are held out for this model, those of repeats one by one.

        A model of some folds only takes those of the first split.
        """
        learnable, found = self.index.learnable(), []
        for number, folds in enumerate(self.index.repeats):
            own = folds[learnable]
            groups = self.index.groups.to_numpy()[learnable]
            for k in map(int, np.unique(own[own >= 0])):
                trains = self.splitter.trains(own, k, groups)
                held = learnable[own == k]
                found.append(Fold(number, k, learnable[trains], held, len(self.index.repeats) > 1))
        return found[: self.estimator.folds]

    def learnt(self, train: Ints) -> tuple[int, ...] | None:
        """Return the classes that can be learnt; None if all can, fewer than two, or none exist."""
        if not self.index.task.classifies or not self.estimator.learns:
            return None
        found = rare.learnt(
            self.index.targets[train], len(self.index.names), self.estimator.least()[0]
        )
        return None if len(found) == len(self.index.names) or len(found) < 2 else found

    def check_enough(self, train: Ints, when: str) -> None:
        """Make sure that there are enough rows to learn from.

        Raises
        ------
        DataError
            If there are not.
        """
        few = len(train) < self.estimator.least()[1]
        if (reason := self._lack(train)) and (few or self.learnt(train) is None):
            raise DataError(f"{when}{reason}")

    def _lack(self, train: Ints) -> str:
        """Return which rows a model lacks; "" if none."""
        per_class, rows = self.estimator.least()
        if len(train) < rows:
            return f"there are {len(train)} rows to learn from, and the model needs {rows}"
        if not self.index.task.classifies or self.index.targets.ndim > 1:
            return ""
        counts = np.bincount(
            self.index.targets[train].astype(np.int64), minlength=len(self.index.names)
        )
        # A class may be absent from one fold's training rows only where it is rare in all of them.
        if counts.min() < per_class:
            name = self.index.names[int(counts.argmin())]
            return f"class '{name}' has {counts.min()} rows, and the model needs {per_class}"
        return ""


@dataclass(frozen=True)
class Fold:
    """One fold: rows of the index that train, and those that are held out.

    Attributes
    ----------
    repeat : int
        Number of its split, which is also added to the competition's seed.
    number : int
    train, held : int64 ndarray
    repeated : bool
        Whether there are other splits.
    """

    repeat: int
    number: int
    train: Ints
    held: Ints
    repeated: bool = False

    @property
    def name(self) -> str:
        """Its name in progress lines and errors."""
        return f"fold {self.number}" + (f" of repeat {self.repeat + 1}" if self.repeated else "")


def thinned(train: Ints, targets: Targets, most: int | None, seed: int) -> Ints:
    """Return at most so many training rows, drawn at random, in their order.

    Each class has its share of them, and one row at least.

    Parameters
    ----------
    train : int64 ndarray of shape (n,)
        Rows of the index.
    targets : ndarray of shape (rows of the index,), or with a column for each of several targets
    most : int or None
        None for all.
    seed : int
    """
    if most is None or len(train) <= most:
        return train
    drawn = np.random.default_rng(seed).permutation(train)
    labels = targets[drawn]
    if labels.ndim > 1 or not np.issubdtype(labels.dtype, np.integer):
        return np.sort(drawn[:most])
    # A row's place among those of its class, from 0 to 1: the first places are of all classes.
    _, numbers, counts = np.unique(labels, return_inverse=True, return_counts=True)
    by_class = np.argsort(numbers, kind="stable")
    places = np.arange(len(drawn)) - np.repeat(np.cumsum(counts) - counts, counts)
    first = np.argsort(places / np.repeat(counts, counts), kind="stable")[:most]
    return np.sort(drawn[by_class[first]])
