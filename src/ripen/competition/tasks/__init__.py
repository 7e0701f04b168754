"""Tasks: what is predicted, and so what a model's outputs are. One file a task."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ripen.core.errors import DataError
from ripen.core.registry import Registry

Targets = NDArray[np.int64] | NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """How targets become numbers, and how a Caffe net learns them.

    Attributes
    ----------
    name : str
    classifies : bool
        Whether a target is one of some classes, and an output a probability.
    least, most : int
        Numbers of classes that are allowed.
    loss : str
        Caffe's layer on the scores and the labels.
    error : str
        The name of that loss in a figure.
    metrics : tuple of str
        Those that are reported beside the competition's own. The first one is that of learning
        curves.
    """

    name: str
    classifies: bool
    least: int
    most: int
    loss: str
    error: str
    metrics: tuple[str, ...]

    def outputs(self, classes: Sequence[str]) -> int:
        """Return how many numbers a model gives for a row."""
        return len(classes) if self.classifies else 1

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

    def encode(self, targets: pd.Series, classes: Sequence[str]) -> Targets:
        """Turn targets, text that is empty where a target is unknown, into numbers.

        Returns
        -------
        int64 ndarray of shape (n,)
            Places among the classes, -1 where unknown;
        float64 ndarray of shape (n,)
            or, of a task that does not classify, the values, NaN where unknown.
        """
        if not self.classifies:
            return pd.to_numeric(targets.replace("", np.nan)).to_numpy(np.float64)
        places = {value: place for place, value in enumerate(classes)} | {"": -1}
        return np.asarray(targets.map(places), np.int64)


TASKS: Registry[Task] = Registry("task", "ripen.competition.tasks")
