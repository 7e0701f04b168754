"""A Caffe net that fits and predicts: trained by a Caffe solver, kept in Caffe's own files."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import caffe
from caffe.policies import learning_rate
from caffe.proto import caffe_pb2
from ripen.atomic import replacing, write_text
from ripen.convergence import Convergence, Reason
from ripen.datasets.prepared import read_scaler
from ripen.errors import DataError, TrainingError
from ripen.models import mlp
from ripen.schema import Config
from ripen.schema.net import Solver, Train


@dataclass(frozen=True)
class Check:
    """How a training stood after `iteration` iterations.

    `loss` is the mean over the iterations since the check before, `gradient_norm` the Euclidean
    norm of all parameters' gradients in the last of them.
    """

    iteration: int
    loss: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    gradient_norm: float
    seconds_per_iteration: float


@dataclass(frozen=True)
class Training:
    """How a training went: why it ended and when, when it was best, and all its checks."""

    stopped: Reason
    iterations: int
    best_iteration: int
    best_validation_loss: float
    checks: tuple[Check, ...]

    def curve(self) -> pd.DataFrame:
        """Return the checks as rows, without what depends on the clock."""
        return pd.DataFrame(self.checks).drop(columns="seconds_per_iteration")


def fit(
    config: Config,
    classes: int,
    train: tuple[Path, int],
    validation: tuple[Path, int],
    folder: Path,
    listener: Callable[[Check], None],
) -> Training:
    """Train the net of the configuration and keep the weights of the best validation loss.

    Parameters
    ----------
    config : Config
        Sections `net`, `solver`, `train`, and the seed.
    classes : int
        Number of classes.
    train, validation : (Path, int)
        The list file that an HDF5Data layer reads, and how many rows it names.
    folder : Path
        Gets ``train_val.prototxt``, ``solver.prototxt``, ``model.caffemodel`` and
        ``model.solverstate``.
    listener : callable
        Is given each check.

    Raises
    ------
    TrainingError
        If the loss or a gradient is not a finite number.
    """
    batch = (train[0], min(config.train.batch_size, train[1]))
    net = mlp.train_val(config.net, classes, batch, validation)
    return train_net(net, config.solver, config.train, config.seed, folder, listener)


def train_net(
    net: caffe_pb2.NetParameter,
    solver_settings: Solver,
    settings: Train,
    seed: int,
    folder: Path,
    listener: Callable[[Check], None],
    start: Path | None = None,
) -> Training:
    """Train a net and keep the weights of the best validation loss.

    Parameters
    ----------
    net : NetParameter
        Both phases, with tops ``loss`` and, in the test phase, ``accuracy``; its test phase reads
        all that it validates on as one batch.
    solver_settings : Solver
    settings : Train
        When to check, and when to end.
    seed : int
    folder : Path
        Gets the files that `fit` names.
    listener : callable
        Is given each check.
    start : Path or None
        The caffemodel whose weights the layers of the same names begin with.

    Raises
    ------
    TrainingError
        If the loss or a gradient is not a finite number.
    """
    net_file, solver_file = folder / "train_val.prototxt", folder / "solver.prototxt"
    write_text(net_file, mlp.to_text(net))
    definition = mlp.solver(solver_settings, net_file, folder / "model", seed)
    write_text(solver_file, mlp.to_text(definition))
    solver = caffe.get_solver(str(solver_file))
    if start is not None:
        solver.net.copy_from(str(start))
    norms = _watch_gradients(solver, settings.check_interval)
    convergence = Convergence(
        tolerance=settings.tolerance,
        patience=settings.patience,
        early_stopping=settings.early_stopping,
        max_iter=solver_settings.max_iter,
    )
    checks: list[Check] = []
    stopped = None
    while stopped is None:
        interval = min(settings.check_interval, solver_settings.max_iter - solver.iter)
        checks.append(_check(solver, interval, norms))
        listener(checks[-1])
        stopped = convergence.check(solver.iter, checks[-1].loss, checks[-1].validation_loss)
        if convergence.best_iteration == solver.iter:
            _keep(solver, folder)
    return Training(
        stopped,
        int(solver.iter),
        convergence.best_iteration,
        convergence.best_validation_loss,
        tuple(checks),
    )


def write_training(folder: Path, training: Training) -> None:
    """Write `training.json` (what ended it, and when) and `curve.csv` (the checks)."""
    values = {
        "stopped": training.stopped,
        "iterations": training.iterations,
        "best_iteration": training.best_iteration,
    }
    write_text(folder / "training.json", json.dumps(values, indent=2) + "\n")
    curve = training.curve().to_csv(index=False, lineterminator="\n")
    write_text(folder / "curve.csv", curve)


def _watch_gradients(solver: caffe.Solver, interval: int) -> list[float]:
    """Return a list that grows by the gradients' norm in the last iteration before each check.

    It is taken when they are ready: after the update a parameter's diff is the update, as in Caffe.
    """
    norms: list[float] = []

    def on_gradients_ready() -> None:
        done = solver.iter + 1
        if done % interval == 0 or done == solver.param.max_iter:
            squares = (
                float(np.sum(np.square(blob.diff, dtype=np.float64)))
                for blobs in solver.net.params.values()
                for blob in blobs
            )
            norms.append(math.sqrt(sum(squares)))

    solver.add_callback(lambda: None, on_gradients_ready)
    return norms


def _check(solver: caffe.Solver, iterations: int, norms: list[float]) -> Check:
    """Train for some iterations, then validate."""
    started = time.perf_counter()
    losses = []
    for _ in range(iterations):
        solver.step(1)
        losses.append(float(solver.net.blobs["loss"].data))
        if not math.isfinite(losses[-1]):
            message = diverged(solver.param.base_lr, solver.iter, "loss", losses[-1])
            raise TrainingError(message)
    seconds = time.perf_counter() - started
    test = solver.test_nets[0]
    test.share_with(solver.net)
    test.forward()
    validation_loss = float(test.blobs["loss"].data)
    for what, value in (("gradients' norm", norms[-1]), ("validation loss", validation_loss)):
        if not math.isfinite(value):
            raise TrainingError(diverged(solver.param.base_lr, solver.iter, what, value))
    return Check(
        iteration=int(solver.iter),
        loss=float(np.mean(losses)),
        validation_loss=validation_loss,
        validation_accuracy=float(test.blobs["accuracy"].data),
        learning_rate=learning_rate(solver.param, solver.iter - 1),
        gradient_norm=norms[-1],
        seconds_per_iteration=seconds / iterations,
    )


def diverged(base_lr: float, iteration: int, what: str, value: float) -> str:
    """Return the message of a training that cannot go on."""
    return (
        f"training diverged: the {what} is {value} at iteration {iteration}. Is the learning "
        f"rate solver.base_lr={base_lr:g} too large? Try a tenth of it"
    )


def _keep(solver: caffe.Solver, folder: Path) -> None:
    """Keep the solver's present state as model.caffemodel and model.solverstate."""
    solver.snapshot()
    weights = folder / f"model_iter_{solver.iter}.caffemodel"
    state_file = weights.with_suffix(".solverstate")
    weights.replace(folder / "model.caffemodel")
    state = caffe_pb2.SolverState.FromString(state_file.read_bytes())
    state.learned_net = (folder / "model.caffemodel").as_posix()
    with replacing(folder / "model.solverstate") as temporary:
        temporary.write_bytes(state.SerializeToString(deterministic=True))
    state_file.unlink()


class CaffeNet:
    """A trained net with scikit-learn's way of predicting.

    Parameters
    ----------
    deploy, weights : Path
        ``deploy.prototxt`` with input ``data`` and output ``prob``, and its ``.caffemodel``.
    """

    def __init__(self, deploy: Path, weights: Path) -> None:
        self._net = caffe.Net(str(deploy), str(weights), caffe.TEST)

    def predict_proba(self, data: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities, shape (n, classes), of scaled rows of the input's shape."""
        self._net.blobs["data"].reshape(*data.shape)
        return np.array(self._net.forward(data=data)["prob"])


@dataclass(frozen=True)
class Served:
    """What `mlflow models predict` calls: raw measurements in, the class and its probability out.

    Attributes
    ----------
    scaler : dict of str to (mean, scale)
        Of each input column, in the net's order.
    """

    net: CaffeNet
    scaler: dict[str, tuple[float, float]]

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Predict rows of raw measurements.

        Raises
        ------
        DataError
            If a column is missing.
        """
        missing = [name for name in self.scaler if name not in frame]
        if missing:
            needed = ", ".join(self.scaler)
            raise DataError(f"input: column '{missing[0]}' is missing. Needed: {needed}")
        mean, scale = np.array(list(self.scaler.values())).T
        data = (frame[list(self.scaler)].to_numpy(np.float64) - mean) / scale
        probabilities = self.net.predict_proba(data.astype(np.float32))
        columns = {f"p{k}": column for k, column in enumerate(probabilities.T)}
        return pd.DataFrame({"class": probabilities.argmax(axis=1), **columns})


def _load_pyfunc(path: str) -> Served:
    """Load what `Tracker.log_model` stored; MLflow looks for this name."""
    folder = Path(path)
    net = CaffeNet(folder / "deploy.prototxt", folder / "model.caffemodel")
    return Served(net, read_scaler(folder / "scaler.json"))
