"""The interface of an engine, its two implementations, and the one that the settings name."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Protocol, Self, cast

import numpy as np
from numpy.typing import NDArray

import caffe
from caffe import real
from caffe.errors import RealCaffeRefused, RealCaffeUnavailable
from ripen.core.errors import EngineRefused, EngineUnavailable
from ripen.nets.device import on
from ripen.nets.engines import pycaffe
from ripen.nets.engines.pycaffe import Interval

SCRIPT = Path(__file__).with_name("pycaffe.py")  # which the process of real Caffe runs


class RunningSolver(Protocol):
    """A solver in an engine. It ends when the engine gets another."""

    def advance(self, iterations: int) -> Interval:
        """Train for some iterations, then validate."""

    def snapshot(self) -> None:
        """Write a snapshot of the solver."""


class FedSolver(Protocol):
    """A solver that trains on the images passed to each iteration, as `pycaffe.FedSolver`."""

    def step(
        self, data: NDArray[np.float32], labels: NDArray[np.float32], with_norm: bool
    ) -> tuple[float, float]:
        """Train for one iteration; return its loss and, with `with_norm`, the gradients' norm."""

    def probabilities(self, data: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the net's probabilities for images, shape (n, classes)."""

    def snapshot(self) -> None:
        """Write a snapshot of the solver."""


class Trainer(Protocol):
    """Trains Caffe nets."""

    def solver(self, solver: Path, start: Path | None = None) -> RunningSolver:
        """Start to train.

        Parameters
        ----------
        solver : Path
            A solver's prototxt with one test net; its paths are relative to the working folder.
        start : Path, optional
            A caffemodel with initial weights for the layers of the same names. The random initial
            weights of the other layers are the same in every engine.
        """


class Engine(Trainer, Protocol):
    """Runs Caffe nets. It reads and writes Caffe's own files only."""

    def fed_solver(self, solver: Path, deploy: Path, start: Path | None = None) -> FedSolver:
        """Start to train a net with a MemoryData layer; `deploy` is the net for inference."""

    def predict(
        self, deploy: Path, weights: Path, data: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return probabilities of shape (n, classes): a net's ``prob`` for its ``data``.

        All rows form one batch.
        """


@contextmanager
def chosen(name: str, device: str = "cpu") -> Iterator[Engine]:
    """Yield the engine that the settings name; its nets compute on their device.

    Raises
    ------
    EngineUnavailable
        If it is not installed and cannot be; the message says how to get it.
    DeviceError
        As `ripen.nets.device.on`.
    """
    if name == "torch":
        with on(device):
            yield TorchEngine()
        return
    with RealEngine() as engine:
        yield engine


class TorchEngine:
    """Ripen's own Caffe, in this process."""

    def solver(self, solver: Path, start: Path | None = None) -> pycaffe.RunningSolver:
        return pycaffe.RunningSolver(str(solver), None if start is None else str(start))

    def fed_solver(
        self, solver: Path, deploy: Path, start: Path | None = None
    ) -> pycaffe.FedSolver:
        return pycaffe.FedSolver(str(solver), None if start is None else str(start), str(deploy))

    def predict(
        self, deploy: Path, weights: Path, data: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        net = caffe.Net(str(deploy), caffe.TEST, weights=str(weights))
        return pycaffe.probabilities(net, data)


def interpreter() -> Path:
    """Return a Python that can import real Caffe; create its environment on first use.

    Raises
    ------
    EngineUnavailable
        If there is no CPython 3.9, or the wheels cannot be installed.
    """
    try:
        return real.interpreter()
    except RealCaffeUnavailable as reason:
        raise EngineUnavailable(f"{reason}; engine=torch runs without it") from None


class RealEngine:
    """Real Caffe 1.0 in a process of CPython 3.9, which lives as long as the `with` block.

    The process uses the numbers of threads in the environment variables OMP_NUM_THREADS and
    OPENBLAS_NUM_THREADS.

    Raises
    ------
    EngineUnavailable
        On entering, if real Caffe is not installed and cannot be.
    """

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._process = stack.enter_context(closing(real.Process(interpreter(), SCRIPT)))
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def solver(self, solver: Path, start: Path | None = None) -> "RealSolver":
        self._begin("solver", solver, start)
        return RealSolver(self)

    def fed_solver(self, solver: Path, deploy: Path, start: Path | None = None) -> "RealFedSolver":
        self._begin("fed_solver", solver, start, deploy=str(deploy))
        return RealFedSolver(self)

    def predict(
        self, deploy: Path, weights: Path, data: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        return self.answers("predict", data, deploy=str(deploy), weights=str(weights))

    def answers(self, call: str, data: NDArray[np.float32], **request: str) -> NDArray[np.float32]:
        """Return the array that a call computes from another."""
        found = self._folder / "found.npy"
        self.ask(call, data=self.file("data", data), found=str(found), **request)
        return np.asarray(np.load(found), np.float32)

    def file(self, name: str, values: NDArray[np.float32]) -> str:
        """Write an array to a file for the next call; return its path."""
        np.save(self._folder / f"{name}.npy", values)
        return str(self._folder / f"{name}.npy")

    def _begin(self, call: str, solver: Path, start: Path | None, **request: str) -> None:
        # Real Caffe's fillers draw other numbers: our own Caffe makes the initial weights for both.
        first = str(self._folder / "first.caffemodel")
        pycaffe.save_first_weights(str(solver), None if start is None else str(start), first)
        self.ask(call, solver=str(solver), start=first, **request)

    def ask(self, call: str, **request: Any) -> Any:
        """Return the result of a method of `pycaffe.Requests`.

        Raises
        ------
        EngineRefused
        """
        try:
            return self._process.call(call, **request)["result"]
        except RealCaffeRefused as refused:
            reason = " ".join(str(refused).split())
            raise EngineRefused(f"real Caffe 1.0 refuses: {reason}") from None


class RealSolver:
    """The newest solver of an engine."""

    def __init__(self, engine: RealEngine) -> None:
        self._engine = engine

    def advance(self, iterations: int) -> Interval:
        return cast(Interval, self._engine.ask("advance", iterations=iterations))

    def snapshot(self) -> None:
        self._engine.ask("snapshot")


class RealFedSolver:
    """The newest solver with a MemoryData layer of an engine."""

    def __init__(self, engine: RealEngine) -> None:
        self._engine = engine

    def step(
        self, data: NDArray[np.float32], labels: NDArray[np.float32], with_norm: bool
    ) -> tuple[float, float]:
        if labels.ndim > 1:
            raise EngineRefused(
                "real Caffe 1.0 takes one class an image from memory. For labels or numbers set "
                "engine to torch"
            )
        files = {"data": self._engine.file("data", data)}
        files["labels"] = self._engine.file("labels", labels)
        loss, norm = self._engine.ask("step", **files, with_norm=with_norm)
        return loss, norm

    def probabilities(self, data: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._engine.answers("probabilities", data)

    def snapshot(self) -> None:
        self._engine.ask("snapshot")
