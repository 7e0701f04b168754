"""ONNX files: read whole into memory, or refused in one line.

The package `onnx` is not a dependency of Caffe; it is imported where it is needed.
"""

import importlib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from caffe.errors import FormatError, NotInstalled, UnreadableError, naming
from caffe.formats import read_file, shown

LARGEST = 2**31 - 1  # bytes of any protobuf message
OLDEST = 7  # operator set; before, arithmetic broadcast otherwise, and ONNX Runtime runs none
Array = NDArray[Any]


def package(user: str) -> Any:
    """Return the package `onnx`.

    Raises
    ------
    NotInstalled
        If it is missing; `user` is the command that needs it.
    """
    try:
        importlib.import_module("onnx.shape_inference")
        return importlib.import_module("onnx")
    except ImportError:
        raise NotInstalled(f"{user} needs the package onnx: pip install onnx") from None


def read_model(path: str | os.PathLike[str]) -> Any:
    """Return a file's ModelProto, with the values of its external data.

    Raises
    ------
    FormatError
        If it is no ONNX model, of an operator set that the package `onnx` does not know, or its
        external data is outside its folder, missing or of another size.
    """
    onnx, file = package("import-onnx"), Path(path)
    if file.exists() and not file.is_file():
        raise UnreadableError(f"{shown(path)}: is no regular file")
    if file.exists() and file.stat().st_size > LARGEST:
        raise FormatError(
            f"{shown(path)}: has {file.stat().st_size} bytes. Allowed: {LARGEST}, protobuf's "
            "limit; keep the weights as external data"
        )
    model = onnx.ModelProto()
    try:
        model.ParseFromString(read_file(path))
    except DecodeError:
        raise FormatError(f"{shown(path)}: is no ONNX model, or is truncated") from None
    with naming(shown(path)):
        if not model.graph.node:
            raise FormatError("is no ONNX model: it holds no nodes")
        _check_version(onnx, model)
        for tensor in _tensors(model.graph):
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                _fetch(onnx, tensor, file.parent)
    return model


def _check_version(onnx: Any, model: Any) -> None:
    versions = [each.version for each in model.opset_import if each.domain in ("", "ai.onnx")]
    newest = onnx.defs.onnx_opset_version()
    if not versions or not OLDEST <= versions[0] <= newest:
        found = f"is {versions[0]}" if versions else "is missing"
        raise FormatError(
            f"the operator set {found}. Allowed: {OLDEST} to {newest} (by onnx "
            f"{onnx.__version__}); onnx.version_converter makes newer ones of older ones"
        )


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from [attribute.t, *attribute.tensors]


def _fetch(onnx: Any, tensor: Any, folder: Path) -> None:
    """Move a tensor's external data into its message."""
    entries = {each.key: each.value for each in tensor.external_data}
    location = entries.get("location", "")
    where = f"the external data of tensor '{tensor.name}', '{location}'"
    try:
        begin, length = int(entries.get("offset", 0)), int(entries.get("length", -1))
        file = (folder / location).resolve()
        inside = location and file.is_relative_to(folder.resolve()) and not os.path.isabs(location)
    except (ValueError, OSError, RuntimeError):  # a NUL, a link to itself, no number
        raise FormatError(f"{where}, is invalid") from None
    if not inside:
        raise FormatError(f"{where}, is outside the folder of the model. Allowed: files in it")
    if not file.is_file():
        raise UnreadableError(f"{where}, is missing")
    needed = math.prod(tensor.dims) * _bytes_each(onnx, tensor)
    length = needed if length < 0 else length
    if length != needed or begin < 0 or begin + length > file.stat().st_size:
        raise FormatError(f"{where}, has {length} bytes at {begin}; its shape needs {needed}")
    with file.open("rb") as content:
        content.seek(begin)
        tensor.raw_data = content.read(length)
    tensor.data_location = onnx.TensorProto.DEFAULT
    del tensor.external_data[:]


def _bytes_each(onnx: Any, tensor: Any) -> int:
    try:
        return int(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
    except (KeyError, TypeError):
        raise FormatError(f"tensor '{tensor.name}' is of an unknown type") from None


def array(tensor: Any) -> Array:
    """Return a TensorProto's values; reals as float32 or float64.

    Raises
    ------
    FormatError
        If they are no numbers, or do not fit their shape.
    """
    try:
        found: Array = importlib.import_module("onnx.numpy_helper").to_array(tensor)
        if found.dtype.kind not in "fiub":  # bfloat16 and its like
            found = found.astype(np.float32)
    except Exception as error:  # of any kind, for a damaged one
        reason = str(error).partition("\n")[0]
        raise FormatError(f"tensor '{tensor.name}' is invalid: {reason}") from None
    return found
