"""Fillers: the initial values of parameters (Caffe's filler.hpp)."""

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from caffe.blob import Blob
from caffe.errors import LayerError
from caffe.proto.caffe_pb2 import FillerParameter

Array = NDArray[np.float64]


def fill(blob: Blob, filler: FillerParameter, rng: np.random.Generator) -> None:
    """Fill a blob's values in place.

    Parameters
    ----------
    blob : Blob
        Of any shape; its first axis counts as the outputs in fan-in and fan-out.
    filler : FillerParameter
        Type and settings.
    rng : numpy.random.Generator
        Source of random numbers.

    Raises
    ------
    LayerError
        For an unknown type, or a shape that the type cannot fill.
    """
    if filler.type not in _FILLERS:
        raise LayerError(f"unknown filler type '{filler.type}'. Allowed: {', '.join(_FILLERS)}")
    if filler.sparse != -1 and filler.type != "gaussian":
        raise LayerError(f"{filler.type} filler: sparse={filler.sparse}. Only gaussian takes it")
    if blob.count:
        blob.tensor.copy_(torch.from_numpy(_FILLERS[filler.type](blob.shape, filler, rng)))


def _constant(shape: tuple[int, ...], filler: FillerParameter, rng: np.random.Generator) -> Array:
    return np.full(shape, filler.value)


def _uniform(shape: tuple[int, ...], filler: FillerParameter, rng: np.random.Generator) -> Array:
    return rng.uniform(filler.min, filler.max, shape)


def _gaussian(shape: tuple[int, ...], filler: FillerParameter, rng: np.random.Generator) -> Array:
    values = rng.normal(filler.mean, filler.std, shape)
    if filler.sparse >= 0:
        # On average `sparse` outputs of each input are not zero.
        values *= rng.random(shape) < filler.sparse / shape[0]
    return values


def _positive_unitball(
    shape: tuple[int, ...], filler: FillerParameter, rng: np.random.Generator
) -> Array:
    values = rng.random((shape[0], math.prod(shape[1:])))
    total: Array = values.sum(axis=1, keepdims=True)
    return (values / total).reshape(shape)


def _xavier(shape: tuple[int, ...], filler: FillerParameter, rng: np.random.Generator) -> Array:
    """Glorot and Bengio, 2010."""
    scale = math.sqrt(3.0 / _fan(shape, filler))
    return rng.uniform(-scale, scale, shape)


def _msra(shape: tuple[int, ...], filler: FillerParameter, rng: np.random.Generator) -> Array:
    """He, Zhang, Ren and Sun, 2015."""
    return rng.normal(0.0, math.sqrt(2.0 / _fan(shape, filler)), shape)


def _bilinear(shape: tuple[int, ...], filler: FillerParameter, rng: np.random.Generator) -> Array:
    """Return the weights with which a deconvolution interpolates bilinearly."""
    if len(shape) != 4 or shape[2] != shape[3]:
        raise LayerError(f"bilinear filler: needs shape (N, C, K, K), not {shape}")
    half = math.ceil(shape[3] / 2)
    centre = (2 * half - 1 - half % 2) / (2.0 * half)
    line = 1 - np.abs(np.arange(shape[3]) / half - centre)
    return np.broadcast_to(np.outer(line, line), shape).copy()


def _fan(shape: tuple[int, ...], filler: FillerParameter) -> float:
    count = math.prod(shape)
    fan_in = count / shape[0]
    fan_out = count / (shape[1] if len(shape) > 1 else 1)
    if filler.variance_norm == FillerParameter.AVERAGE:
        return (fan_in + fan_out) / 2
    return fan_out if filler.variance_norm == FillerParameter.FAN_OUT else fan_in


_FILLERS: dict[str, Callable[[tuple[int, ...], FillerParameter, np.random.Generator], Array]] = {
    "constant": _constant,
    "uniform": _uniform,
    "gaussian": _gaussian,
    "positive_unitball": _positive_unitball,
    "xavier": _xavier,
    "msra": _msra,
    "bilinear": _bilinear,
}
