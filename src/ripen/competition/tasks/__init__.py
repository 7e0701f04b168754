"""Tasks: what is predicted, and so what a model's outputs are. One file a task."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ripen.core.errors import ConfigError, DataError
from ripen.core.registry import Registry

Targets = NDArray[np.int64] | NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """How targets become numbers, and how a Caffe net learns them.

    Attributes
    ----------
    name : str
    classifies : bool
        Whether a target is one of some classes, and the outputs a probability of each, of the sum
        1. Several targets are none of this: an output of each stands for itself.
    probabilities : bool
        Whether outputs are probabilities, and not values.
    least, most : int
        Numbers of classes, or of targets, that are allowed.
    loss : str
        Caffe's layer on the scores and the targets.
    error : str
        The name of that loss in a figure.
    metrics : tuple of str
        Those that are reported beside the competition's own. The first one is that of learning
        curves.
    """

    name: str
    classifies: bool
    probabilities: bool
    least: int
    most: int
    loss: str
    error: str
    metrics: tuple[str, ...]

    def outputs(self, classes: Sequence[str]) -> int:
        """Return how many numbers a model gives for a row."""
        return len(classes) or 1

    def named(self, targets: Sequence[str]) -> list[str]:
        """Return the targets that are an output each: all of several, none of a single value.

        Raises
        ------
        ConfigError
            If the task has another number of targets.
        """
        if self.classifies and len(targets) > 1:
            raise ConfigError(
                f"task '{self.name}' has one target, and target lists {len(targets)}. Several are "
                "for tasks 'multilabel' and 'regression'"
            )
        several = len(targets) > 1 or (self.probabilities and not self.classifies)
        return list(targets) if several else []

    def check_classes(self, classes: Sequence[str], where: str) -> None:
        """Make sure of the number of classes.

        Raises
        ------
        DataError
            If there are too few or too many.
        """
        if not self.least <= len(classes) <= self.most:
            wanted = str(self.least) if self.least == self.most else f"at least {self.least}"
            shown = ", ".join(classes[:5]) + (", …" if len(classes) > 5 else "")
            raise DataError(
                f"{where}: the target has {len(classes)} classes ({shown}), and task "
                f"'{self.name}' needs {wanted}"
            )

    def encode(self, targets: "pd.Series[Any]", classes: Sequence[str]) -> Targets:
        """Turn targets, text that is empty where a target is unknown, into numbers.

        Parameters
        ----------
        targets : Series of n str
            Several stand in one text, a blank between them.
        classes : sequence of str
            Or names of several targets; none of a single value.

        Returns
        -------
        int64 ndarray of shape (n,)
            Places among the classes, -1 where unknown; of shape (n, k), of k independent labels, 0
            and 1;
        float64 ndarray of shape (n,), or (n, k)
            or values, NaN where unknown.
        """
        if self.classifies:
            places = {value: place for place, value in enumerate(classes)} | {"": -1}
            return np.asarray(targets.map(places), np.int64)
        if not classes:
            values = pd.to_numeric(targets.mask(targets == ""))
            return np.asarray(values, np.float64)
        unknown = ["-1" if self.probabilities else "nan"] * len(classes)
        rows = np.array([text.split(" ") if text else unknown for text in targets], "str")
        rows = rows.reshape(len(targets), len(classes))
        return rows.astype(np.int64) if self.probabilities else rows.astype(np.float64)


TASKS: Registry[Task] = Registry("task", "ripen.competition.tasks")
