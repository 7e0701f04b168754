"""A model as MLflow serves it: raw data in, classes and probabilities out, nothing pickled.

What is kept is a folder: ``input.json`` says what the model takes and how that is scaled; the model
is Caffe's ``deploy.prototxt`` and ``model.caffemodel``, or a classifier of scikit-learn as
``model.skops``, which on loading makes only objects of the types that are named here.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import skops.io
from numpy.typing import NDArray
from pydantic import TypeAdapter
from sklearn.base import ClassifierMixin

from ripen.core.atomic import write_text
from ripen.core.errors import DataError
from ripen.learn.models.caffe_net import CaffeNet
from ripen.learn.models.photographs import Photographed, Photographs, write_nets
from ripen.settings.compose import as_mapping

FOLDER = "served"  # of a run's artifacts
INPUT, ESTIMATOR = "input.json", "model.skops"
NET = ("deploy.prototxt", "model.caffemodel")
# What the classifiers of `ripen.learn.models.baselines` are made of, beside what skops knows.
TYPES = [
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.tree._tree.Tree",
]


class Probable(Protocol):
    """What gives probabilities of shape (n, classes)."""

    def predict_proba(self, data: NDArray[np.float32], /) -> NDArray[np.floating]: ...


class Input(Protocol):
    """What a model takes."""

    def values(self, given: Any) -> NDArray[np.float32]:
        """Return the scaled rows of what was given.

        Raises
        ------
        DataError
            If it is not what the model takes.
        """


@dataclass(frozen=True)
class Columns:
    """Rows of raw measurements.

    Attributes
    ----------
    scaler : dict of str to (mean, scale)
        Of each input column, in the model's order.
    """

    scaler: Mapping[str, tuple[float, float]]

    def values(self, given: pd.DataFrame) -> NDArray[np.float32]:
        """Return the columns, scaled, shape (n, features)."""
        missing = [name for name in self.scaler if name not in given]
        if missing:
            needed = ", ".join(self.scaler)
            raise DataError(f"input: column '{missing[0]}' is missing. Needed: {needed}")
        mean, scale = np.array(list(self.scaler.values())).T
        data = (given[list(self.scaler)].to_numpy(np.float64) - mean) / scale
        return np.asarray(data, np.float32, order="C")


@dataclass(frozen=True)
class Pixels:
    """Small pictures, in a table a column a pixel.

    Attributes
    ----------
    size : (int, int)
        Height and width.
    white : int
        The value of a white pixel; a black one is 0.
    """

    size: tuple[int, int]
    white: int

    def values(self, given: pd.DataFrame | NDArray[np.generic]) -> NDArray[np.float32]:
        """Return pictures of shape (n, 1, height, width), from black 0 to white 1."""
        # A table's columns lie one after the other, and sums depend on that.
        pixels = np.asarray(given, order="C")
        height, width = self.size
        if pixels.size != len(pixels) * height * width:
            raise DataError(
                f"input: shape {pixels.shape}. Needed: (n, {height}, {width}) or "
                f"(n, {height * width})"
            )
        scaled = pixels.astype(np.float32) / np.float32(self.white)
        return scaled.reshape(len(pixels), 1, height, width)


KINDS = {"columns": Columns, "photographs": Photographs, "pixels": Pixels}

Given = Columns | Photographs | Pixels


@dataclass(frozen=True)
class Flat:
    """A classifier that takes a picture's pixels one after the other."""

    estimator: ClassifierMixin

    def predict_proba(self, data: NDArray[np.float32]) -> NDArray[np.floating]:
        found: NDArray[np.floating] = self.estimator.predict_proba(data.reshape(len(data), -1))
        return found


@dataclass(frozen=True)
class Served:
    """What `mlflow models predict` calls."""

    input: Input
    model: Probable

    def predict(self, given: Any) -> pd.DataFrame:
        """Return the class and the probability of each, ``p0``, ``p1``, …, of raw data.

        Raises
        ------
        DataError
            If it is not what the model takes.
        """
        found = self.model.predict_proba(self.input.values(given))
        columns = {f"p{k}": column for k, column in enumerate(found.T)}
        return pd.DataFrame({"class": found.argmax(axis=1), **columns})


def write_net(folder: Path, trained: Path, given: Given, deploy: str = NET[0]) -> None:
    """Write the folder of a net: Caffe's files out of the one that it was trained into."""
    folder.mkdir()
    for name, original in zip(NET, (deploy, NET[1]), strict=True):
        shutil.copyfile(trained / original, folder / name)
    _write_input(folder, given)


def write_estimator(folder: Path, estimator: ClassifierMixin, given: Given) -> None:
    """Write the folder of a fitted classifier."""
    folder.mkdir()
    skops.io.dump(estimator, folder / ESTIMATOR)
    _write_input(folder, given)


def complete(folder: Path, weights: Callable[[str], Path]) -> None:
    """Add what a folder needs to be used elsewhere, and would be too large to keep of each model.

    That is frozen nets, whose caffemodels `weights` gives.
    """
    given = _read_input(folder)
    if isinstance(given, Photographs):
        write_nets(folder, given, weights)


def read(folder: Path) -> Served:
    """Read a folder that is complete."""
    written = _read_input(folder)
    given = Photographed(written, folder) if isinstance(written, Photographs) else written
    if (folder / ESTIMATOR).exists():
        return Served(given, Flat(skops.io.load(folder / ESTIMATOR, trusted=TYPES)))
    return Served(given, CaffeNet(*[folder / name for name in NET]))


def _write_input(folder: Path, given: Given) -> None:
    kinds = {kind: name for name, kind in KINDS.items()}
    values = {kinds[type(given)]: as_mapping(given)}
    write_text(folder / INPUT, json.dumps(values, indent=2) + "\n")


def _read_input(folder: Path) -> Given:
    ((kind, values),) = json.loads((folder / INPUT).read_text(encoding="utf-8")).items()
    given: Given = TypeAdapter(KINDS[kind]).validate_json(json.dumps(values))
    return given


def _load_pyfunc(path: str) -> Served:
    """Load what `ripen.track.registry` logged; MLflow looks for this name."""
    return read(Path(path))
