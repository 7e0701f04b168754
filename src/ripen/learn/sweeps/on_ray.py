"""Work on a Ray cluster: trials of a sweep, or folds of a model.

The files that it reads go into the cluster's object store once, and the code goes along.
"""

import atexit
import contextlib
import hashlib
import logging
import os
import socket
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

import caffe
import ripen
from ripen.core.errors import UsageError
from ripen.core.reproducibility import PORTABLE, THREADS

try:
    import ray
except ImportError:
    raise UsageError(
        "launcher=ray: Ray is not installed. Run: .venv/bin/pip install -e '.[ray]'"
    ) from None

ANSWER = 5.0  # seconds that a cluster has to answer in
Files = dict[str, Any]  # their bytes as uint8 arrays, by their paths in the repository
Task = TypeVar("Task")
Result = TypeVar("Result")


class Ray(Generic[Task, Result]):
    """Runs a function on the workers of a cluster.

    Parameters
    ----------
    function : callable
        Given a task it returns a result. It can be pickled, and so can they.
    files : sequence of Path
        The files that it reads, relative to the working folder. They go to each worker once.
    workers : int or None
        Tasks at once; None: one for each core of the cluster.
    address : str or None
        Of a cluster; None: one on this machine, which ends with this launcher.

    Raises
    ------
    UsageError
        If no cluster answers there.
    """

    def __init__(
        self,
        function: Callable[[Task], Result],
        files: Sequence[Path],
        workers: int | None,
        address: str | None,
    ) -> None:
        self._own = not ray.is_initialized()
        if self._own:
            connect(address)
        self._workers = workers or max(1, int(_resources()["CPU"]))
        content = {
            file.as_posix(): np.frombuffer(file.read_bytes(), np.uint8)
            for file in files
            if not file.is_absolute()  # which every machine must have
        }
        digest = hashlib.sha256()
        for name, array in content.items():
            digest.update(f"{name}\0{len(array)}\0".encode() + array.tobytes())
        self._data, self._digest = ray.put(content), digest.hexdigest()
        self._function = function
        self._remote = ray.remote(max_retries=0)(_run)
        self._running: dict[Any, int] = {}

    @property
    def room(self) -> int:
        """How many tasks may be submitted now."""
        return self._workers - len(self._running)

    def submit(self, number: int, task: Task) -> None:
        """Begin a task, known by a number."""
        # In a list, which Ray does not resolve: a worker that has the files does not fetch them.
        reference = self._remote.remote(self._function, task, self._digest, [self._data])
        self._running[reference] = number

    def done(self) -> list[tuple[int, Result | None]]:
        """Wait for at least one task; return the ended ones, None for one whose worker was lost.

        Raises
        ------
        Exception
            The exception of a task.
        """
        ended, _ = ray.wait(list(self._running), num_returns=1)
        return [(self._running.pop(reference), _result(reference)) for reference in ended]

    def close(self) -> None:
        """Leave the cluster."""
        if self._own:
            ray.shutdown()


def _answers(address: str) -> None:
    """Make sure that something listens at HOST:PORT: Ray itself would try for minutes.

    Raises
    ------
    OSError
        If nothing does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():  # or it is one of Ray's own words, such as "auto"
        socket.create_connection((host.strip("[]"), int(port)), ANSWER).close()


def connect(address: str | None) -> None:
    """Connect this process to a cluster; None starts one on this machine.

    Raises
    ------
    UsageError
        If none answers.
    """
    environment = {key: os.environ[key] for key in (*PORTABLE, *THREADS) if key in os.environ}
    modules = [package.__path__[0] for package in (caffe, ripen)]
    try:
        _answers(address or "")
        ray.init(
            address or "local",
            runtime_env={"py_modules": modules, "env_vars": environment},
            log_to_driver=False,
            logging_level=logging.ERROR,
            include_dashboard=None if address else False,
        )
    except (ConnectionError, OSError, OverflowError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"launcher.address={address}: no Ray cluster there: {reason}. On the first machine: "
            "ray start --head"
        ) from None


def _resources() -> dict[str, float]:
    found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return {"CPU": 1.0} | found


def _result(reference: Any) -> Any:
    lost = (
        ray.exceptions.WorkerCrashedError,
        ray.exceptions.NodeDiedError,
        ray.exceptions.OutOfMemoryError,
        ray.exceptions.ObjectLostError,
    )
    try:
        return ray.get(reference)
    except lost:
        return None
    except ray.exceptions.RayTaskError as error:  # whose text is a traceback
        raise error.cause from None


# Of this worker: the folder of the files, by their hash.
_folders: dict[str, Path] = {}


def _run(function: Callable[[Any], Any], task: Any, digest: str, data: list[Any]) -> Any:
    """Run a task on a worker."""
    if digest not in _folders:
        _folders[digest] = _written(ray.get(data[0]))
    # It reads files by their paths in the repository, which this machine need not have.
    with contextlib.chdir(_folders[digest]):
        return function(task)


def _written(files: Files) -> Path:
    """Write the files into a folder of the worker's."""
    kept = tempfile.TemporaryDirectory(prefix="ripen-ray-")
    atexit.register(kept.cleanup)
    folder = Path(kept.name)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.tobytes())
    return folder
