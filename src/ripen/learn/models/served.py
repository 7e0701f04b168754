"""A model as MLflow serves it: raw data in, classes and probabilities out, nothing pickled.

What is kept is a folder. A model of scikit-learn is ``model.skops``; a net is Caffe's
``deploy.prototxt`` and ``model.caffemodel`` with ``net.json`` and, for a table, ``encoder.skops``.
Loading skops' files makes only objects of the types that are named here. ``input.json`` says how
images become features, where they do.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skops.io
from numpy.typing import NDArray
from pydantic import TypeAdapter

import caffe
from ripen.core.atomic import write_text
from ripen.learn.models.photographs import Photographed, Photographs, write_nets
from ripen.nets.engines.pycaffe import probabilities
from ripen.settings.compose import as_mapping

INPUT, PIPELINE, ENCODER, ABOUT = "input.json", "model.skops", "encoder.skops", "net.json"
NET = ("deploy.prototxt", "model.caffemodel")
# What the estimators and the encoder are made of, beside what skops knows.
TYPES = [
    "numpy.dtype",
    "ripen.data.tables.Encoder",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.compose._column_transformer._RemainderColsList",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.tree._tree.Tree",
]


@dataclass(frozen=True)
class Served:
    """What `mlflow models predict` calls.

    Attributes
    ----------
    values : callable
        Turns raw data into what the model takes.
    outputs : callable
        Turns that into outputs of shape (n, k).
    """

    values: Callable[[Any], Any]
    outputs: Callable[[Any], NDArray[np.floating]]

    def predict(self, given: Any) -> pd.DataFrame:
        """Return the class and the probability of each, ``p0``, ``p1``, …; or ``value``.

        Raises
        ------
        DataError
            If it is not what the model takes.
        """
        found = self.outputs(self.values(given))
        if found.shape[1] == 1:
            return pd.DataFrame({"value": found[:, 0]})
        columns = {f"p{k}": column for k, column in enumerate(found.T)}
        return pd.DataFrame({"class": found.argmax(axis=1), **columns})


def write_pipeline(folder: Path, pipeline: Any) -> None:
    """Write a fitted pipeline of scikit-learn into an existing folder."""
    skops.io.dump(pipeline, folder / PIPELINE)


def write_net(
    folder: Path,
    trained: Path,
    encoder: Any,
    shape: tuple[int, ...],
    unit: tuple[float, float],
    deploy: str = NET[0],
) -> None:
    """Write a net into an existing folder: Caffe's files out of the one it was trained into.

    Parameters
    ----------
    folder, trained : Path
    encoder : transformer or None
        Fitted.
    shape : tuple of int
        Of one row.
    unit : (float, float)
        Mean and scale of the numbers that the net predicts in units of.
    deploy : str
        The file in `trained` that takes such rows.
    """
    for name, original in zip(NET, (deploy, NET[1]), strict=True):
        shutil.copyfile(trained / original, folder / name)
    if encoder is not None:
        skops.io.dump(encoder, folder / ENCODER)
    write_text(folder / ABOUT, json.dumps({"shape": shape, "unit": unit}) + "\n")


def write_input(folder: Path, taken: Photographs) -> None:
    """Write how images become the features that the model takes."""
    write_text(folder / INPUT, json.dumps(as_mapping(taken), indent=2) + "\n")


def complete(folder: Path, weights: Callable[[str], Path]) -> None:
    """Add what a folder needs to be used elsewhere, and would be too large to keep of each model.

    That is frozen nets, whose caffemodels `weights` gives.
    """
    if (folder / INPUT).exists():
        write_nets(folder, _read_input(folder), weights)


def read(folder: Path) -> Served:
    """Read a folder that is complete."""
    values: Callable[[Any], Any] = lambda given: given  # noqa: E731 - most models take raw rows
    if (folder / INPUT).exists():
        values = Photographed(_read_input(folder), folder).values
    if (folder / PIPELINE).exists():
        return Served(values, _outputs(skops.io.load(folder / PIPELINE, trusted=TYPES)))
    if (folder / ENCODER).exists():
        values = skops.io.load(folder / ENCODER, trusted=TYPES).transform
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    net = caffe.Net(*[str(folder / name) for name in NET], caffe.TEST)
    mean, scale = about["unit"]

    def answer(rows: NDArray[np.float32]) -> NDArray[np.floating]:
        return probabilities(net, rows.reshape(len(rows), *about["shape"])) * scale + mean

    return Served(values, answer)


def _outputs(pipeline: Any) -> Callable[[Any], NDArray[np.floating]]:
    if hasattr(pipeline, "predict_proba"):
        return lambda rows: np.asarray(pipeline.predict_proba(rows))
    return lambda rows: np.asarray(pipeline.predict(rows))[:, None]


def _read_input(folder: Path) -> Photographs:
    text = (folder / INPUT).read_text(encoding="utf-8")
    taken: Photographs = TypeAdapter(Photographs).validate_json(text)
    return taken


def _load_pyfunc(path: str) -> Served:
    """Load what `ripen.track.evaluations` logged; MLflow looks for this name."""
    return read(Path(path))
