"""Time the layers of a net, forward and backward."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from caffe.device import finish
from caffe.net import Net


@dataclass
class LayerTime:
    """A layer's name, its type, and its mean milliseconds per pass."""

    name: str
    type: str
    forward: float = 0.0
    backward: float = 0.0

    @property
    def total(self) -> float:
        return self.forward + self.backward


def profile(
    net: Net, iterations: int, done: Callable[[int, float], None] = lambda number, ms: None
) -> list[LayerTime]:
    """Time every layer of a net, in the net's order.

    As in Caffe's `time`, every layer runs backward, even if no layer below it learns; it computes
    only the gradients that the net needs.

    Parameters
    ----------
    net : Net
        It should have run forward and backward once, so that its memory is allocated.
    iterations : int
        Number of passes to average over.
    done : callable
        Called with the number of each pass, from 1, and its milliseconds.

    Returns
    -------
    list of LayerTime
    """
    steps = net.steps
    times = [LayerTime(step.layer.name, step.layer.type) for step in steps]
    for number in range(1, iterations + 1):
        began = time.perf_counter()
        for i, layer in enumerate(times):
            before = time.perf_counter()
            net.run_forward(i, i)
            finish()
            layer.forward += (time.perf_counter() - before) * 1000 / iterations
        for layer, step in zip(reversed(times), reversed(steps), strict=True):
            before = time.perf_counter()
            step.layer.backward(step.top, step.propagate_down, step.bottom)
            finish()
            layer.backward += (time.perf_counter() - before) * 1000 / iterations
        done(number, (time.perf_counter() - began) * 1000)
    return times
