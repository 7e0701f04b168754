"""Classes too rare to learn: left out of a fit, and given a small probability of their own."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ripen.learn.convergence import Training
from ripen.learn.estimator import Fitted, Outputs, Rows
from ripen.learn.target_transform import describe

RARE = "rare"  # in the description of a served model


@dataclass(frozen=True)
class Widened:
    """A model of some of the classes, which gives each other class the same small probability.

    Attributes
    ----------
    fitted : Fitted
    learnt : tuple of int
        The classes that it has learnt, in order.
    classes : int
        How many there are.
    share : float
        The probability of each other class.
    """

    fitted: Fitted
    learnt: tuple[int, ...]
    classes: int
    share: float

    @property
    def training(self) -> Training | None:
        """How its training went, of a net."""
        return self.fitted.training

    def predict(self, x: Any) -> Outputs:
        """Return probabilities of all classes (`Fitted.predict`)."""
        return widened(self.fitted.predict(x), self.learnt, self.classes, self.share)

    def save(self, folder: Path) -> None:
        """Write the model, and in its description the classes that it has learnt."""
        self.fitted.save(folder)
        own = {"learnt": self.learnt, "classes": self.classes, "share": self.share}
        describe(folder, RARE, own)


def widened(
    outputs: NDArray[np.floating], learnt: tuple[int, ...], classes: int, share: float
) -> Outputs:
    """Return probabilities of all classes, from those of the classes that were learnt.

    >>> widened(np.array([[0.5, 0.5]]), (0, 2), 3, 0.1).tolist()
    [[0.45, 0.1, 0.45]]
    """
    found = np.full((len(outputs), classes), share, outputs.dtype)
    found[:, list(learnt)] = outputs * (1 - share * (classes - len(learnt)))
    return found


def learnt(labels: NDArray[Any], classes: int, least: int) -> tuple[int, ...]:
    """Return the classes with enough rows to be learnt."""
    counts = np.bincount(labels.astype(np.int64), minlength=classes)
    return tuple(np.flatnonzero(counts >= least).tolist())


def renumbered(rows: Rows, learnt: tuple[int, ...]) -> Rows:
    """Return rows of these classes alone, numbered from 0."""
    return replace(rows, y=np.searchsorted(learnt, rows.y))
