"""When training ends: at convergence, at a maximum of iterations, or by early stopping.

The first two are the talk's: the loss changes little from one check to the next, or life is short.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Self

import pandas as pd

from ripen.core.frames import write_frame
from ripen.core.json_files import write_json
from ripen.settings.schema import Solver, Train


class Reason(StrEnum):
    """Why a training ended. The last two are for trials: `Convergence` never returns them."""

    CONVERGED = "converged"
    EARLY_STOPPING = "early_stopping"
    MAX_ITER = "max_iter"
    DIVERGED = "diverged"
    PRUNED = "pruned"


@dataclass
class Convergence:
    """Watches the checks of a training, and decides when to end it.

    Parameters
    ----------
    tolerance : float
        A smaller change of the smoothed loss since the last check counts as none.
    patience : int
        Number of consecutive checks without change that count as convergence.
    early_stopping : int
        Number of consecutive checks without a new best validation loss that end the training.
    max_iter : int
        Iterations after which it ends in any case.

    Attributes
    ----------
    best_iteration : int
        The iteration of the lowest validation loss so far; 0 before the first check.
    best_validation_loss : float
    """

    tolerance: float
    patience: int
    early_stopping: int
    max_iter: int
    best_iteration: int = 0
    best_validation_loss: float = float("inf")
    _previous: float = field(default=float("inf"), repr=False)
    _unchanged: int = field(default=0, repr=False)
    _since_best: int = field(default=0, repr=False)

    @classmethod
    def of(cls, train: Train, max_iter: int) -> Self:
        """Return the watch that the settings describe."""
        return cls(train.tolerance, train.patience, train.early_stopping, max_iter)

    def check(self, iteration: int, loss: float, validation_loss: float) -> Reason | None:
        """Record one check.

        Parameters
        ----------
        iteration : int
            Iterations done so far.
        loss : float
            Training loss, smoothed.
        validation_loss : float

        Returns
        -------
        Reason or None
            Why training ends here, or None to go on.
        """
        self._unchanged = self._unchanged + 1 if abs(self._previous - loss) < self.tolerance else 0
        self._previous = loss
        self._since_best += 1
        if validation_loss < self.best_validation_loss:
            self.best_iteration, self.best_validation_loss = iteration, validation_loss
            self._since_best = 0
        if self._unchanged >= self.patience:
            return Reason.CONVERGED
        if self._since_best >= self.early_stopping:
            return Reason.EARLY_STOPPING
        return Reason.MAX_ITER if iteration >= self.max_iter else None


def to_the_end(batch_size: int, check_interval: int, solver: Solver) -> Train:
    """Return settings that train for the whole budget, without convergence or early stopping."""
    return Train(
        batch_size=batch_size,
        check_interval=check_interval,
        tolerance=0.0,
        patience=solver.max_iter,
        early_stopping=solver.max_iter,
    )


@dataclass(frozen=True)
class Check:
    """How a training stood after `iteration` iterations.

    `loss` is the mean over the iterations since the check before, `gradient_norm` the Euclidean
    norm of all parameters' gradients in the last of them.
    """

    iteration: int
    loss: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    gradient_norm: float
    seconds_per_iteration: float


@dataclass(frozen=True)
class Training:
    """How a training went: why it ended and when, all its checks, and which of them was best.

    If the last weights are kept instead of the best, the last check counts as the best.
    """

    stopped: Reason
    iterations: int
    best_iteration: int
    best_validation_loss: float
    checks: tuple[Check, ...]

    def curve(self) -> pd.DataFrame:
        """Return the checks as rows, without what depends on the clock."""
        return pd.DataFrame(self.checks).drop(columns="seconds_per_iteration")


def write_training(folder: Path, training: Training) -> None:
    """Write `training.json` (what ended it, and when) and `curve.csv` (the checks)."""
    values = {
        "stopped": training.stopped,
        "iterations": training.iterations,
        "best_iteration": training.best_iteration,
    }
    write_json(folder / "training.json", values)
    write_frame(folder / "curve.csv", training.curve())
