# /// script
# requires-python = "==3.9.*"
# dependencies = [
#   "imageio==2.37.2",
#   "kendryte-caffe==1.0.0.20210829",
#   "lazy-loader==0.6",
#   "networkx==3.2.1",
#   "numpy==1.26.4",
#   "packaging==26.3",
#   "pillow==11.3.0",
#   "protobuf==3.20.3",
#   "scikit-image==0.24.0",
#   "scipy==1.13.1",
#   "six==1.17.0",
#   "tifffile==2024.8.30",
# ]
# ///
"""What every engine does, in pycaffe's words alone, so that either Caffe runs this very file.

ripen imports it. As a script on CPython 3.9, where `caffe` is real Caffe 1.0 (a wheel of BVLC's
source), it answers one JSON request a line; `ripen.engines.process` is the other end.
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
    """A solver at work.

    Parameters
    ----------
    solver : str
        A solver's prototxt with one test net.
    start : str, optional
        The caffemodel whose weights the layers of the same names begin with.
    """

    def __init__(self, solver: str, start: str | None = None) -> None:
        self._solver = caffe.get_solver(solver)
        if start is not None:
            self._solver.net.copy_from(start)
        self._look_after = 0
        self._norm = math.nan
        # After the update a parameter's diff is the update, as in Caffe.
        self._solver.add_callback(lambda: None, self._on_gradients_ready)

    def advance(self, iterations: int) -> Stretch:
        """Train for some iterations, then validate."""
        solver = self._solver
        self._look_after, self._norm = solver.iter + iterations, math.nan
        losses: list[float] = []
        started = time.perf_counter()
        while len(losses) < iterations and (not losses or math.isfinite(losses[-1])):
            solver.step(1)
            losses.append(float(solver.net.blobs["loss"].data))
        seconds = time.perf_counter() - started
        loss, accuracy = self._validate() if math.isfinite(losses[-1]) else (math.nan, math.nan)
        return {
            "losses": losses,
            "gradient_norm": self._norm,
            "validation_loss": loss,
            "validation_accuracy": accuracy,
            "seconds": seconds,
        }

    def snapshot(self) -> None:
        """Write what the solver writes: weights and its state, by its prefix and the iteration."""
        self._solver.snapshot()

    def save(self, weights: str) -> None:
        """Write the present weights as a caffemodel."""
        self._solver.net.save(weights)

    def _validate(self) -> tuple[float, float]:
        test = self._solver.test_nets[0]
        test.share_with(self._solver.net)
        test.forward()
        return float(test.blobs["loss"].data), float(test.blobs["accuracy"].data)

    def _on_gradients_ready(self) -> None:
        if self._solver.iter + 1 == self._look_after:
            squares = (
                float(np.sum(np.square(blob.diff, dtype=np.float64)))
                for blobs in self._solver.net.params.values()
                for blob in blobs
            )
            self._norm = math.sqrt(sum(squares))


def probabilities(net: caffe.Net, data: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``prob`` of a net's ``data``, an array of any length; shape (n, classes)."""
    net.blobs["data"].reshape(*data.shape)
    return np.array(net.forward(data=data)["prob"]).reshape(len(data), -1)


class Requests:
    """What may be asked for over the pipe, by the names of the methods."""

    def __init__(self) -> None:
        self._solving: Solving | None = None

    def solver(self, solver: str, start: str) -> None:
        """Begin with a solver, in place of the one before."""
        self._solving = None  # its memory is free before the next one's is taken
        self._solving = Solving(solver, start)

    def advance(self, iterations: int) -> Stretch:
        assert self._solving is not None
        return self._solving.advance(iterations)

    def snapshot(self) -> None:
        assert self._solving is not None
        self._solving.snapshot()

    def predict(self, deploy: str, weights: str, data: str, found: str) -> None:
        """Read an array from one .npy file, write the probabilities to another."""
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
