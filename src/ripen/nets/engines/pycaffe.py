"""The work of an engine, written against pycaffe's interface so that both Caffes run this file.

Ripen imports it. As a script on CPython 3.9, where `caffe` is real Caffe 1.0 (a wheel of BVLC's
source), it answers one JSON request per line; `caffe.real.Process` sends them.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

import caffe


class Interval(TypedDict):
    """The result of some iterations and of the validation after them.

    Attributes
    ----------
    losses : list of float
        The loss of each iteration. A loss that is not finite is the last: training stops there,
        and the values of the validation are NaN.
    gradient_norm : float
        Euclidean norm of all parameters' gradients in the last iteration.
    validation_loss, validation_accuracy : float
        Tops ``loss`` and ``accuracy`` of the test net.
    seconds : float
        Duration of the iterations.
    """

    losses: list[float]
    gradient_norm: float
    validation_loss: float
    validation_accuracy: float
    seconds: float


class RunningSolver:
    """A solver that trains on its own data layers.

    Parameters
    ----------
    solver : str
        A solver's prototxt with one test net.
    start : str, optional
        A caffemodel with initial weights for the layers of the same names.
    """

    def __init__(self, solver: str, start: str | None = None) -> None:
        self._solver = _solver(solver, start)
        self._gradients = _Gradients(self._solver)

    def advance(self, iterations: int) -> Interval:
        """Train for some iterations, then validate."""
        solver = self._solver
        self._gradients.measure_after(iterations)
        losses: list[float] = []
        started = time.perf_counter()
        while len(losses) < iterations and (not losses or math.isfinite(losses[-1])):
            solver.step(1)
            losses.append(float(solver.net.blobs["loss"].data))
        seconds = time.perf_counter() - started
        loss, accuracy = self._validate() if math.isfinite(losses[-1]) else (math.nan, math.nan)
        return {
            "losses": losses,
            "gradient_norm": self._gradients.norm,
            "validation_loss": loss,
            "validation_accuracy": accuracy,
            "seconds": seconds,
        }

    def snapshot(self) -> None:
        """Write the weights and the solver's state, named by its prefix and the iteration."""
        self._solver.snapshot()

    def _validate(self) -> tuple[float, float]:
        test = self._solver.test_nets[0]
        test.share_with(self._solver.net)
        test.forward()
        # A net that predicts numbers has no accuracy.
        accuracy = float(test.blobs["accuracy"].data) if "accuracy" in test.blobs else math.nan
        return float(test.blobs["loss"].data), accuracy


class FedSolver:
    """A solver whose MemoryData layer gets the images of each iteration.

    Parameters
    ----------
    solver, start : str
        As for `RunningSolver`; a test net is not needed.
    deploy : str
        The net for inference.
    """

    def __init__(self, solver: str, start: str | None, deploy: str) -> None:
        self._solver = _solver(solver, start)
        self._gradients = _Gradients(self._solver)
        self._net = caffe.Net(deploy, caffe.TEST)

    def step(
        self, data: NDArray[np.float32], labels: NDArray[np.float32], with_norm: bool
    ) -> tuple[float, float]:
        """Train for one iteration.

        Parameters
        ----------
        data : float32 ndarray of shape (batch_size * iter_size, channels, height, width)
        labels : float32 ndarray of shape (batch_size * iter_size,), or of k numbers for each
            Those of k numbers are for the layer ``targets``, and for our own Caffe only.
        with_norm : bool
            Whether to compute the norm.

        Returns
        -------
        float
            The loss, the mean over `iter_size` batches. Real Caffe does not expose that mean: there
            it is the loss of the last batch.
        float
            Euclidean norm of all parameters' gradients, or NaN.
        """
        none = np.zeros(len(data), np.float32)
        self._fed = data, labels, none  # layers read them in place: they must live as long as they
        self._gradients.measure_after(int(with_norm))
        if labels.ndim > 1:
            targets = labels.reshape(labels.shape + (1, 1))
            self._solver.net.layer_dict["targets"].set_input_arrays(targets, none)
        self._solver.net.set_input_arrays(data, none if labels.ndim > 1 else labels)
        self._solver.step(1)
        shown = getattr(self._solver, "smoothed_loss", None)
        loss = self._solver.net.blobs["loss"].data if shown is None else shown
        return float(loss), self._gradients.norm

    def probabilities(self, data: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities of images with the current weights, shape (n, classes)."""
        self._net.share_with(self._solver.net)
        return probabilities(self._net, data)

    def snapshot(self) -> None:
        """Write the solver's snapshot."""
        self._solver.snapshot()


class _Gradients:
    """The norm of a solver's gradients, computed in chosen iterations only."""

    def __init__(self, solver: caffe.Solver) -> None:
        self._solver = solver
        self._wanted = 0
        self.norm = math.nan
        # Before the update: afterwards a parameter's diff is the update, no longer the gradient.
        solver.add_callback(lambda: None, self._on_ready)

    def measure_after(self, iterations: int) -> None:
        """Compute the norm in the last of the next iterations."""
        self._wanted, self.norm = self._solver.iter + iterations, math.nan

    def _on_ready(self) -> None:
        if self._solver.iter + 1 == self._wanted:
            squares = (
                float(np.sum(np.square(blob.diff, dtype=np.float64)))
                for blobs in self._solver.net.params.values()
                for blob in blobs
            )
            self.norm = math.sqrt(sum(squares))


def save_first_weights(solver: str, start: str | None, weights: str) -> None:
    """Write the initial weights of a solver as a caffemodel."""
    _solver(solver, start).net.save(weights)


def _solver(solver: str, start: str | None) -> caffe.Solver:
    made = caffe.get_solver(solver)
    if start is not None:
        made.net.copy_from(start)
    return made


def probabilities(net: caffe.Net, data: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a net's ``prob`` for ``data``, an array of any length; shape (n, classes)."""
    net.blobs["data"].reshape(*data.shape)
    return np.array(net.forward(data=data)["prob"]).reshape(len(data), -1)


class Requests:
    """The requests that the pipe accepts, by the names of the methods; arrays are .npy files."""

    def __init__(self) -> None:
        self._at_work: Any = None

    def solver(self, solver: str, start: str) -> None:
        """Start a solver in place of the previous one."""
        self._at_work = None  # frees its memory before the next one takes its own
        self._at_work = RunningSolver(solver, start)

    def fed_solver(self, solver: str, start: str, deploy: str) -> None:
        """Start a solver with a MemoryData layer in place of the previous one."""
        self._at_work = None
        self._at_work = FedSolver(solver, start, deploy)

    def advance(self, iterations: int) -> Interval:
        interval: Interval = self._at_work.advance(iterations)
        return interval

    def step(self, data: str, labels: str, with_norm: bool) -> tuple[float, float]:
        loss, norm = self._at_work.step(np.load(data), np.load(labels), with_norm)
        return loss, norm

    def probabilities(self, data: str, found: str) -> None:
        np.save(found, self._at_work.probabilities(np.load(data)))

    def snapshot(self) -> None:
        self._at_work.snapshot()

    def predict(self, deploy: str, weights: str, data: str, found: str) -> None:
        net = caffe.Net(deploy, caffe.TEST, weights=weights)
        np.save(found, probabilities(net, np.load(data)))


def main() -> None:
    """Answer requests until standard input ends."""
    # Answers go to the original standard output; anything that libraries print goes to the log.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    requests = Requests()
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        call = getattr(requests, request.pop("call"))
        try:
            answer = {"result": call(**request)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
