"""Real Caffe 1.0 beside this one: its own CPython 3.9, and a process of it to compare with.

>>> process = Process(interpreter(), Path("driver.py"))
>>> process.call("forward", net="deploy.prototxt")["prob"]

The only wheel of BVLC's source on PyPI is built for CPython 3.9, so real Caffe never runs in the
same process. This module needs the standard library alone.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from caffe.errors import RealCaffeRefused, RealCaffeUnavailable

VARIABLE = "RIPEN_REAL_CAFFE_PYTHON"

# All of them pinned, dependencies included: the peer must not change under the tests.
WHEELS = (
    "imageio==2.37.2",
    "kendryte-caffe==1.0.0.20210829",
    "lazy-loader==0.6",
    "networkx==3.2.1",
    "numpy==1.26.4",
    "packaging==26.3",
    "pillow==11.3.0",
    "protobuf==3.20.3",
    "scikit-image==0.24.0",
    "scipy==1.13.1",
    "six==1.17.0",
    "tifffile==2024.8.30",
)


def interpreter() -> Path:
    """Return a Python that can import real Caffe; create its environment on first use.

    The environment is in the user's cache folder, named by a hash of `WHEELS`. The environment
    variable RIPEN_REAL_CAFFE_PYTHON names another Python that already has Caffe.

    Raises
    ------
    RealCaffeUnavailable
        If there is no CPython 3.9, or the wheels cannot be installed.
    """
    if given := os.environ.get(VARIABLE):
        if not os.access(given, os.X_OK):
            raise RealCaffeUnavailable(f"{VARIABLE} is '{given}': no such program")
        return Path(given)
    folder = _folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(Path(f"{folder}.lock")):
        # The mark is the last file written: an installation that was killed starts again.
        if not (folder / "complete").exists():
            _install(_python39(), folder)
    return folder / "bin" / "python"


def installed() -> Path | None:
    """Return the Python that `interpreter` would, where nothing has to be installed for it."""
    python = Path(os.environ.get(VARIABLE) or _folder() / "bin" / "python")
    whole = VARIABLE in os.environ or (_folder() / "complete").exists()
    return python if whole and os.access(python, os.X_OK) else None


def _folder() -> Path:
    """Return where the environment is, or will be: named by its packages."""
    digest = hashlib.sha256("\n".join(WHEELS).encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "ripen" / f"real-caffe-{digest}"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that test processes running at the same time wait for."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _python39() -> str:
    uv = shutil.which("uv")
    candidates = [
        shutil.which("python3.9"),
        *sorted(map(str, Path.home().glob(".pyenv/versions/3.9*/bin/python"))),
        uv and _output(uv, "python", "find", "--no-python-downloads", "3.9"),
    ]
    for python in filter(None, candidates):
        # pyenv's shim `python3.9` exists even where no 3.9 is active, and then only fails.
        if _output(python, "-c", "import sys; print(sys.version_info[:2])") == "(3, 9)":
            return python
    raise RealCaffeUnavailable(
        "real Caffe 1.0 needs CPython 3.9, which was not found. Install it with 'uv python install "
        f"3.9' or 'pyenv install 3.9', or set {VARIABLE} to a Python that already has Caffe"
    )


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _install(python: str, folder: Path) -> None:
    print(f"creating an environment for real Caffe 1.0, once: {folder}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    pip = [str(folder / "bin" / "python"), "-I", "-m", "pip", "--disable-pip-version-check"]
    for command in (
        [python, "-I", "-m", "venv", str(folder)],
        [*pip, "install", "--quiet", "--only-binary", ":all:", *WHEELS],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines()
            reason = lines[-1] if lines else f"exit status {done.returncode}"
            raise RealCaffeUnavailable(
                f"real Caffe 1.0 cannot be installed: {reason}. "
                f"Or set {VARIABLE} to a Python that already has Caffe"
            )
    (folder / "complete").touch()


class Process:
    """A script on another Python that answers requests: one line of JSON each way.

    It starts with the first call, and again with the next one after it ended.

    Parameters
    ----------
    python, script : Path
    environment : mapping of str to str
        Variables in addition to those of this process.
    """

    def __init__(
        self, python: Path, script: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        # Isolated: neither PYTHONPATH nor the script's folder may put another `caffe` first.
        self._command = [str(python), "-I", str(script)]
        self._environment = {"GLOG_minloglevel": "2", **(environment or {})}
        self._process: subprocess.Popen[str] | None = None
        # Closed by `close`. A pipe instead of a file would block the script once it is full.
        self._log = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115

    def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Return the answer to a request.

        Raises
        ------
        RealCaffeRefused
            With the error that the script answered, or the last fatal line of a process that
            ended: real Caffe aborts when one of its checks fails.
        """
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps({"call": name, **arguments}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RealCaffeRefused(self._ended(process))
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RealCaffeRefused(answer["error"])
        return answer

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._ended(self._process)
        self._log.close()

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._log.seek(0)
            self._log.truncate()
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
                env=os.environ | self._environment,
            )
        return self._process

    def _ended(self, process: subprocess.Popen[str]) -> str:
        """Wait for the end; return the last fatal line, else the last line, else the status."""
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):  # a request still in the buffer of a dead process
            process.stdin.close()
        process.stdout.close()
        status = process.wait()
        self._process = None
        self._log.seek(0)
        lines = [line.strip() for line in self._log if line.strip()]
        fatal = [line for line in lines if re.match(r"F(\d{4}){1,2} ", line)]  # glog's stamp
        return (fatal or lines or [f"ended with status {status}"])[-1]
