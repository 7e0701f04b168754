"""Sigmoid, TanH, ReLU, Dropout."""

import math

import numpy as np
import pytest

from caffe import rng
from caffe.errors import LayerError
from caffe.proto.caffe_pb2 import TEST, TRAIN
from tests.caffe.layer_case import Alone, Case, run, values

SMOOTH = values(3, 4, 2)
CASES = [
    Case(kind, settings, (SMOOTH,), phase=phase, in_place=in_place)
    for in_place in (False, True)
    for kind, settings, phase in (
        ("Sigmoid", "", TRAIN),
        ("TanH", "", TRAIN),
        ("ReLU", "", TRAIN),
        ("ReLU", "relu_param { negative_slope: 0.25 }", TRAIN),
        ("Dropout", "", TRAIN),
        ("Dropout", "dropout_param { dropout_ratio: 0.2 }", TRAIN),
        ("Dropout", "", TEST),
    )
]


@pytest.mark.parametrize(
    ("kind", "settings", "x", "y", "slope"),
    [
        ("Sigmoid", "", [0, math.log(3), -math.log(3)], [0.5, 0.75, 0.25], [0.25, 0.1875, 0.1875]),
        ("TanH", "", [0, math.log(2), -math.log(2)], [0, 0.6, -0.6], [1, 0.64, 0.64]),
        ("ReLU", "", [2, -3, 0], [2, 0, 0], [1, 0, 0]),
        ("ReLU", "relu_param { negative_slope: 0.5 }", [2, -3, 0], [2, -1.5, 0], [1, 0.5, 0.5]),
    ],
)
def test_by_hand(kind, settings, x, y, slope):
    tops, bottoms = run(Case(kind, settings, (np.array(x),)), np.array([1.0, 2, 4]))
    assert tops[0] == pytest.approx(np.array(y))
    assert bottoms[0] == pytest.approx(np.array(slope) * [1, 2, 4])


def test_sigmoid_far_out_does_not_overflow():
    tops, _ = run(Case("Sigmoid", bottoms=(np.array([-1e4, 1e4]),)))
    assert tops[0].tolist() == [0, 1]


@pytest.mark.parametrize("ratio", [0.2, 0.5, 0.75])
def test_dropout_drops_its_share_and_scales_the_rest(ratio):
    rng.set_random_seed(0)
    ones = np.ones(20000)
    settings = f"dropout_param {{ dropout_ratio: {ratio} }}"
    tops, bottoms = run(Case("Dropout", settings, (ones,)), ones)
    kept = tops[0] != 0
    assert kept.mean() == pytest.approx(1 - ratio, abs=0.01)
    assert tops[0][kept] == pytest.approx(1 / (1 - ratio), rel=1e-6)
    assert np.array_equal(bottoms[0], tops[0])


def test_dropout_draws_anew_and_by_the_seed():
    alone = Alone(Case("Dropout", bottoms=(np.ones(100),)))
    rng.set_random_seed(1)
    first, second = alone.forward()[0], alone.forward()[0]
    rng.set_random_seed(1)
    assert np.array_equal(alone.forward()[0], first)
    assert not np.array_equal(first, second)


def test_dropout_passes_everything_in_the_test_phase():
    x = values(5)
    tops, bottoms = run(Case("Dropout", bottoms=(x,), phase=TEST), 2 * x)
    assert np.array_equal(tops[0], x)
    assert np.array_equal(bottoms[0], 2 * x)


def test_dropout_of_everything_is_refused():
    with pytest.raises(LayerError, match=r"dropout_ratio is 1\. Allowed: from 0 to below 1"):
        Alone(Case("Dropout", "dropout_param { dropout_ratio: 1 }", (np.ones(1),)))
