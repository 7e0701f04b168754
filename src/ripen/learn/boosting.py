"""Gradient boosting: held-out training rows decide the number of trees, then all rows train."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ripen.core.errors import ConfigError
from ripen.core.registry import nearest
from ripen.learn.classic import Classic
from ripen.learn.estimator import Rows, Work
from ripen.settings.typed import Count, Positive, Share, typed


@dataclass(frozen=True)
class Pace:
    """How fast boosting learns: its learning rate, its trees at most, and its patience.

    Growing ends after `patience` trees without a gain.
    """

    rate: float
    most: int
    patience: int


LEAST = 40  # rows, of which some can be held out
# The held-out loss of classes says less: patience finds minima by chance (docs/measured.md).
OF_CLASSES = Pace(rate=0.05, most=1000, patience=30)
OF_NUMBERS = Pace(rate=0.05, most=3000, patience=100)
MANY = 20_000  # rows: a tree of them takes long, and fewer and larger steps lose little
OF_MANY = Pace(rate=0.1, most=600, patience=30)
FEW = 10  # features: without some of so few a tree cannot find what two of them tell together


@dataclass(frozen=True)
class Known:
    """The features of a boosting estimator.

    Attributes
    ----------
    features : int
    categories : list of int
        Indexes of the features that are codes of categories.
    monotone : list of int
        For each feature 1 if the output may only rise with it, -1 if it may only fall, else 0;
        empty without constraints.
    """

    features: int
    categories: list[int] = field(default_factory=list)
    monotone: list[int] = field(default_factory=list)

    def share(self, wanted: float) -> float:
        """Return which share of the features a tree is shown: `FEW` of them, or all, at least."""
        return min(1.0, max(wanted, FEW / self.features))


@typed
class Boosted(Classic):
    """Gradient boosting with early stopping.

    A share `held_out` of the training rows finds the number of trees: growing ends when the loss
    has not improved for `early_stopping` trees. Then that many are fitted to all training rows.
    What is not given of `learning_rate`, `max_iter` and `early_stopping` is `OF_CLASSES` or
    `OF_NUMBERS`, by the target, or of more than `MANY` rows `OF_MANY`. `monotone` maps numeric
    columns to 1 (the output may only rise with it) or -1 (only fall).
    """

    learning_rate: Positive | None = None
    max_iter: Count | None = None
    early_stopping: Count | None = None
    held_out: Share = 0.15
    monotone: dict[str, Literal[-1, 1]] = Field(default_factory=dict)

    encoders: ClassVar[tuple[str, ...]] = ("native", "ordinal", "one_hot", "target")
    has_learning_curve: ClassVar[bool] = False  # a training for each size, of up to 3000 trees

    def boost(self, work: Work, known: Known, rate: float, trees: int) -> Any:
        """Return the unfitted estimator with that many trees, without early stopping."""
        raise NotImplementedError

    def best(self, rows: Rows, held: Rows, work: Work, known: Known, pace: Pace) -> int:
        """Return after how many trees the loss of held-out rows is lowest."""
        raise NotImplementedError

    def grow(self, model: Any, rows: Rows, known: Known) -> Any:
        """Fit what `boost` returned."""
        return model.fit(rows.x, rows.y, sample_weight=rows.weight)

    def fit_one(self, rows: Rows, work: Work, encoder: Any) -> Any:
        """Find the number of trees, then fit (`Classic.fit_one`)."""
        known = self._known(rows.x.shape[1], encoder)
        pace = self.pace(len(rows.y), classes=work.task.probabilities)
        trees = self.trees(rows, work, known, pace)
        return self.grow(self.boost(work, known, pace.rate, trees), rows, known)

    def pace(self, rows: int, *, classes: bool) -> Pace:
        """Return the pace that the settings say, or else that suits the rows and the target."""
        usual = OF_MANY if rows > MANY else OF_CLASSES if classes else OF_NUMBERS
        return Pace(
            self.learning_rate or usual.rate,
            self.max_iter or usual.most,
            self.early_stopping or usual.patience,
        )

    def trees(self, rows: Rows, work: Work, known: Known, pace: Pace) -> int:
        """Return the number of trees. Its copies of the rows are freed before all of them train."""
        parts = held_out(rows, self.held_out, work.seed, work.task.probabilities)
        if parts is None:  # too few rows to hold some out
            return min(pace.most, round(5 / pace.rate))
        kept, held = (rows[part] for part in parts)
        return max(1, self.best(kept, held, work, known, pace))

    def _known(self, features: int, encoder: Any) -> Known:
        """Return which features are codes, and which are monotone.

        Raises
        ------
        ConfigError
            If `monotone` names no numeric column, or features are not those of columns.
        """
        if encoder is None or self.components or self.select:
            if self.monotone:
                raise ConfigError(
                    "monotone names columns: leave out components, select and inputs other than "
                    "the table"
                )
            return Known(features)
        categories = list(range(features - len(encoder.codes_), features))
        if wrong := [name for name in self.monotone if name not in encoder.numbers_]:
            raise ConfigError(
                f"monotone: '{wrong[0]}' is no numeric column{nearest(wrong[0], encoder.numbers_)}"
            )
        signs = [self.monotone.get(name, 0) for name in encoder.numbers_]
        signs += [0] * (features - len(signs))
        return Known(features, categories, signs if self.monotone else [])


def held_out(
    rows: Rows, share: float, seed: int, classifies: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Split training rows: some grow the trees, the others find their number.

    Groups stay whole where that leaves rows of each class, else classes are dealt alike.

    Returns
    -------
    (int64 ndarray, int64 ndarray) or None
        None where there are too few rows.
    """
    from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit

    n, y = len(rows.y), rows.y
    if n < LEAST:
        return None
    if rows.groups is not None and len(np.unique(rows.groups)) > 2:
        split = GroupShuffleSplit(1, test_size=share, random_state=seed)
        kept, held = next(split.split(y, groups=rows.groups))
        if not classifies or len(np.unique(y[kept])) == len(np.unique(y)):
            return kept, held
    if not classifies:
        return tuple(next(ShuffleSplit(1, test_size=share, random_state=seed).split(y)))
    counts = np.bincount(y)
    common = np.flatnonzero(counts[y] > 1)  # the only row of a class must be a training row
    known = int((counts > 1).sum())
    size = max(known, round(share * n))
    if known < 2 or size > len(common) // 2:
        return None
    split = StratifiedShuffleSplit(1, test_size=size, random_state=seed)
    held = common[next(split.split(y[common], y[common]))[1]]
    return np.setdiff1d(np.arange(n), held), held
