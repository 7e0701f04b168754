"""Real Caffe 1.0 on a CPython 3.9 of its own, which reads and writes Caffe's files."""

import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from ripen.engines import pycaffe
from ripen.engines.environment import SCRIPT, interpreter
from ripen.engines.process import Process
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
        # Its fillers would draw other numbers: the first weights are ours, whatever the engine.
        first = self._folder / "first.caffemodel"
        pycaffe.Solving(str(solver), None if start is None else str(start)).save(str(first))
        self.ask("solver", solver=str(solver), start=str(first))
        return RealSolving(self)

    def predict(
        self, deploy: Path, weights: Path, data: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        given, found = self._folder / "data.npy", self._folder / "prob.npy"
        np.save(given, data)
        paths = {"deploy": deploy, "weights": weights, "data": given, "found": found}
        self.ask("predict", **{name: str(path) for name, path in paths.items()})
        return np.asarray(np.load(found), np.float32)

    def ask(self, call: str, **request: Any) -> Any:
        """Return what `pycaffe.Requests` gives.

        Raises
        ------
        EngineRefused
        """
        try:
            return self._process.ask(call, **request)["result"]
        except EngineRefused as refused:
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
