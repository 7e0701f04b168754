"""A net's arguments from scripts: those of its constructor, and values for its blobs."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffe.blob import Blob
from caffe.errors import ArrayNeeded, CallError, NetError, ShapeError
from caffe.proto.caffe_pb2 import TEST, TRAIN


def net_options(given: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
    """Return Net's arguments by name: ``phase, level, stages, weights``, or ``weights, phase``.

    Raises
    ------
    CallError
        If an argument is given twice, there are too many, or the phase is missing.
    """
    old = given and isinstance(given[0], str | bytes | os.PathLike)
    names = ("weights", "phase") if old else ("phase", "level", "stages", "weights")
    twice = sorted(set(names[: len(given)]) & set(named))
    if len(given) > len(names) or twice:
        what = f"{', '.join(twice)} twice" if twice else f"{len(given)} arguments after the file"
        raise CallError(f"Net was given {what}. Allowed: phase, level, stages, weights")
    paths = [
        n for n, v in zip(names, given, strict=False) if isinstance(v, str | bytes | os.PathLike)
    ]
    if paths not in ([], ["weights"]):
        raise CallError(
            "Net(file, phase, ...) was given a path after the phase. Allowed for weights: "
            "Net(file, weights, phase) or Net(file, phase, weights=...)"
        )
    options = dict(zip(names, given, strict=False)) | named
    options = {name: value for name, value in options.items() if value is not None}
    if options.get("phase") in (TRAIN, TEST):
        options["phase"] = int(options["phase"])  # True counts as 1, as in C++
    else:
        came = f"is {options['phase']!r}" if "phase" in options else "is missing"
        raise CallError(f"Net(file, phase): the phase {came}. Allowed: caffe.TRAIN, TEST")
    if not isinstance(options.get("level", 0), int):
        raise CallError(f"Net(file, phase, level): the level is {options['level']!r}: a number")
    if isinstance(options.get("stages"), str):
        raise CallError(f"stages is '{options['stages']}'. Allowed: a list of names")
    return options


def listed(names: Iterable[str] | None) -> list[str]:
    """Return names of blobs as a list.

    Raises
    ------
    CallError
        If `names` is one string, whose letters would be taken for names.
    """
    if isinstance(names, str):
        raise CallError(f"blobs are '{names}'. Allowed: a list of names, ['{names}']")
    return list(names or ())


def set_inputs(
    blobs: Mapping[str, Blob], names: Sequence[str], given: Mapping[str, NDArray[Any]]
) -> None:
    """Write values into a net's input blobs, all of them.

    Raises
    ------
    NetError
        If the names are not those of the inputs.
    ShapeError
        As `assign`.
    """
    if set(given) != set(names):
        raise NetError(f"inputs {sorted(given)} do not match the net's inputs {sorted(names)}")
    for name, values in given.items():
        assign(name, blobs[name].data, values)


def assign(name: str, target: NDArray[Any], values: NDArray[Any]) -> None:
    """Write values into a blob's view by numpy's rules.

    Raises
    ------
    ArrayNeeded
        If `values` are neither an array nor a list, or one number.
    ShapeError
        If the first axes differ, or the values do not broadcast to the blob.
    """
    # As in pycaffe, anything with a shape: a torch tensor, an HDF5 dataset, a memoryview.
    if not (hasattr(values, "shape") or isinstance(values, list | tuple)):
        came = "None" if values is None else f"a {type(values).__name__}"
        raise ArrayNeeded(f"blob '{name}' was given {came}. Needed: an array of {target.shape}")
    shape = np.shape(values)
    if not shape and target.shape:
        raise ArrayNeeded(f"blob '{name}' was given one number. Needed: an array of {target.shape}")
    if shape[:1] != target.shape[:1]:
        raise ShapeError(
            f"blob '{name}' has shape {target.shape}; the values have {shape}. "
            "The first axis must be the same: reshape the blob first"
        )
    try:
        target[...] = values
    except ValueError:
        raise ShapeError(
            f"blob '{name}' has shape {target.shape}; the values have {shape}, "
            "which do not broadcast to it: reshape the blob first"
        ) from None
