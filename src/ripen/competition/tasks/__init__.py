"""Tasks: what is predicted, and the outputs of a model that follow. One file a task."""

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
        Whether a target is one of several classes, and the outputs are their probabilities, which
        sum to 1. Otherwise each target has an output of its own.
    probabilities : bool
        Whether outputs are probabilities rather than values.
    least, most : int
        Allowed numbers of classes or of targets.
    loss : str
        Caffe's loss layer.
    error : str
        Name of that loss in figures.
    metrics : tuple of str
        Metrics reported beside the competition's own. The first is that of learning curves.
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
        """Return the number of a model's outputs for a row."""
        return len(classes) or 1

    def named(self, targets: Sequence[str]) -> list[str]:
        """Return the targets that have an output each: all of several, none for a single value.

        Several targets of a task of classes are a column for each class.

        Raises
        ------
        ConfigError
            If the task does not allow this number of targets.
        """
        if self.classifies and self.most == 2 and len(targets) > 1:
            raise ConfigError(
                f"task '{self.name}' has one target, and target lists {len(targets)}. Several are "
                "for tasks 'multiclass', 'multilabel' and 'regression'"
            )
        several = len(targets) > 1 or self.probabilities
        return list(targets) if several and not self.classifies else []

    def check_classes(self, classes: Sequence[str], where: str) -> None:
        """Check the number of classes.

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
        """Turn targets into numbers; an empty text is an unknown target.

        Parameters
        ----------
        targets : Series of n str
            Several targets of a row are one text, separated by blanks.
        classes : sequence of str
            Or the names of several targets; empty for a single value.

        Returns
        -------
        int64 ndarray of shape (n,)
            Positions among the classes, -1 if unknown; of shape (n, k) for k independent labels, 0
            or 1;
        float64 ndarray of shape (n,), or (n, k)
            or values, NaN if unknown.
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
