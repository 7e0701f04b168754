"""Train a net on batches from memory, and evaluate it on held-out images meanwhile."""

import math
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffe.errors import CaffeError
from ripen.core.errors import ConfigError
from ripen.nets.engines.engine import Engine, FedSolver
from ripen.nets.engines.pycaffe import Interval

Array = NDArray[np.float32]
Fed = Generator[tuple[Array, Array]]
SOFTMAX = "SoftmaxWithLoss"
LEAST = 1e-15  # the least probability, so that its logarithm is finite


def cross_entropy(p: NDArray[np.float64], y: NDArray[Any]) -> float:
    """Return Caffe's SigmoidCrossEntropyLoss of probabilities: the sum over labels."""
    right = np.where(y > 0, p, 1 - p)
    return -float(np.log(np.maximum(right, LEAST)).sum(axis=1).mean())


def half_squares(found: NDArray[np.float64], y: NDArray[Any]) -> float:
    """Return Caffe's EuclideanLoss."""
    return float(np.square(found - y).sum(axis=1).mean() / 2)


LOSSES = {"SigmoidCrossEntropyLoss": cross_entropy, "EuclideanLoss": half_squares}


@dataclass(frozen=True)
class Watched:
    """Held-out images that monitor a training, in batches.

    Attributes
    ----------
    data : list of float32 ndarray of shape (n, channels, height, width)
    labels : int64 ndarray of shape (n,), or ndarray of shape (n, k)
        Of all: classes, or independent labels and numbers as the net learns them.
    loss : str
        Caffe's loss layer.
    """

    data: list[Array]
    labels: NDArray[Any]
    loss: str = SOFTMAX


@dataclass(frozen=True)
class Feeding:
    """A `Trainer` that feeds each iteration's images to a net's MemoryData layer.

    Attributes
    ----------
    engine : Engine
        Runs the net.
    batches : generator of (data, labels)
        For each iteration data of shape (batch_size * iter_size, channels, height, width), and as
        many labels or rows of targets, both float32.
    deploy : Path
        The net to evaluate.
    watched : Watched
        The images to evaluate it on.
    """

    engine: Engine
    batches: Fed
    deploy: Path
    watched: Watched

    def solver(self, solver: Path, start: Path | None = None) -> "FeedingSolver":
        """Begin to train, as `ripen.nets.engines.engine.Trainer` does.

        Raises
        ------
        ConfigError
            If the net, or the weights that it begins with, take images of another size.
        """
        try:
            return FeedingSolver(self.engine.fed_solver(solver, self.deploy, start), self)
        except CaffeError as error:
            raise ConfigError(f"the net cannot be trained at this size: {error}") from None


class FeedingSolver:
    """A running solver, as `ripen.nets.engines.engine.RunningSolver`."""

    def __init__(self, fed: FedSolver, feeding: Feeding) -> None:
        self._fed, self._feeding = fed, feeding

    def advance(self, iterations: int) -> Interval:
        """Train for some iterations, then evaluate the net."""
        losses, norm, started = list[float](), math.nan, time.perf_counter()
        while len(losses) < iterations and (not losses or math.isfinite(losses[-1])):
            last = len(losses) + 1 == iterations
            loss, norm = self._fed.step(*next(self._feeding.batches), last)
            losses.append(loss)
        seconds = time.perf_counter() - started
        loss, accuracy = self._evaluate() if math.isfinite(losses[-1]) else (math.nan, math.nan)
        return {
            "losses": losses,
            "gradient_norm": norm,
            "validation_loss": loss,
            "validation_accuracy": accuracy,
            "seconds": seconds,
        }

    def snapshot(self) -> None:
        """Let the solver write its snapshot."""
        self._fed.snapshot()

    def _evaluate(self) -> tuple[float, float]:
        """Return the loss on the watched images, and the accuracy of classes."""
        watched = self._feeding.watched
        labels = watched.labels
        found = np.concatenate([self._fed.probabilities(x) for x in watched.data])
        if watched.loss != SOFTMAX:
            return float(LOSSES[watched.loss](found.astype(np.float64), labels)), math.nan
        right = found[np.arange(len(labels)), labels].astype(np.float64)
        loss = -float(np.log(np.maximum(right, LEAST)).mean())
        return loss, float((found.argmax(axis=1) == labels).mean())
