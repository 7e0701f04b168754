"""Fillers: the initial values of parameters (Caffe's filler.hpp)."""

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray

from caffe.blob import Blob
from caffe.errors import LayerError
from caffe.proto.caffe_pb2 import FillerParameter

Array = NDArray[np.float64]
Shape = tuple[int, ...]
_PIECE = 2**20  # numbers


def fill(blob: Blob, filler: FillerParameter, rng: Generator) -> None:
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
        _FILLERS[filler.type](blob.tensor, blob.shape, filler, rng)


def _draw(values: torch.Tensor, draw: Callable[[int], Array]) -> None:
    """Set values in C order, in pieces: numbers are drawn in float64, twice the blob's own size."""
    whole = values.contiguous()  # itself, unless a script's view has another order
    for piece in torch.split(whole.view(-1), _PIECE):
        piece.copy_(torch.from_numpy(draw(len(piece))))
    values.copy_(whole)


def _constant(values: torch.Tensor, shape: Shape, filler: FillerParameter, rng: Generator) -> None:
    values.fill_(filler.value)


def _uniform(values: torch.Tensor, shape: Shape, filler: FillerParameter, rng: Generator) -> None:
    _draw(values, lambda n: rng.uniform(filler.min, filler.max, n))


def _gaussian(values: torch.Tensor, shape: Shape, filler: FillerParameter, rng: Generator) -> None:
    _draw(values, lambda n: rng.normal(filler.mean, filler.std, n))
    if filler.sparse >= 0:
        # On average `sparse` outputs of each input are not zero.
        kept = torch.empty_like(values)
        _draw(kept, lambda n: (rng.random(n) < filler.sparse / shape[0]).astype(np.float64))
        values.mul_(kept)


def _positive_unitball(
    values: torch.Tensor, shape: Shape, filler: FillerParameter, rng: Generator
) -> None:
    inner = math.prod(shape[1:])
    for rows in torch.split(values, max(1, _PIECE // inner)):
        drawn = rng.random((len(rows), inner))
        drawn /= drawn.sum(axis=1, keepdims=True)
        rows.copy_(torch.from_numpy(drawn.reshape(rows.shape)))


def _xavier(values: torch.Tensor, shape: Shape, filler: FillerParameter, rng: Generator) -> None:
    """Glorot and Bengio, 2010."""
    scale = math.sqrt(3.0 / _fan(shape, filler))
    _draw(values, lambda n: rng.uniform(-scale, scale, n))


def _msra(values: torch.Tensor, shape: Shape, filler: FillerParameter, rng: Generator) -> None:
    """He, Zhang, Ren and Sun, 2015."""
    deviation = math.sqrt(2.0 / _fan(shape, filler))
    _draw(values, lambda n: rng.normal(0.0, deviation, n))


def _bilinear(values: torch.Tensor, shape: Shape, filler: FillerParameter, rng: Generator) -> None:
    """Set the weights with which a deconvolution interpolates bilinearly."""
    if len(shape) != 4 or shape[2] != shape[3]:
        raise LayerError(f"bilinear filler: needs shape (N, C, K, K), not {shape}")
    half = math.ceil(shape[3] / 2)
    centre = (shape[3] - 1) / (2.0 * half)
    line = 1 - np.abs(np.arange(shape[3]) / half - centre)
    values.copy_(torch.from_numpy(np.outer(line, line)))


def _fan(shape: Shape, filler: FillerParameter) -> float:
    count = math.prod(shape)
    fan_in = count / shape[0]
    fan_out = count / (shape[1] if len(shape) > 1 else 1)
    if filler.variance_norm == FillerParameter.AVERAGE:
        return (fan_in + fan_out) / 2
    return fan_out if filler.variance_norm == FillerParameter.FAN_OUT else fan_in


_FILLERS: dict[str, Callable[[torch.Tensor, Shape, FillerParameter, Generator], None]] = {
    "constant": _constant,
    "uniform": _uniform,
    "gaussian": _gaussian,
    "positive_unitball": _positive_unitball,
    "xavier": _xavier,
    "msra": _msra,
    "bilinear": _bilinear,
}
