"""Splitters: which labelled rows validate, and in which fold. One file a family of splitters.

A splitter is a section of settings with a method `split`. A fold number of 0 or more says in which
fold a row is held out; -1 says that it always trains. Hold-out is a splitter with one fold.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ripen.core.errors import DataError
from ripen.core.registry import Registry
from ripen.settings.compose import check

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Folds of the labelled rows.

    Attributes
    ----------
    order : int64 ndarray of shape (n,)
        The rows in the order in which models take them.
    fold : int64 ndarray of shape (n,)
        Of each row, in the rows' own order.
    group : ndarray of shape (n,), optional
        What was dealt as a whole, by name; in a split in time the rows of one time, in its order.
    """

    order: Ints
    fold: Ints
    group: NDArray[Any] | None = None


class Splitter:
    """Settings that deal folds.

    `refit` says whether the test rows are predicted by a model fitted on all labelled rows; without
    it by the mean of the folds' models.
    """

    refit: ClassVar[bool] = True

    def split(self, rows: pd.DataFrame, targets: NDArray[np.generic], seed: int) -> Split:
        """Deal labelled rows to folds.

        Parameters
        ----------
        rows : DataFrame of n rows
            Of the index, with the file's own columns beside it where it is a table.
        targets : ndarray of shape (n,), or (n, k)
            Labels from 0, or values; or several of these.
        seed : int

        Raises
        ------
        DataError
            If there are too few rows for that.
        """
        raise NotImplementedError

    def splits(self, rows: pd.DataFrame, targets: NDArray[np.generic], seed: int) -> list[Split]:
        """Deal rows as often as the settings say, each time by another seed; as `split`."""
        return [self.split(rows, targets, seed)]

    def trains(self, fold: Ints, k: int, group: NDArray[Any] | None = None) -> NDArray[np.bool_]:
        """Return which rows train the model that predicts fold k.

        Parameters
        ----------
        fold : int64 ndarray of shape (n,)
            Of the labelled rows.
        k : int
        group : ndarray of shape (n,), optional
            As `Split` has it.
        """
        return np.asarray(fold != k)


SPLITTERS: Registry[type[Splitter]] = Registry("splitter", "ripen.competition.splitters")


def splitter(settings: Mapping[str, Any]) -> Splitter:
    """Return the splitter that the section `validation` names, with its settings.

    Raises
    ------
    ConfigError
        If there is none of that name, or its settings do not fit.
    """
    values = dict(settings)
    kind = SPLITTERS[str(values.pop("split", "none"))]
    return check(values, kind, "validation")


def too_few(count: int, needed: int, name: str) -> DataError:
    """Return the error of a class that cannot be spread over folds."""
    return DataError(
        f"class '{name}' has {count} labelled rows. Needed: {needed}, one a fold. Set "
        "validation.folds to fewer, or validation.split to kfold"
    )
