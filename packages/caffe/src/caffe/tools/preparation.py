"""Shared by `classify` and `detect`: the flags of the net and of image preprocessing."""

import io
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffe.device import set_mode_cpu, set_mode_gpu
from caffe.errors import FormatError, InputError
from caffe.formats import read_file
from caffe.tools.flags import Flags
from caffe.transform import read_mean


def add_flags(flags: Flags) -> None:
    """Add the flags of pycaffe's scripts."""
    flags.add("model_def", "", "definition of the net; required")
    flags.add("pretrained_model", "", "caffemodel; required")
    flags.add("gpu", False, "compute on a GPU")
    flags.add("mean_file", "ilsvrc_2012_mean.npy", ".npy or .binaryproto; '' for none")
    flags.add("input_scale", "", "factor of the preprocessed image")
    flags.add("raw_scale", 255.0, "factor of the image in [0, 1], applied first")
    flags.add("channel_swap", "2,1,0", "order of the channels; the default is BGR; '' for RGB")


def settings(found: Namespace) -> dict[str, Any]:
    """Return the flags as the arguments of Classifier and Detector, and set the mode.

    Raises
    ------
    CaffeError
        If a flag is missing or wrong, or the mean cannot be read.
    """
    for name in ("model_def", "pretrained_model"):
        if not getattr(found, name):
            raise InputError(f"--{name} is required")
    if found.gpu:
        set_mode_gpu()
    else:
        set_mode_cpu()
    return {
        "model_file": found.model_def,
        "pretrained_file": found.pretrained_model,
        "mean": read_mean_array(found.mean_file) if found.mean_file else None,
        "input_scale": _number("input_scale", found.input_scale) if found.input_scale else None,
        "raw_scale": found.raw_scale,
        "channel_swap": whole_numbers("channel_swap", found.channel_swap) or None,
    }


def read_mean_array(path: str) -> NDArray[Any]:
    """Read a mean of shape (K, H, W) from ``.npy``, or from Caffe's own ``.binaryproto``.

    Raises
    ------
    FormatError
        If it cannot be read, or holds anything but numbers.
    """
    if Path(path).suffix != ".npy":
        return read_mean(path)
    try:
        return read_array(path)
    except FormatError as error:
        raise FormatError(f"{error} (use --mean_file '' for none)") from None


def read_array(path: str) -> NDArray[Any]:
    """Read numbers from a ``.npy`` file; pickled objects are refused.

    Raises
    ------
    FormatError
        If it cannot be read, or holds anything but numbers.
    """
    content = io.BytesIO(read_file(path))
    try:
        values = np.load(content, allow_pickle=False)
    except Exception as error:  # numpy raises errors of any type for a damaged header
        raise FormatError(f"{path}: cannot be read: {str(error) or 'it is damaged'}") from None
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiub":
        raise FormatError(f"{path}: holds no array of numbers")
    return values


def whole_numbers(name: str, text: str) -> list[int]:
    """Return the numbers of a flag such as ``256,256``.

    Raises
    ------
    InputError
        If it contains anything else.
    """
    try:
        return [int(part) for part in text.split(",")] if text else []
    except ValueError:
        raise InputError(f"--{name} {text}: must be integers separated by commas") from None


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--{name} {text}: must be a number") from None
