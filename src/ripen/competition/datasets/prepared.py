"""The prepared parts of a competition: HDF5 files that Caffe's HDF5Data reads."""

import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from ripen.competition.datasets.tabular import Tabular
from ripen.core.atomic import write_text


@dataclass(frozen=True)
class Part:
    """Rows of a competition.

    Attributes
    ----------
    ids : int64 ndarray of shape (n,)
    data : float32 ndarray of shape (n, features) or (n, channels, height, width), scaled
    labels : int64 ndarray of shape (n,), or None where they are not known
    """

    ids: NDArray[np.int64]
    data: NDArray[np.float32]
    labels: NDArray[np.int64] | None

    def arrays(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return data and labels, as scikit-learn's fit and score take them.

        Raises
        ------
        ValueError
            If the labels are not known.
        """
        if self.labels is None:
            raise ValueError("the labels of this part are not known")
        return self.table, self.labels

    @property
    def table(self) -> NDArray[np.float32]:
        """Data of shape (n, features), a picture's pixels one after the other."""
        return self.data.reshape(len(self.data), -1)

    def rows(self, chosen: NDArray[np.int64]) -> "Part":
        """Return rows by their numbers, in that order."""
        labels = None if self.labels is None else self.labels[chosen]
        return Part(self.ids[chosen], self.data[chosen], labels)

    def head(self, n: int) -> "Part":
        """Return the first n rows."""
        return Part(self.ids[:n], self.data[:n], None if self.labels is None else self.labels[:n])

    def join(self, other: "Part") -> "Part":
        """Return the rows of both, which must have labels."""
        labels, more_labels = self.arrays()[1], other.arrays()[1]
        return Part(
            np.concatenate([self.ids, other.ids]),
            np.concatenate([self.data, other.data]),
            np.concatenate([labels, more_labels]),
        )


def write_part(folder: Path, name: str, part: Part) -> Path:
    """Write `name.h5` and `name.txt`, the list that an HDF5Data layer names as its source.

    Returns
    -------
    Path
        The list.
    """
    with h5py.File(folder / f"{name}.h5", "w") as file:
        file["id"] = part.ids
        file["data"] = part.data
        if part.labels is not None:
            file["label"] = part.labels.astype(np.float32)
    source = folder / f"{name}.txt"
    write_text(source, f"{(folder / name).as_posix()}.h5\n")
    return source


def read_part(folder: Path, name: str) -> Part:
    """Read what `write_part` wrote."""
    with h5py.File(folder / f"{name}.h5") as file:
        labels = file["label"][()].astype(np.int64) if "label" in file else None
        return Part(file["id"][()], file["data"][()], labels)


def write_scaler(folder: Path, dataset: Tabular, scaler: StandardScaler) -> None:
    """Write `scaler.json`: for each feature the mean and the scale that it is divided by."""
    values = {
        name: {"mean": float(mean), "scale": float(scale)}
        for name, mean, scale in zip(
            dataset.feature_names, scaler.mean_, scaler.scale_, strict=True
        )
    }
    write_text(folder / "scaler.json", json.dumps(values, indent=2) + "\n")


def read_scaler(path: Path) -> dict[str, tuple[float, float]]:
    """Read `scaler.json`: feature name to (mean, scale), in the net's input order."""
    values = json.loads(path.read_text(encoding="utf-8"))
    return {name: (value["mean"], value["scale"]) for name, value in values.items()}
