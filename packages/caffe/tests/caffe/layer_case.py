"""A single layer under test: its cases, building and running it, and its numeric gradient."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from google.protobuf import text_format
from numpy.typing import NDArray

from caffe import forks, rng
from caffe.blob import Blob
from caffe.layers import Layer, registry
from caffe.proto.caffe_pb2 import TRAIN, LayerParameter

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A layer with settings and inputs; every type of the registry needs at least one case.

    Parameters
    ----------
    type : str
        Name in the registry.
    settings : str
        The rest of the layer's prototxt.
    bottoms : tuple of ndarray
        Their values.
    tops : int
        Number of tops.
    learns : tuple of int
        Bottoms that get a gradient.
    phase : int
    in_place : bool
        Whether the type allows its bottom as its top.
    tolerance : float
        Of the numeric gradient.
    """

    type: str
    settings: str = ""
    bottoms: tuple[Array, ...] = ()
    tops: int = 1
    learns: tuple[int, ...] = (0,)
    phase: int = TRAIN
    in_place: bool = False
    tolerance: float = 1e-6

    def __str__(self) -> str:
        return f"{self.type}({' '.join(self.settings.split())})"


def values(*shape: int, seed: int = 0, low: float = -2.0, high: float = 2.0) -> Array:
    """Return numbers between two bounds, away from 0 and from each other."""
    generator = np.random.default_rng(seed)
    spread = np.linspace(low, high, int(np.prod(shape)) * 2 + 1)[1::2]
    return generator.permutation(spread).reshape(shape)


def labels(*numbers: float) -> Array:
    return np.array(numbers, np.float64)


def parameter(case: Case) -> LayerParameter:
    param = LayerParameter(name="layer", type=case.type, phase=case.phase)
    param.bottom.extend(f"b{i}" for i in range(len(case.bottoms)))
    param.top.extend(f"t{i}" for i in range(case.tops))
    # Merged, not parsed: a test may give a field once more.
    given = text_format.Merge(case.settings, forks.superset(LayerParameter)())
    param.MergeFrom(forks.plain(given, LayerParameter))
    return param


class Alone:
    """A layer with its own bottom and top blobs, in double precision by default."""

    def __init__(self, case: Case, dtype: torch.dtype = torch.float64) -> None:
        self.bottom = [Blob(given.shape, dtype) for given in case.bottoms]
        for blob, given in zip(self.bottom, case.bottoms, strict=True):
            blob.data[...] = given
        self.top = self.bottom if case.in_place else [Blob((), dtype) for _ in range(case.tops)]
        self.layer: Layer = registry()[case.type](parameter(case), case.phase)
        self.layer.check_counts(self.bottom, self.top)
        self.layer.setup(self.bottom, self.top)
        for blob in self.layer.blobs:
            blob.to(dtype)
        self.layer.reshape(self.bottom, self.top)

    def forward(self) -> list[Array]:
        self.layer.reshape(self.bottom, self.top)
        self.layer.forward(self.bottom, self.top)
        return [blob.data.copy() for blob in self.top]

    def backward(self, diffs: Sequence[Array], learns: Sequence[int] = (0,)) -> list[Array]:
        """Set the gradients of the tops; return those of the bottoms that learn."""
        for blob, diff in zip(self.top, diffs, strict=True):
            blob.diff[...] = diff
        down = [i in learns for i in range(len(self.bottom))]
        self.layer.backward(self.top, down, self.bottom)
        return [self.bottom[i].diff.copy() for i in learns]


def run(case: Case, *diffs: Array, blobs: Sequence[Array] = ()) -> tuple[list[Array], list[Array]]:
    """Return the tops, and the gradients of the bottoms for the given ones of the tops."""
    alone = Alone(case)
    for blob, given in zip(alone.layer.blobs, blobs, strict=bool(blobs)):
        blob.data[...] = given
    tops = alone.forward()
    return tops, alone.backward(diffs, case.learns) if diffs else []


def check_gradient(case: Case, step: float = 1e-5) -> None:
    """Compare the gradient of a weighted sum of the tops with central differences.

    Randomness is the same in every pass, and the gradients of learnt blobs must be added to what
    they were before.
    """
    alone = Alone(case)
    weights = [values(*top.shape, seed=7 + i) for i, top in enumerate(_forward(alone))]
    for blob in alone.layer.blobs:
        blob.diff[...] = 1.0
    bottoms = alone.backward(weights, case.learns)
    analytic = bottoms + [blob.diff - 1.0 for blob in alone.layer.blobs]
    learnt = [alone.bottom[i] for i in case.learns] + alone.layer.blobs
    for index, (blob, found) in enumerate(zip(learnt, analytic, strict=True)):
        numeric = np.reshape(list(_differences(alone, blob, weights, step)), blob.shape)
        np.testing.assert_allclose(
            found, numeric, case.tolerance, case.tolerance, err_msg=f"{case}, gradient {index}"
        )


def _differences(
    alone: Alone, blob: Blob, weights: Sequence[Array], step: float
) -> Iterator[float]:
    for i in range(blob.count):
        kept = blob.data.flat[i]
        sums = []
        for moved in (kept + step, kept - step):
            blob.data.flat[i] = moved  # a new view each time: on a device a written one is old
            tops = _forward(alone)
            sums.append(sum(float((w * t).sum()) for w, t in zip(weights, tops, strict=True)))
        blob.data.flat[i] = kept
        yield (sums[0] - sums[1]) / (2 * step)


def _forward(alone: Alone) -> list[Array]:
    rng.set_random_seed(3)
    return alone.forward()
