"""The progress that a solver logs: loss, speed, and the outputs of its nets."""

import time
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from caffe import glog
from caffe.net import Net
from caffe.proto.caffe_pb2 import SolverParameter


class Progress:
    """The mean loss of the last iterations, and the time between two displays.

    Parameters
    ----------
    param : SolverParameter
        For `display` and `average_loss`.
    """

    def __init__(self, param: SolverParameter) -> None:
        self._param = param
        self._shown: int | None = None
        self.start(0)
        self._shown = None  # still: the first `step` may begin at a restored iteration

    def start(self, iteration: int) -> None:
        """Start over, as each call of `step` does; the last display still counts for the speed."""
        self._losses: list[np.float32] = []
        self._count = 0
        self._mean = np.float32(np.nan)
        self._moment = time.monotonic()
        if self._shown is None:
            self._shown = iteration

    @property
    def loss(self) -> float:
        """The mean of the last `average_loss` losses; nan before the first."""
        return float(self._mean)

    def add_loss(self, loss: float) -> None:
        """Update the mean as Caffe does, in float32 and incrementally: all digits agree."""
        size, value = self._param.average_loss, np.float32(loss)
        with np.errstate(all="ignore"):  # a NaN or infinite loss is shown as it is
            if len(self._losses) < size:
                self._losses.append(value)
                n = np.float32(len(self._losses))
                before = self._mean if n > 1 else np.float32(0)
                self._mean = (before * (n - 1) + value) / n
            else:
                oldest = self._count % size
                self._mean += (value - self._losses[oldest]) / np.float32(size)
                self._losses[oldest] = value
        self._count += 1

    def show(self, iteration: int, net: Net) -> None:
        """Log loss, speed, and the net's outputs."""
        if not glog.enabled():
            return
        now = time.monotonic()
        seconds = now - self._moment
        speed = (iteration - (self._shown or 0)) / (seconds or 1)
        line = "Iteration %d (%g iter/s, %gs/%d iters), loss = %g"
        display = self._param.display
        glog.info("solver.cpp:239", line, iteration, speed, seconds, display, self.loss)
        for output in outputs(net, {name: net.blobs[name].data for name in net.outputs}):
            glog.info("solver.cpp:258", "    Train net output %s", output)
        self._shown, self._moment = iteration, now


def outputs(net: Net, values: Mapping[str, NDArray[np.float32]]) -> Iterator[str]:
    """Yield a line for each number of a net's outputs: `#0: loss = 2.3 (* 1 = 2.3 loss)`."""
    weights = net.blob_loss_weights
    number = 0
    for name, numbers in values.items():
        for value in numbers.ravel():
            yield f"#{number}: {with_loss(name, float(value), weights[name])}"
            number += 1


def with_loss(name: str, value: float, weight: float) -> str:
    """Return an output's value and its part of the loss: `loss = 2.3 (* 1 = 2.3 loss)`."""
    part = f" (* {weight:g} = {weight * value:g} loss)"
    return f"{name} = {value:g}{part if weight else ''}"
