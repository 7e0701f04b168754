"""What every engine does, in pycaffe's words alone, so that either Caffe runs this very file.

ripen imports it. As a script on CPython 3.9, where `caffe` is real Caffe 1.0 (a wheel of BVLC's
source), it answers one JSON request a line; `caffe.real.Process` is the other end.
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


class Stretch(TypedDict):
    """Some iterations, and a look at the net after them.

    Attributes
    ----------
    losses : list of float
        Of each iteration, up to the first that is not finite; after such a one nothing else is
        looked at and the other values are not numbers.
    gradient_norm : float
        Euclidean norm of all parameters' gradients in the last iteration.
    validation_loss, validation_accuracy : float
        Tops ``loss`` and ``accuracy`` of the test net.
    seconds : float
        That the iterations took.
    """

    losses: list[float]
    gradient_norm: float
    validation_loss: float
    validation_accuracy: float
    seconds: float


class Solving:
    """A solver at work on its own data layers.

    Parameters
    ----------
    solver : str
        A solver's prototxt with one test net.
    start : str, optional
        The caffemodel whose weights the layers of the same names begin with.
    """

    def __init__(self, solver: str, start: str | None = None) -> None:
        self._solver = _solver(solver, start)
        self._gradients = _Gradients(self._solver)

    def advance(self, iterations: int) -> Stretch:
        """Train for some iterations, then validate."""
        solver = self._solver
        self._gradients.look_after(iterations)
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
        """Write what the solver writes: weights and its state, by its prefix and the iteration."""
        self._solver.snapshot()

    def _validate(self) -> tuple[float, float]:
        test = self._solver.test_nets[0]
        test.share_with(self._solver.net)
        test.forward()
        return float(test.blobs["loss"].data), float(test.blobs["accuracy"].data)


class Fed:
    """A solver at work whose MemoryData layer is given the pictures of each iteration.

    Parameters
    ----------
    solver, start : str
        As of `Solving`; a test net is not needed.
    deploy : str
        The net that answers.
    """

    def __init__(self, solver: str, start: str | None, deploy: str) -> None:
        self._solver = _solver(solver, start)
        self._gradients = _Gradients(self._solver)
        self._net = caffe.Net(deploy, caffe.TEST)

    def step(
        self, data: NDArray[np.float32], labels: NDArray[np.float32], look: bool
    ) -> tuple[float, float]:
        """Train for one iteration.

        Parameters
        ----------
        data : float32 ndarray of shape (batch_size * iter_size, channels, height, width)
        labels : float32 ndarray of shape (batch_size * iter_size,)
        look : bool
            Whether the norm is wanted.

        Returns
        -------
        float
            The loss; in real Caffe, whose mean is not shown, that of the last of `iter_size`.
        float
            Euclidean norm of all parameters' gradients, or no number.
        """
        self._fed = data, labels  # read where they are, so they are kept as long
        self._gradients.look_after(int(look))
        self._solver.net.set_input_arrays(data, labels)
        self._solver.step(1)
        shown = getattr(self._solver, "smoothed_loss", None)
        loss = self._solver.net.blobs["loss"].data if shown is None else shown
        return float(loss), self._gradients.norm

    def probabilities(self, data: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the net makes of pictures by now, shape (n, classes)."""
        self._net.share_with(self._solver.net)
        return probabilities(self._net, data)

    def snapshot(self) -> None:
        """Write the solver's snapshot."""
        self._solver.snapshot()


class _Gradients:
    """The norm of a solver's gradients, in the iterations that are to be looked at."""

    def __init__(self, solver: caffe.Solver) -> None:
        self._solver = solver
        self._wanted = 0
        self.norm = math.nan
        # After the update a parameter's diff is the update, as in Caffe.
        solver.add_callback(lambda: None, self._on_ready)

    def look_after(self, iterations: int) -> None:
        """Take the norm in the last of the iterations to come."""
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
    """Write the weights that a solver begins with as a caffemodel."""
    _solver(solver, start).net.save(weights)


def _solver(solver: str, start: str | None) -> caffe.Solver:
    made = caffe.get_solver(solver)
    if start is not None:
        made.net.copy_from(start)
    return made


def probabilities(net: caffe.Net, data: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``prob`` of a net's ``data``, an array of any length; shape (n, classes)."""
    net.blobs["data"].reshape(*data.shape)
    return np.array(net.forward(data=data)["prob"]).reshape(len(data), -1)


class Requests:
    """What may be asked for over the pipe, by the names of the methods; arrays are .npy files."""

    def __init__(self) -> None:
        self._at_work: Any = None

    def solver(self, solver: str, start: str) -> None:
        """Begin with a solver, in place of the one before."""
        self._at_work = None  # its memory is free before the next one's is taken
        self._at_work = Solving(solver, start)

    def fed(self, solver: str, start: str, deploy: str) -> None:
        """Begin with a solver that is fed, in place of the one before."""
        self._at_work = None
        self._at_work = Fed(solver, start, deploy)

    def advance(self, iterations: int) -> Stretch:
        stretch: Stretch = self._at_work.advance(iterations)
        return stretch

    def step(self, data: str, labels: str, look: bool) -> tuple[float, float]:
        loss, norm = self._at_work.step(np.load(data), np.load(labels), look)
        return loss, norm

    def probabilities(self, data: str, found: str) -> None:
        np.save(found, self._at_work.probabilities(np.load(data)))

    def snapshot(self) -> None:
        self._at_work.snapshot()

    def predict(self, deploy: str, weights: str, data: str, found: str) -> None:
        net = caffe.Net(deploy, caffe.TEST, weights=weights)
        np.save(found, probabilities(net, np.load(data)))


def main() -> None:
    """Answer requests until there are no more."""
    # Answers go where standard output went; what libraries print goes to the log.
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
