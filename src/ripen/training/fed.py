"""A solver that is fed pictures while it trains, with those that it is looked at with beside."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import caffe
from caffe.errors import CaffeError
from ripen.engines.pycaffe import Stretch, probabilities
from ripen.errors import ConfigError

Array = NDArray[np.float32]
LEAST = 1e-15  # a probability, for its logarithm


@dataclass(frozen=True)
class Looked:
    """Pictures by which a training is followed, some at a time.

    Attributes
    ----------
    data : list of float32 ndarray of shape (n, channels, height, width)
    labels : int64 ndarray
        Of all.
    """

    data: list[Array]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Feeding:
    """Trains a net whose MemoryData layer is given each iteration's pictures; an `Engine`'s half.

    Attributes
    ----------
    batches : iterator of (data, labels)
        For each iteration data of shape (batch_size * iter_size, channels, height, width), and as
        many labels, both float32.
    deploy : Path
        The net that is looked at.
    looked : Looked
        The pictures that it is looked at with.
    """

    batches: Iterator[tuple[Array, Array]]
    deploy: Path
    looked: Looked

    def solver(self, solver: Path, start: Path | None = None) -> "FedSolving":
        """Begin to train, as `ripen.engines.choice.Engine` does.

        Raises
        ------
        ConfigError
            If the net, or the weights that it begins with, are for pictures of another size.
        """
        try:
            return FedSolving(caffe.get_solver(str(solver)), start, self)
        except CaffeError as error:
            raise ConfigError(
                f"ways: the net cannot be trained on pictures of this size: {error}"
            ) from None


class FedSolving:
    """A solver at work, as `ripen.engines.choice.Solving`."""

    def __init__(self, solver: caffe.Solver, start: Path | None, feeding: Feeding) -> None:
        self._solver, self._feeding = solver, feeding
        if start is not None:
            solver.net.copy_from(str(start))
        self._net = caffe.Net(str(feeding.deploy), caffe.TEST)
        self._norm = math.nan
        # After the update a parameter's diff is the update, as in Caffe.
        solver.add_callback(self._feed, self._on_gradients_ready)

    def advance(self, iterations: int) -> Stretch:
        """Train for some iterations, then look at the net."""
        solver, losses, started = self._solver, list[float](), time.perf_counter()
        self._look_after = solver.iter + iterations
        while len(losses) < iterations and (not losses or math.isfinite(losses[-1])):
            solver.step(1)
            losses.append(solver.smoothed_loss)
        seconds = time.perf_counter() - started
        loss, accuracy = self._look() if math.isfinite(losses[-1]) else (math.nan, math.nan)
        return {
            "losses": losses,
            "gradient_norm": self._norm,
            "validation_loss": loss,
            "validation_accuracy": accuracy,
            "seconds": seconds,
        }

    def snapshot(self) -> None:
        """Let the solver write its snapshot."""
        self._solver.snapshot()

    def _feed(self) -> None:
        # What is fed is read where it is, so it has to be kept as long.
        self._fed = next(self._feeding.batches)
        self._solver.net.set_input_arrays(*self._fed)

    def _on_gradients_ready(self) -> None:
        if self._solver.iter + 1 == self._look_after:
            squares = (
                float(np.sum(np.square(blob.diff, dtype=np.float64)))
                for blobs in self._solver.net.params.values()
                for blob in blobs
            )
            self._norm = math.sqrt(sum(squares))

    def _look(self) -> tuple[float, float]:
        """Return log loss and accuracy of the pictures that the net is looked at with."""
        self._net.share_with(self._solver.net)
        labels = self._feeding.looked.labels
        found = np.concatenate([probabilities(self._net, x) for x in self._feeding.looked.data])
        right = found[np.arange(len(labels)), labels].astype(np.float64)
        loss = -float(np.log(np.maximum(right, LEAST)).mean())
        return loss, float((found.argmax(axis=1) == labels).mean())
