"""Caffe nets on arrays: rows written as HDF5Data reads them, and trained nets that predict."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ripen.competition.tasks import Targets
from ripen.core.atomic import write_text
from ripen.learn.convergence import Training
from ripen.learn.estimator import Outputs

if TYPE_CHECKING:  # engines import torch
    from ripen.nets.engines.engine import Engine

Unit = tuple[float, float] | tuple[list[float], list[float]]


def in_units(outputs: Outputs, unit: Unit) -> Outputs:
    """Return a net's outputs, of shape (n, k), as the numbers that it predicts."""
    mean, scale = unit
    if isinstance(mean, float):
        return outputs * scale + mean
    return outputs * np.asarray(scale) + np.asarray(mean)


def write_rows(folder: Path, name: str, x: NDArray[np.float32], y: Targets) -> Path:
    """Write `name.h5` and `name.txt`, the list that an HDF5Data layer names as its source.

    Parameters
    ----------
    folder : Path
    name : str
    x : float32 ndarray of shape (n, …)
    y : ndarray of shape (n,), or (n, k) of several targets

    Returns
    -------
    Path
        The list.
    """
    with h5py.File(folder / f"{name}.h5", "w") as file:
        file["data"] = x
        # Numbers to predict are a column, as the net's scores are: EuclideanLoss compares shapes.
        numbers = y.ndim == 1 and np.issubdtype(y.dtype, np.floating)
        file["label"] = y.astype(np.float32)[:, None] if numbers else y.astype(np.float32)
    source = folder / f"{name}.txt"
    write_text(source, f"{(folder / name).as_posix()}.h5\n")
    return source


@dataclass(frozen=True)
class FittedNet:
    """A trained net in its folder.

    Attributes
    ----------
    engine : Engine
    folder : Path
        With ``deploy.prototxt`` and ``model.caffemodel``.
    encoder : transformer or None
        Fitted; turns rows into arrays.
    shape : tuple of int
        Of one row, as the net takes it.
    training : Training
    unit : (float, float), or of lists
        Mean and scale of the numbers that the net predicts in units of; one for each column.
    """

    engine: "Engine"
    folder: Path
    encoder: Any
    shape: tuple[int, ...]
    training: Training | None
    unit: Unit = (0.0, 1.0)

    def predict(self, x: Any) -> Outputs:
        """Return the net's outputs (`Fitted.predict`)."""
        values = x if self.encoder is None else self.encoder.transform(x)
        files = self.folder / "deploy.prototxt", self.folder / "model.caffemodel"
        found = self.engine.predict(*files, values.reshape(len(values), *self.shape))
        return found if self.unit == (0.0, 1.0) else in_units(found, self.unit)

    def save(self, folder: Path) -> None:
        """Write Caffe's files and the encoder."""
        from ripen.learn.models.served import write_net

        write_net(folder, self.folder, self.encoder, self.shape, self.unit)
