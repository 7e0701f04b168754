"""ripen's own Caffe, in this process."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import caffe
from ripen.nets.engines import pycaffe


class TorchEngine:
    """Runs nets with the package `caffe` of this repository."""

    def solver(self, solver: Path, start: Path | None = None) -> pycaffe.Solving:
        return pycaffe.Solving(str(solver), None if start is None else str(start))

    def fed(self, solver: Path, deploy: Path, start: Path | None = None) -> pycaffe.Fed:
        return pycaffe.Fed(str(solver), None if start is None else str(start), str(deploy))

    def predict(
        self, deploy: Path, weights: Path, data: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        net = caffe.Net(str(deploy), caffe.TEST, weights=str(weights))
        return pycaffe.probabilities(net, data)
