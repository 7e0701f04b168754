"""What an engine is, and the one that the settings name."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ripen.nets.engines.pycaffe import Stretch
from ripen.nets.engines.real import RealEngine
from ripen.nets.engines.torch import TorchEngine


class Solving(Protocol):
    """A solver at work in an engine, until the engine is given another."""

    def advance(self, iterations: int) -> Stretch:
        """Train for some iterations, then validate."""

    def snapshot(self) -> None:
        """Let the solver write its snapshot."""


class Fed(Protocol):
    """A solver at work that is given the pictures of each iteration (`ripen.nets.engines.pycaffe`)."""

    def step(
        self, data: NDArray[np.float32], labels: NDArray[np.float32], look: bool
    ) -> tuple[float, float]:
        """Train for one iteration; return its loss and, if asked to look, the gradients' norm."""

    def probabilities(self, data: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the net makes of pictures by now, shape (n, classes)."""

    def snapshot(self) -> None:
        """Let the solver write its snapshot."""


class Trainer(Protocol):
    """Who trains a Caffe net."""

    def solver(self, solver: Path, start: Path | None = None) -> Solving:
        """Begin to train.

        Parameters
        ----------
        solver : Path
            A solver's prototxt with one test net, its paths relative to the working folder.
        start : Path, optional
            The caffemodel whose weights the layers of the same names begin with; what is filled
            at random is the same in every engine.
        """


class Engine(Trainer, Protocol):
    """Who runs Caffe nets. All that it reads and writes are Caffe's own files."""

    def fed(self, solver: Path, deploy: Path, start: Path | None = None) -> Fed:
        """Begin to train a net whose MemoryData layer is fed; `deploy` is the net that answers."""

    def predict(
        self, deploy: Path, weights: Path, data: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return probabilities of shape (n, classes): a net's ``prob`` of its ``data``.

        All rows go through the net as one batch.
        """


@dataclass(frozen=True)
class Answering:
    """A trained net in an engine."""

    engine: Engine
    deploy: Path
    weights: Path

    def predict_proba(self, data: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities, shape (n, classes), of scaled rows of the input's shape."""
        return self.engine.predict(self.deploy, self.weights, data)


@contextmanager
def chosen(name: str) -> Iterator[Engine]:
    """Yield the engine that the settings name.

    Parameters
    ----------
    name : "torch" or "real"

    Raises
    ------
    EngineUnavailable
        Where it cannot be had; says how to get it.
    """
    if name == "torch":
        yield TorchEngine()
        return
    with RealEngine() as engine:
        yield engine
