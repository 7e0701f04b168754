"""Caffe nets on arrays: rows written as HDF5Data reads them, and trained nets that predict."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ripen.competition.index import Ints
from ripen.competition.tasks import Targets
from ripen.core.atomic import replacing, write_text
from ripen.core.errors import DataError
from ripen.learn.convergence import Training
from ripen.learn.estimator import Outputs
from ripen.learn.models.saved import write_net
from ripen.learn.target_transform import ONE, Unit, in_units

if TYPE_CHECKING:  # engines import torch
    from ripen.nets.engines.engine import Engine


def write_rows(
    folder: Path,
    name: str,
    x: NDArray[np.float32],
    y: Targets,
    order: Ints | None = None,
    shard: int | None = None,
) -> Path:
    """Write rows as HDF5 files, and `name.txt`, the list that an HDF5Data layer has as its source.

    Parameters
    ----------
    folder : Path
    name : str
    x : float32 ndarray of shape (n, …)
    y : ndarray of shape (n,), or (n, k) of several targets
    order : int64 ndarray, optional
        Rows to write, in any order; by default all, in their own order.
    shard : int, optional
        Rows in each file, `name_0.h5` and so on: Caffe keeps one file in memory. By default all
        are in `name.h5`.

    Returns
    -------
    Path
        The list.

    Raises
    ------
    DataError
        If the path has white space even relative to the working folder: Caffe's lists end there.
    """

    rows = np.arange(len(y)) if order is None else order
    # Numbers to predict are a column, as the net's scores are: EuclideanLoss compares shapes.
    targets = y.astype(np.float32)
    targets = targets[:, None] if y.ndim == 1 and np.issubdtype(y.dtype, np.floating) else targets
    listed, size = [], shard or len(rows)
    for number, start in enumerate(range(0, len(rows), size)):
        file = folder / (f"{name}.h5" if shard is None else f"{name}_{number}.h5")
        listed.append(_in_list(file))
        chosen = rows[start : start + size]
        # Importing PyTorch takes seconds, which a model without a net need not wait.
        from caffe.hdf5 import new_file

        data, label = x[chosen], targets[chosen]
        with replacing(file) as temporary, new_file(temporary, data.nbytes + label.nbytes) as made:
            made["data"], made["label"] = data, label
    source = folder / f"{name}.txt"
    write_text(source, "".join(f"{path}\n" for path in listed))
    return source


def _in_list(file: Path) -> str:
    """Return a path as a list of Caffe's can hold it, without white space."""
    for path in (file.as_posix(), Path(os.path.relpath(file)).as_posix()):
        if path.split() == [path]:
            return path
    raise DataError(
        f"{file.parent} has a space in its name, which Caffe's lists of files cannot hold. Set "
        "TMPDIR to a folder without one if it is temporary, else rename it"
    )


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
    unit: Unit = ONE

    def predict(self, x: Any) -> Outputs:
        """Return the net's outputs (`Fitted.predict`)."""
        values = x if self.encoder is None else self.encoder.transform(x)
        files = self.folder / "deploy.prototxt", self.folder / "model.caffemodel"
        found = self.engine.predict(*files, values.reshape(len(values), *self.shape))
        return in_units(found, self.unit)

    def save(self, folder: Path) -> None:
        """Write Caffe's files and the encoder."""
        write_net(folder, self.folder, self.encoder, self.shape, self.unit)
