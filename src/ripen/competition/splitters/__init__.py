"""Splitters: which labelled rows validate, and in which fold. One file for each family.

A splitter is a section of settings with a method `split`. A fold number of 0 or more is the fold
that holds the row out; -1 means that it always trains. Hold-out is a splitter with one fold.
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
        The fold of each row, in the rows' own order.
    group : ndarray of shape (n,), optional
        The name of each row's group, which is dealt as a whole; for a split in time the rank of the
        row's time.
    """

    order: Ints
    fold: Ints
    group: NDArray[Any] | None = None


class Splitter:
    """The settings of a splitter, with the method that deals folds.

    With `refit` a model fitted on all labelled rows predicts the test part. Otherwise the mean of
    the folds' models does. With `in_time` a fold's model knows no later row.
    """

    refit: ClassVar[bool] = True
    in_time: ClassVar[bool] = False

    def split(self, rows: pd.DataFrame, targets: NDArray[np.generic], seed: int) -> Split:
        """Deal labelled rows to folds.

        Parameters
        ----------
        rows : DataFrame of n rows
            Rows of the index, with the file's own columns if it is a table.
        targets : ndarray of shape (n,), or (n, k)
            Labels from 0, or values; or several of either.
        seed : int

        Raises
        ------
        DataError
            If there are too few rows.
        """
        raise NotImplementedError

    def splits(self, rows: pd.DataFrame, targets: NDArray[np.generic], seed: int) -> list[Split]:
        """Deal rows once for each repeat, every time with another seed (`split`)."""
        return [self.split(rows, targets, seed)]

    def trains(self, fold: Ints, k: int, group: NDArray[Any] | None = None) -> NDArray[np.bool_]:
        """Return which rows train the model that predicts fold k.

        Parameters
        ----------
        fold : int64 ndarray of shape (n,)
            Folds of the labelled rows.
        k : int
        group : ndarray of shape (n,), optional
            As in `Split`.
        """
        return np.asarray(fold != k)


SPLITTERS: Registry[type[Splitter]] = Registry("splitter", "ripen.competition.splitters")


def splitter(settings: Mapping[str, Any]) -> Splitter:
    """Return the splitter that the section `validation` names, with its settings.

    Raises
    ------
    ConfigError
        If there is no such splitter, or its settings are invalid.
    """
    values = dict(settings)
    kind = SPLITTERS[str(values.pop("split", "none"))]
    return check(values, kind, "validation")


def too_few(count: int, needed: int, name: str) -> DataError:
    """Return the error for a class with fewer rows than folds."""
    return DataError(
        f"class '{name}' has {count} labelled rows. Needed: {needed}, one a fold. Set "
        "validation.folds to fewer, or validation.split to kfold"
    )
