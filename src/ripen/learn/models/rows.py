"""Rows as a stack of nets takes them, and the batches of them in the order of HDF5Data."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ripen.competition.datasets.prepared import Part


@dataclass(frozen=True)
class Rows:
    """Rows of a table, one a column.

    Attributes
    ----------
    data : float32 array of shape (features + 1, n)
        The last row is ones, which the first layer's bias is the weight of.
    labels : int64 Tensor of shape (n,)
    places : int64 Tensor of shape (n,)
        Of each label's number among those of a net, shape (classes, n) made flat.
    target : float32 Tensor of shape (classes, n)
        -1 / n at the label and 0 elsewhere: with probability / n it makes the gradient of the mean
        loss by the scores.
    """

    data: NDArray[np.float32]
    labels: torch.Tensor
    places: torch.Tensor
    target: torch.Tensor

    @classmethod
    def of(cls, part: Part, classes: int) -> "Rows":
        """Take the rows of a part whose labels are known."""
        table, labels = part.arrays()
        data = np.ones((table.shape[1] + 1, len(table)), np.float32)
        data[:-1] = table.T
        return _labelled(data, torch.tensor(labels), classes)


class Batches:
    """Batches as HDF5Data gives them: in the rows' order, and on from the first after the last.

    Parameters
    ----------
    rows : Rows
    size : int
        At most as many as there are rows.
    """

    def __init__(self, rows: Rows, size: int) -> None:
        self.size, self._n, self._classes = size, len(rows.labels), len(rows.target)
        self._data = np.concatenate([rows.data, rows.data[:, :size]], 1)
        self._labels = torch.cat([rows.labels, rows.labels[:size]])
        # There are n / gcd(n, size) different ones: too many to keep where size divides n badly.
        self._few = size // math.gcd(self._n, size) <= 8
        self._kept: dict[int, Rows] = {}

    def __getitem__(self, iteration: int) -> Rows:
        """Return the batch of an iteration, counted from 0."""
        start = iteration * self.size % self._n
        if start in self._kept:
            return self._kept[start]
        rows = slice(start, start + self.size)
        batch = _labelled(self._data[:, rows], self._labels[rows], self._classes)
        if self._few:
            self._kept[start] = batch
        return batch


def _labelled(data: NDArray[np.float32], labels: torch.Tensor, classes: int) -> Rows:
    n = len(labels)
    target = torch.zeros(classes, n).scatter_(0, labels[None], -1 / n)
    return Rows(data, labels, labels * n + torch.arange(n), target)
