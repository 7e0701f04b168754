"""Real Caffe 1.0 as a peer: found or installed once, and asked over a pipe.

>>> real.forward_backward(net_text, inputs={"data": x})["diff/data"]
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import filelock
import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements-real-caffe.txt"
VARIABLE = "RIPEN_REAL_CAFFE_PYTHON"
Arrays = Mapping[str, NDArray[Any]]


class Unavailable(Exception):
    """Real Caffe cannot be had here; the message says why."""


class Refused(Exception):
    """Real Caffe refused what it was given; the message is its last fatal line."""


def interpreter() -> Path:
    """Return a Python that can import real Caffe; make its environment where there is none.

    Raises
    ------
    Unavailable
        If there is no CPython 3.9, or the wheel cannot be installed.
    """
    if given := os.environ.get(VARIABLE):
        return Path(given)
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    folder = Path.home() / ".cache" / "ripen" / f"real-caffe-{digest}"
    python = folder / "bin" / "python"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            _install(_python39(), folder)
    return python


def _python39() -> str:
    uv = shutil.which("uv")
    found = [
        shutil.which("python3.9"),
        *sorted(map(str, Path.home().glob(".pyenv/versions/3.9*/bin/python"))),
        uv and _output(uv, "python", "find", "--no-python-downloads", "3.9"),
    ]
    for python in filter(None, found):
        if _output(python, "-c", "import sys; print(sys.version_info[:2])") == "(3, 9)":
            return python
    raise Unavailable(f"no CPython 3.9 for real Caffe, and {VARIABLE} is not set")


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _install(python: str, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    for command in ([python, "-m", "venv", str(folder)], [*pip, "-r", str(REQUIREMENTS)]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
            raise Unavailable(f"real Caffe cannot be installed: {reason[0]}")
    (folder / "complete").touch()


class RealCaffe:
    """One process of real Caffe, started when first asked and again after it refused something.

    Arrays are named ``data/<blob>``, ``diff/<blob>``, ``param/<layer>/<i>``,
    ``param_diff/<layer>/<i>``.

    Parameters
    ----------
    python : Path
        From `interpreter`.
    """

    def __init__(self, python: Path) -> None:
        self._python = python
        self._process: subprocess.Popen[str] | None = None
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - as long as this object

    def forward_backward(
        self,
        net: str,
        inputs: Arrays | None = None,
        params: Arrays | None = None,
        diffs: Arrays | None = None,
        *,
        phase: int = 0,
        seed: int | None = None,
        backward: bool = True,
        weights: Path | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Run a net once; return all its arrays.

        Parameters
        ----------
        net : str
            Prototxt.
        inputs, diffs : mapping of str to ndarray
            Values of input blobs; gradients of output blobs that are no loss.
        params : mapping of str to ndarray
            By ``<layer>/<i>``.
        weights : Path
            A caffemodel.

        Raises
        ------
        Refused
            If real Caffe does not take the net.
        """
        given = _named("data", inputs) | _named("diff", diffs) | _named("param", params)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            (folder / "net.prototxt").write_text(net)
            request = {"phase": phase, "seed": seed, "backward": backward}
            request["weights"] = str(weights) if weights else None
            return self._run("forward_backward", folder, given, **request)

    def save(self, net: str, path: Path, params: Arrays) -> None:
        """Write a net with given weights to a caffemodel, or a `.h5` one."""
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            (folder / "net.prototxt").write_text(net)
            self._run("save_weights", folder, _named("param", params), path=str(path))

    def train(
        self,
        folder: Path,
        steps: int,
        inputs: Arrays | None = None,
        params: Arrays | None = None,
        *,
        restore: Path | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Run a folder's ``solver.prototxt``; return all arrays and ``losses``."""
        given = _named("data", inputs) | _named("param", params)
        request = {"solver": "solver.prototxt", "steps": steps}
        return self._run("train", folder, given, restore=str(restore or ""), **request)

    def snapshot_after(
        self, folder: Path, steps: int, inputs: Arrays, params: Arrays
    ) -> dict[str, NDArray[Any]]:
        """Run a folder's ``solver.prototxt``, then let it write its snapshot."""
        given = _named("data", inputs) | _named("param", params)
        return self._run("snapshot_after", folder, given, solver="solver.prototxt", steps=steps)

    def passes(
        self,
        net: str,
        count: int,
        blobs: list[str],
        phase: int = 0,
        inputs: Sequence[Arrays] = (),
        params: Arrays | None = None,
    ) -> list[dict[str, NDArray[Any]]]:
        """Run a net forward several times; return those blobs of each pass.

        The i-th of `inputs` holds what the i-th pass is given, of any shape.
        """
        given = _named("param", params)
        for i, arrays in enumerate(inputs):
            given |= _named(str(i), arrays)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            (folder / "net.prototxt").write_text(net)
            found = self._run("passes", folder, given, phase=phase, count=count, blobs=blobs)
        return [{name: found[f"{i}/{name}"] for name in blobs} for i in range(count)]

    def script(self, code: str) -> Any:
        """Run Python code there; return what it calls `result`, text or lists of numbers."""
        return self._ask("script", Path(), code=code)["result"]

    def layer_types(self) -> list[str]:
        """Return the types of layers that it has."""
        return list(self._ask("layer_types", Path())["types"])

    def names(self) -> dict[str, dict[str, list[str] | None]]:
        """Return what each part of pycaffe offers, with the parameters of Python functions."""
        with tempfile.TemporaryDirectory() as temporary:
            return self._ask("names", Path(temporary))

    def descriptor(self) -> bytes:
        """Return its caffe.proto, a serialized FileDescriptorProto."""
        with tempfile.TemporaryDirectory() as temporary:
            self._ask("descriptor", Path(temporary))
            return (Path(temporary) / "descriptor.bin").read_bytes()

    def upgrade(self, text: str, kind: str) -> bytes:
        """Return a NetParameter or SolverParameter as it is before anything is built from it."""
        return self._message("upgrade", text, kind=kind)

    def snapshot_prefix(self, text: str, path: str) -> bytes:
        """Return a SolverParameter with the prefix of snapshots that it has if read from a path."""
        return self._message("snapshot_prefix", text, path=path)

    def _message(self, call: str, text: str, **request: str) -> bytes:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            (folder / "in.prototxt").write_text(text)
            self._ask(call, folder, **request)
            return (folder / "out.bin").read_bytes()

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.close()
            self._process.stdout.close()
            self._process.wait()
            self._process = None
        self._log.close()

    def _run(
        self, call: str, folder: Path, given: Arrays, **request: Any
    ) -> dict[str, NDArray[Any]]:
        np.savez(folder / "in.npz", **dict(given))  # type: ignore[arg-type]
        self._ask(call, folder, **request)
        with np.load(folder / "out.npz") as found:
            return {name: found[name] for name in found.files}

    def _ask(self, call: str, folder: Path, **request: Any) -> dict[str, Any]:
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"call": call, "folder": str(folder), **request}) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise Refused(self._ended(process))
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._log.seek(0)
            self._log.truncate()
            self._process = subprocess.Popen(
                [str(self._python), str(HERE / "real_driver.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
                env={**_plain_environment(), "OMP_NUM_THREADS": "1", "GLOG_minloglevel": "2"},
            )
        return self._process

    def _ended(self, process: subprocess.Popen[str]) -> str:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.stdout.close()
        status = process.wait()
        self._process = None
        self._log.seek(0)
        fatal = [line for line in self._log if line.startswith("F")]
        return fatal[-1].strip() if fatal else f"real Caffe ended with status {status}"


def _plain_environment() -> dict[str, str]:
    """Our environment without what points Python at our packages."""
    return {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}


def _named(kind: str, arrays: Arrays | None) -> dict[str, NDArray[Any]]:
    return {f"{kind}/{name}": np.asarray(values) for name, values in (arrays or {}).items()}
