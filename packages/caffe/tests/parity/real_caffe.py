"""Real Caffe 1.0 as a peer, called over a pipe.

>>> real.forward_backward(net_text, inputs={"data": x})["diff/data"]
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffe.real import Process

DRIVER = Path(__file__).with_name("real_driver.py")
Arrays = Mapping[str, NDArray[Any]]


class RealCaffe:
    """A process of real Caffe, started by the first call and again after a check has aborted it.

    Arrays are named ``data/<blob>``, ``diff/<blob>``, ``param/<layer>/<i>``,
    ``param_diff/<layer>/<i>``.

    Parameters
    ----------
    python : Path
        From `caffe.real.interpreter`.
    """

    def __init__(self, python: Path) -> None:
        self._process = Process(python, DRIVER, {"OMP_NUM_THREADS": "1"})

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
            Values of input blobs; gradients of output blobs that are not losses.
        params : mapping of str to ndarray
            By ``<layer>/<i>``.
        weights : Path
            A caffemodel.

        Raises
        ------
        RealCaffeRefused
            If real Caffe refuses the net.
        """
        given = _named("data", inputs) | _named("diff", diffs) | _named("param", params)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            (folder / "net.prototxt").write_text(net)
            request = {"phase": phase, "seed": seed, "backward": backward}
            request["weights"] = str(weights) if weights else None
            return self._run("forward_backward", folder, given, **request)

    def save(self, net: str, path: Path, params: Arrays) -> None:
        """Write a net with given weights to a caffemodel, binary or `.h5`."""
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
        """Run a net forward several times; return the named blobs of each pass.

        The i-th element of `inputs` holds the inputs of the i-th pass, of any shape.
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
        """Run Python code there; return its variable `result`, text or lists of numbers."""
        return self._call("script", Path(), code=code)["result"]

    def layer_types(self) -> list[str]:
        """Return its layer types."""
        return list(self._call("layer_types", Path())["types"])

    def names(self) -> dict[str, dict[str, list[str] | None]]:
        """Return the names in each part of pycaffe, with the parameters of Python functions."""
        with tempfile.TemporaryDirectory() as temporary:
            return self._call("names", Path(temporary))

    def descriptor(self) -> bytes:
        """Return its caffe.proto, a serialized FileDescriptorProto."""
        with tempfile.TemporaryDirectory() as temporary:
            self._call("descriptor", Path(temporary))
            return (Path(temporary) / "descriptor.bin").read_bytes()

    def upgrade(self, text: str, kind: str) -> bytes:
        """Return a NetParameter or SolverParameter after the upgrade, before anything is built."""
        return self._message("upgrade", text, kind=kind)

    def snapshot_prefix(self, text: str, path: str) -> bytes:
        """Return a SolverParameter with the snapshot prefix that it gets when read from a path."""
        return self._message("snapshot_prefix", text, path=path)

    def _message(self, call: str, text: str, **request: str) -> bytes:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            (folder / "in.prototxt").write_text(text)
            self._call(call, folder, **request)
            return (folder / "out.bin").read_bytes()

    def close(self) -> None:
        """End the process."""
        self._process.close()

    def _run(
        self, call: str, folder: Path, given: Arrays, **request: Any
    ) -> dict[str, NDArray[Any]]:
        np.savez(folder / "in.npz", **dict(given))  # type: ignore[arg-type]
        self._call(call, folder, **request)
        with np.load(folder / "out.npz") as found:
            return {name: found[name] for name in found.files}

    def _call(self, call: str, folder: Path, **request: Any) -> dict[str, Any]:
        return self._process.call(call, folder=str(folder), **request)


def _named(kind: str, arrays: Arrays | None) -> dict[str, NDArray[Any]]:
    return {f"{kind}/{name}": np.asarray(values) for name, values in (arrays or {}).items()}
