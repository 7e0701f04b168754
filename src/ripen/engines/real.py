"""Real Caffe 1.0 on a CPython 3.9 of its own, which reads and writes Caffe's files."""

import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from caffe.errors import RealCaffeRefused
from caffe.real import Process
from ripen.engines import pycaffe
from ripen.engines.environment import SCRIPT, interpreter
from ripen.errors import EngineRefused


class RealEngine:
    """One process of real Caffe, for as long as the `with` block lasts.

    Its threads are those that the environment names (OMP_NUM_THREADS, OPENBLAS_NUM_THREADS).

    Raises
    ------
    EngineUnavailable
        On entering, where real Caffe cannot be had.
    """

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._process = stack.enter_context(closing(Process(interpreter(), SCRIPT)))
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            self._open = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def solver(self, solver: Path, start: Path | None = None) -> "RealSolving":
        self._begin("solver", solver, start)
        return RealSolving(self)

    def fed(self, solver: Path, deploy: Path, start: Path | None = None) -> "RealFed":
        self._begin("fed", solver, start, deploy=str(deploy))
        return RealFed(self)

    def predict(
        self, deploy: Path, weights: Path, data: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        return self.answers("predict", data, deploy=str(deploy), weights=str(weights))

    def answers(self, call: str, data: NDArray[np.float32], **request: str) -> NDArray[np.float32]:
        """Return the array that a call makes of one."""
        found = self._folder / "found.npy"
        self.ask(call, data=self.file("data", data), found=str(found), **request)
        return np.asarray(np.load(found), np.float32)

    def file(self, name: str, values: NDArray[np.float32]) -> str:
        """Write an array for the next call; return its file."""
        np.save(self._folder / f"{name}.npy", values)
        return str(self._folder / f"{name}.npy")

    def _begin(self, call: str, solver: Path, start: Path | None, **request: str) -> None:
        # Its fillers would draw other numbers: the first weights are ours, whatever the engine.
        first = str(self._folder / "first.caffemodel")
        pycaffe.save_first_weights(str(solver), None if start is None else str(start), first)
        self.ask(call, solver=str(solver), start=first, **request)

    def ask(self, call: str, **request: Any) -> Any:
        """Return what `pycaffe.Requests` gives.

        Raises
        ------
        EngineRefused
        """
        try:
            return self._process.call(call, **request)["result"]
        except RealCaffeRefused as refused:
            reason = " ".join(str(refused).split())
            raise EngineRefused(f"real Caffe 1.0 does not take it: {reason}") from None


class RealSolving:
    """The solver that an engine was last given, at work there."""

    def __init__(self, engine: RealEngine) -> None:
        self._engine = engine

    def advance(self, iterations: int) -> pycaffe.Stretch:
        return cast(pycaffe.Stretch, self._engine.ask("advance", iterations=iterations))

    def snapshot(self) -> None:
        self._engine.ask("snapshot")


class RealFed:
    """The solver that an engine was last given, fed there."""

    def __init__(self, engine: RealEngine) -> None:
        self._engine = engine

    def step(
        self, data: NDArray[np.float32], labels: NDArray[np.float32], look: bool
    ) -> tuple[float, float]:
        files = {"data": self._engine.file("data", data)}
        files["labels"] = self._engine.file("labels", labels)
        loss, norm = self._engine.ask("step", **files, look=look)
        return loss, norm

    def probabilities(self, data: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._engine.answers("probabilities", data)

    def snapshot(self) -> None:
        self._engine.ask("snapshot")
