"""Trials on a Ray cluster: the data goes into its object store once, and the code goes along."""

import atexit
import contextlib
import hashlib
import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import caffe
import ripen
from ripen.core.errors import UsageError
from ripen.core.reproducibility import PORTABLE, THREADS
from ripen.learn.sweeps.trial import Result, TrialSpec, run

try:
    import ray
except ImportError:
    raise UsageError(
        "launcher=ray: Ray is not installed. Run: .venv/bin/pip install -e '.[ray]'"
    ) from None

Files = dict[str, Any]  # their bytes as uint8 arrays, by their paths in the repository


class Ray:
    """Runs trials on the workers of a cluster.

    Parameters
    ----------
    files : sequence of Path
        The files that trials read, relative to the working folder. They go to each worker once.
    workers : int or None
        Trials at once; None: one for each core of the cluster.
    address : str or None
        Of a cluster; None: one on this machine, which ends with the sweep.
    """

    def __init__(self, files: Sequence[Path], workers: int | None, address: str | None) -> None:
        self._own = not ray.is_initialized()
        if self._own:
            _connect(address)
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
        self._remote = ray.remote(max_retries=0)(_run)
        self._running: dict[Any, int] = {}

    @property
    def room(self) -> int:
        return self._workers - len(self._running)

    def submit(self, trial: int, spec: TrialSpec) -> None:
        # In a list, which Ray does not resolve: a worker that has the files does not fetch them.
        self._running[self._remote.remote(spec, self._digest, [self._data])] = trial

    def done(self) -> list[tuple[int, Result | None]]:
        ended, _ = ray.wait(list(self._running), num_returns=1)
        return [(self._running.pop(reference), _result(reference)) for reference in ended]

    def close(self) -> None:
        if self._own:
            ray.shutdown()


def _connect(address: str | None) -> None:
    environment = {key: os.environ[key] for key in (*PORTABLE, *THREADS) if key in os.environ}
    modules = [package.__path__[0] for package in (caffe, ripen)]
    try:
        ray.init(
            address or "local",
            runtime_env={"py_modules": modules, "env_vars": environment},
            log_to_driver=False,
            logging_level=logging.ERROR,
            include_dashboard=None if address else False,
        )
    except (ConnectionError, OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"launcher.address={address}: no Ray cluster there: {reason}") from None


def _resources() -> dict[str, float]:
    found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return {"CPU": 1.0} | found


def _result(reference: Any) -> Result | None:
    lost = (
        ray.exceptions.WorkerCrashedError,
        ray.exceptions.NodeDiedError,
        ray.exceptions.OutOfMemoryError,
        ray.exceptions.ObjectLostError,
    )
    try:
        result: Result = ray.get(reference)
    except lost:
        return None
    return result


# Of this worker: the folder of the files, by their hash.
_folders: dict[str, Path] = {}


def _run(spec: TrialSpec, digest: str, data: list[Any]) -> Result:
    """Run a trial on a worker."""
    if digest not in _folders:
        _folders[digest] = _written(ray.get(data[0]))
    # A trial reads files by their paths in the repository, which this machine need not have.
    with contextlib.chdir(_folders[digest]):
        return run(spec)


def _written(files: Files) -> Path:
    """Write the files into a folder of the worker's."""
    kept = tempfile.TemporaryDirectory(prefix="ripen-ray-")
    atexit.register(kept.cleanup)
    folder = Path(kept.name)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.tobytes())
    return folder
