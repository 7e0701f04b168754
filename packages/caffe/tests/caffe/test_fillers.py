"""Fillers: exact values of deterministic ones, moments and bounds of random ones."""

import math

import numpy as np
import pytest

from caffe.blob import Blob
from caffe.errors import LayerError
from caffe.fillers import fill
from caffe.proto.caffe_pb2 import FillerParameter

LARGE = (200, 50, 4, 5)  # fan in 1000, fan out 4000
FAN_IN, FAN_OUT, AVERAGE = (
    FillerParameter.FAN_IN,
    FillerParameter.FAN_OUT,
    FillerParameter.AVERAGE,
)


def filled(shape: tuple[int, ...], seed: int = 0, **settings: object) -> np.ndarray:
    blob = Blob(shape)
    fill(blob, FillerParameter(**settings), np.random.default_rng(seed))
    return blob.data


def test_constant():
    assert filled((2, 2), value=3.5).tolist() == [[3.5, 3.5], [3.5, 3.5]]


def test_the_default_is_constant_zero():
    assert filled((3,)).tolist() == [0, 0, 0]


def test_uniform():
    values = filled(LARGE, type="uniform", min=-2, max=6)
    assert -2 <= values.min() < -1.99
    assert 5.99 < values.max() <= 6
    assert values.mean() == pytest.approx(2, abs=0.03)


def test_gaussian():
    values = filled(LARGE, type="gaussian", mean=3, std=2)
    assert values.mean() == pytest.approx(3, abs=0.02)
    assert values.std() == pytest.approx(2, abs=0.02)


def test_sparse_gaussian_keeps_sparse_values_of_each_input():
    # Caffe's probability is sparse / outputs: each input reaches about `sparse` outputs.
    values = filled((1000, 200), type="gaussian", sparse=15)
    assert np.count_nonzero(values, axis=0).mean() == pytest.approx(15, abs=1)


@pytest.mark.parametrize(("norm", "fan"), [(FAN_IN, 1000), (FAN_OUT, 4000), (AVERAGE, 2500)])
def test_xavier(norm, fan):
    values = filled(LARGE, type="xavier", variance_norm=norm)
    bound = math.sqrt(3 / fan)
    assert np.abs(values).max() == pytest.approx(bound, rel=1e-3)
    assert values.var() == pytest.approx(1 / fan, rel=0.02)


@pytest.mark.parametrize(("norm", "fan"), [(FAN_IN, 1000), (FAN_OUT, 4000), (AVERAGE, 2500)])
def test_msra(norm, fan):
    values = filled(LARGE, type="msra", variance_norm=norm)
    assert values.mean() == pytest.approx(0, abs=3e-4)
    assert values.var() == pytest.approx(2 / fan, rel=0.02)


def test_positive_unitball():
    values = filled((4, 3, 5), type="positive_unitball")
    assert values.min() >= 0
    assert values.sum(axis=(1, 2)) == pytest.approx(np.ones(4))


def test_bilinear_of_an_even_kernel():
    # Upsampling by 2: kernel 4, weights 1/4, 3/4, 3/4, 1/4 along each axis.
    values = filled((2, 1, 4, 4), type="bilinear")
    line = np.array([0.25, 0.75, 0.75, 0.25])
    assert np.array_equal(values[0, 0], np.outer(line, line))
    assert np.array_equal(values[1], values[0])


@pytest.mark.parametrize(
    ("kernel", "line"),
    [
        (1, [1]),
        (3, [1 / 2, 1, 1 / 2]),
        (5, [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3]),
        (7, [1 / 4, 1 / 2, 3 / 4, 1, 3 / 4, 1 / 2, 1 / 4]),
    ],
)
def test_bilinear_of_an_odd_kernel(kernel, line):
    values = filled((1, 1, kernel, kernel), type="bilinear")
    assert values[0, 0] == pytest.approx(np.outer(line, line))


@pytest.mark.parametrize("kind", ["uniform", "gaussian", "xavier", "msra", "positive_unitball"])
def test_seed_determines_the_values(kind):
    first, again, other = (filled((5, 4), seed, type=kind) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_bilinear_needs_square_kernels():
    with pytest.raises(LayerError, match=r"bilinear filler.*\(1, 1, 3, 4\)"):
        filled((1, 1, 3, 4), type="bilinear")


@pytest.mark.parametrize(
    "kind", ["constant", "uniform", "xavier", "msra", "positive_unitball", "bilinear"]
)
def test_only_gaussian_can_be_sparse(kind):
    with pytest.raises(LayerError, match=f"{kind} filler.*sparse"):
        filled((1, 1, 3, 3), type=kind, sparse=2)


def test_unknown_filler():
    with pytest.raises(LayerError, match="unknown filler type 'xaviar'.*xavier"):
        filled((2,), type="xaviar")
