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


def write_rows(folder: Path, name: str, x: NDArray[np.float32], y: Targets) -> Path:
    """Write `name.h5` and `name.txt`, the list that an HDF5Data layer names as its source.

    Parameters
    ----------
    folder : Path
    name : str
    x : float32 ndarray of shape (n, …)
    y : ndarray of shape (n,) or (n, k)

    Returns
    -------
    Path
        The list.
    """
    with h5py.File(folder / f"{name}.h5", "w") as file:
        file["data"] = x
        # Numbers to predict are columns, as the net's scores are: EuclideanLoss compares shapes.
        column = y.ndim == 1 and np.issubdtype(y.dtype, np.floating)
        file["label"] = y.astype(np.float32)[:, None] if column else y.astype(np.float32)
    source = folder / f"{name}.txt"
    write_text(source, f"{(folder / name).as_posix()}.h5\n")
    return source


Unit = tuple[float, float] | tuple[NDArray[np.float64], NDArray[np.float64]]


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
    unit : (mean, scale), or None
        Of the numbers that the net predicts in units of: floats, or ndarrays of shape (k,).
    """

    engine: "Engine"
    folder: Path
    encoder: Any
    shape: tuple[int, ...]
    training: Training | None
    unit: Unit | None = None

    def predict(self, x: Any) -> Outputs:
        """Return the net's outputs (`Fitted.predict`)."""
        values = x if self.encoder is None else self.encoder.transform(x)
        files = self.folder / "deploy.prototxt", self.folder / "model.caffemodel"
        found = self.engine.predict(*files, values.reshape(len(values), *self.shape))
        return found if self.unit is None else found * self.unit[1] + self.unit[0]

    def save(self, folder: Path) -> None:
        """Write Caffe's files and the encoder."""
        from ripen.learn.models.served import write_net

        write_net(folder, self.folder, self.encoder, self.shape, self.unit)
