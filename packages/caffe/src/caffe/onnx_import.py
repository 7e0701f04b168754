"""A net from ONNX, the other way round than `onnx_export`.

Each type of node has a writer in `onnx_operators`, `onnx_windows` or `onnx_layouts`; `onnx_file`
reads the file and `onnx_nodes` does what shapes and constants decide.
"""

import importlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

import caffe
from caffe import (  # noqa: F401 - they register their writers
    onnx_layouts,
    onnx_operators,
    onnx_windows,
)
from caffe.errors import CaffeError, FormatError, first_line, naming
from caffe.formats import blob_array, shown
from caffe.onnx_file import LARGEST, read_model
from caffe.onnx_nodes import Graph
from caffe.proto.caffe_pb2 import NetParameter

TOLERANCE = 1e-4  # of the largest output


@dataclass(frozen=True)
class Imported:
    """A net that was read from ONNX.

    Attributes
    ----------
    net : NetParameter
        Definition and weights, as a caffemodel has them.
    difference : float or None
        Between its outputs and ONNX Runtime's for random inputs, relative to the largest output;
        None if that is not installed, or the model too large for it.
    """

    net: NetParameter
    difference: float | None = None

    def definition(self) -> NetParameter:
        """Return the net without its weights, as a prototxt has it."""
        plain = NetParameter()
        plain.CopyFrom(self.net)
        for layer in plain.layer:
            layer.ClearField("blobs")
        return plain

    def filled(self) -> caffe.Net:
        """Return the net in the test phase with its weights.

        Raises
        ------
        FormatError
            If weights do not fit the shapes of the inputs.
        """
        made = caffe.Net(self.definition(), caffe.TEST)
        for layer in self.net.layer:
            for stored, blob in zip(layer.blobs, made.params.get(layer.name, ()), strict=False):
                values = blob_array(stored)
                if values.shape != blob.shape:
                    raise FormatError(
                        f"node '{layer.name}' ({layer.type}) has weights of shape {values.shape}; "
                        f"its input needs {blob.shape}"
                    )
                blob.data[...] = values
        return made


def read(path: str | os.PathLike[str], sizes: Sequence[int] = ()) -> Imported:
    """Read an ONNX model as a net.

    Parameters
    ----------
    path : path
        External data must be in its folder.
    sizes : sequence of int
        Of the axes that the model leaves open in its inputs, with 0 for those that it does not; an
        open first axis is 1 by default.

    Raises
    ------
    NotInstalled
        If the package `onnx` is missing.
    FormatError
        If the file is invalid, a node has no counterpart in Caffe (the message names it), or the
        net's outputs differ from ONNX Runtime's.
    """
    model = read_model(path)
    with naming(shown(path)), _printable():
        graph = Graph(model, sizes)
        net = Imported(graph.net).filled()
        found = _difference(model, net, [each.name for each in model.graph.output])
        if found is not None and not found <= TOLERANCE:
            raise FormatError(
                f"the net's outputs differ from ONNX Runtime's by {found:.2g} of the largest. "
                f"Allowed: {TOLERANCE:g}"
            )
    return Imported(graph.net, found)


@contextmanager
def _printable() -> Iterator[None]:
    """Escape control characters in errors: they quote the file's names."""
    try:
        yield
    except CaffeError as error:
        if str(error).isprintable():
            raise
        raise FormatError(shown(str(error))) from None


def _difference(model: Any, net: caffe.Net, outputs: list[str]) -> float | None:
    try:
        onnxruntime: Any = importlib.import_module("onnxruntime")
    except ImportError:
        return None
    if model.ByteSize() > LARGEST:
        return None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        random = np.random.default_rng(0)
        given: dict[str, Any] = {
            n: random.normal(size=net.blobs[n].shape).astype(np.float32) for n in net.inputs
        }
        expected = session.run(outputs, given)
    except Exception as error:  # of its own kinds
        raise FormatError(f"ONNX Runtime refuses it: {first_line(error)}") from None
    net.forward(**given)
    differences = [0.0]
    for name, theirs in zip(outputs, expected, strict=True):
        ours = net.blobs[name].data
        if ours.shape != theirs.shape:
            raise FormatError(f"the net's '{name}' is {ours.shape}, ONNX Runtime's {theirs.shape}")
        finite = np.isfinite(theirs)
        if not (finite == np.isfinite(ours)).all():
            return float("inf")
        largest = max(float(np.abs(theirs[finite]).max(initial=0)), 1e-30)
        differences.append(float(np.abs(ours - theirs)[finite].max(initial=0)) / largest)
    return max(differences)
