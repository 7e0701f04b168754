"""Trials on a Ray cluster: the data is put into its object store once, the code goes along."""

import atexit
import hashlib
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import caffe
import ripen
from ripen.core.errors import UsageError
from ripen.core.reproducibility import PORTABLE, THREADS
from ripen.learn.sweeps.outcome import Outcome
from ripen.learn.sweeps.trial import Job, run

try:
    import ray
except ImportError:
    raise UsageError("launcher=ray: Ray is not installed. Run: pip install 'ripen[ray]'") from None

Files = dict[str, Any]  # bytes as uint8 arrays by the file's name


class Ray:
    """Runs trials on the workers of a cluster.

    Parameters
    ----------
    prepared : Path
        Folder of the prepared parts, which goes to each machine once.
    workers : int or None
        Trials at once, None for one for each core of the cluster.
    address : str or None
        Of a cluster, None for one of this machine, which ends with the sweep.
    """

    def __init__(self, prepared: Path, workers: int | None, address: str | None) -> None:
        self._own = not ray.is_initialized()
        if self._own:
            _connect(address)
        self._workers = workers or max(1, int(_resources()["CPU"]))
        files = {
            file.name: np.frombuffer(file.read_bytes(), np.uint8)
            for file in sorted(prepared.iterdir())
        }
        digest = hashlib.sha256(b"".join(array.tobytes() for array in files.values()))
        self._data, self._digest = ray.put(files), digest.hexdigest()
        self._remote = ray.remote(max_retries=0)(_run)
        self._running: dict[Any, int] = {}

    @property
    def room(self) -> int:
        return self._workers - len(self._running)

    def submit(self, trial: int, job: Job) -> None:
        # In a list, so that a worker which has the files already does not fetch them.
        self._running[self._remote.remote(job, self._digest, [self._data])] = trial

    def done(self) -> list[tuple[int, Outcome | None]]:
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


def _result(reference: Any) -> Outcome | None:
    lost = (
        ray.exceptions.WorkerCrashedError,
        ray.exceptions.NodeDiedError,
        ray.exceptions.OutOfMemoryError,
        ray.exceptions.ObjectLostError,
    )
    try:
        outcome: Outcome = ray.get(reference)
    except lost:
        return None
    return outcome


# Of this worker: the folder of the files, by their hash.
_folders: dict[str, Path] = {}


def _run(job: Job, digest: str, data: list[Any]) -> Outcome:
    """Run a trial on a worker."""
    if digest not in _folders:
        _folders[digest] = _written(ray.get(data[0]))
    return run(job, _folders[digest])


def _written(files: Files) -> Path:
    """Write the prepared parts into a folder of the worker's, and lists that name them there."""
    kept = tempfile.TemporaryDirectory(prefix="ripen-ray-")
    atexit.register(kept.cleanup)
    folder = Path(kept.name)
    for name, content in files.items():
        (folder / name).write_bytes(content.tobytes())
        if name.endswith(".h5"):
            (folder / name).with_suffix(".txt").write_text(f"{folder / name}\n")
    return folder
