"""Sigmoid, TanH, ReLU and its variants, BNLL, Swish, Softmax, Dropout."""

import math

import numpy as np
import pytest

from caffe import rng
from caffe.blob import Blob
from caffe.errors import LayerError
from caffe.layers import registry
from caffe.proto.caffe_pb2 import TEST, TRAIN, ClipParameter, LayerParameter
from tests.caffe.layer_case import Alone, Case, run, values

SMOOTH = values(3, 4, 2)
SWISH = 0.75 + 0.1875 * math.log(3)
MAPS = values(2, 3, 2, 2, seed=1)
CASES = [
    Case(kind, settings, (SMOOTH,), phase=phase, in_place=in_place)
    for in_place in (False, True)
    for kind, settings, phase in (
        ("Sigmoid", "", TRAIN),
        ("TanH", "", TRAIN),
        ("ReLU", "", TRAIN),
        ("ReLU", "relu_param { negative_slope: 0.25 }", TRAIN),
        ("ReLU6", "", TRAIN),
        ("ELU", "", TRAIN),
        ("ELU", "elu_param { alpha: 0.25 }", TRAIN),
        ("PReLU", "", TRAIN),
        ("PReLU", "prelu_param { channel_shared: true }", TRAIN),
        ("Swish", "", TRAIN),
        ("Swish", "swish_param { beta: -1.5 }", TRAIN),
        ("Softmax", "softmax_param { axis: 2 }", TRAIN),
        ("Dropout", "", TRAIN),
        ("Dropout", "dropout_param { dropout_ratio: 0.2 }", TRAIN),
        ("Dropout", "", TEST),
    )
] + [
    Case("ReLU6", bottoms=(values(3, 4, low=-3, high=9),)),
    Case("Clip", "clip_param { min: -0.7 max: 1.1 }", (SMOOTH,)),
    Case("ELU", "elu_param { alpha: -0.5 }", (SMOOTH,)),
    Case("PReLU", 'prelu_param { filler { type: "gaussian" } }', (MAPS,)),
    Case("BNLL", bottoms=(SMOOTH,)),
    Case("Softmax", bottoms=(values(4, 3),)),
]


@pytest.mark.parametrize(
    ("kind", "settings", "x", "y", "slope"),
    [
        ("Sigmoid", "", [0, math.log(3), -math.log(3)], [0.5, 0.75, 0.25], [0.25, 0.1875, 0.1875]),
        ("TanH", "", [0, math.log(2), -math.log(2)], [0, 0.6, -0.6], [1, 0.64, 0.64]),
        ("ReLU", "", [2, -3, 0], [2, 0, 0], [1, 0, 0]),
        ("ReLU", "relu_param { negative_slope: 0.5 }", [2, -3, 0], [2, -1.5, 0], [1, 0.5, 0.5]),
        ("ReLU6", "", [2, -3, 7], [2, 0, 6], [1, 0, 0]),
        ("ReLU6", "", [0, 6, 5], [0, 6, 5], [0, 0, 1]),
        ("Clip", "clip_param { min: -1 max: 2 }", [-2, 0, 3], [-1, 0, 2], [0, 1, 0]),
        ("Clip", "clip_param { min: -1 max: 2 }", [-1, 1, 2], [-1, 1, 2], [1, 1, 1]),
        ("Clip", "clip_param { min: 2 max: 1 }", [0, 1.5, 3], [2, 2, 2], [0, 0, 0]),
        ("ELU", "", [2, -math.log(2), 0], [2, -0.5, 0], [1, 0.5, 1]),
        ("ELU", "elu_param { alpha: 4 }", [2, -math.log(2), 0], [2, -2, 0], [1, 2, 4]),
        ("BNLL", "", [0, math.log(3), 90], [math.log(2), math.log(4), 90], [0.5, 0.75, 1]),
        (
            "Swish",
            "",
            [0, math.log(3), -90],
            [0, 0.75 * math.log(3), 0],
            [0.5, SWISH, 0],
        ),
        ("Swish", "swish_param { beta: 0 }", [0, 4, -2], [0, 2, -1], [0.5, 0.5, 0.5]),
    ],
)
def test_by_hand(kind, settings, x, y, slope):
    tops, bottoms = run(Case(kind, settings, (np.array(x),)), np.array([1.0, 2, 4]))
    assert tops[0] == pytest.approx(np.array(y))
    assert bottoms[0] == pytest.approx(np.array(slope) * [1, 2, 4])


def test_sigmoid_of_large_values_does_not_overflow():
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


def test_dropout_redraws_each_pass_reproducibly():
    alone = Alone(Case("Dropout", bottoms=(np.ones(100),)))
    rng.set_random_seed(1)
    first, second = alone.forward()[0], alone.forward()[0]
    rng.set_random_seed(1)
    assert np.array_equal(alone.forward()[0], first)
    assert not np.array_equal(first, second)


def test_dropout_is_the_identity_in_the_test_phase():
    x = values(5)
    tops, bottoms = run(Case("Dropout", bottoms=(x,), phase=TEST), 2 * x)
    assert np.array_equal(tops[0], x)
    assert np.array_equal(bottoms[0], 2 * x)


def test_dropout_ratio_of_1_is_refused():
    with pytest.raises(LayerError, match=r"dropout_ratio is 1\. Allowed: from 0 to below 1"):
        Alone(Case("Dropout", "dropout_param { dropout_ratio: 1 }", (np.ones(1),)))


def test_clip_in_place_passes_every_gradient():
    case = Case("Clip", "clip_param { min: -1 max: 2 }", (np.array([-5.0, 0, 5]),), in_place=True)
    tops, bottoms = run(case, np.array([1.0, 2, 4]))
    assert tops[0].tolist() == [-1, 0, 2]
    assert bottoms[0].tolist() == [1, 2, 4]


@pytest.mark.parametrize("given", [{}, {"max": 1}, {"min": 1}])
def test_clip_needs_both_bounds(given):
    param = LayerParameter(name="c", type="Clip", clip_param=ClipParameter(**given))
    with pytest.raises(LayerError, match=r"layer 'c' \(Clip\): clip_param needs both min and max"):
        registry()["Clip"](param, TRAIN).setup([Blob()], [Blob()])


@pytest.mark.parametrize(
    ("settings", "slopes", "slope_grad"),
    [
        # Below 0 are -1 and -2 of the first channel, -3 of the second; 0 has the slope's gradient.
        ("", [0.25, 0.25], [-1 * 1 - 2 * 2, -3 * 8]),
        ("prelu_param { channel_shared: true }", 0.25, -1 - 4 - 24),
        ("prelu_param { filler { value: 2 } }", [2, 2], [-5, -24]),
    ],
)
@pytest.mark.parametrize("in_place", [False, True])
def test_prelu_by_hand(settings, slopes, slope_grad, in_place):
    x = np.array([[[-1.0, -2], [4, -3]], [[0, 1], [2, 0]]])
    diff = np.array([[[1.0, 2], [4, 8]], [[16, 32], [64, 128]]])
    alone = Alone(Case("PReLU", settings, (x,), in_place=in_place))
    assert alone.layer.blobs[0].data.tolist() == slopes
    slope = np.max(slopes)
    assert np.array_equal(alone.forward()[0], np.where(x > 0, x, slope * x))
    assert np.array_equal(alone.backward([diff])[0], np.where(x > 0, diff, slope * diff))
    assert alone.layer.blobs[0].diff.tolist() == slope_grad


def test_prelu_refuses_a_changed_number_of_channels():
    alone = Alone(Case("PReLU", bottoms=(MAPS,)))
    alone.bottom[0].reshape(2, 4, 2, 2)
    with pytest.raises(LayerError, match=r"layer 'layer'.*\(2, 4, 2, 2\); its slopes have \(3,\)"):
        alone.forward()


@pytest.mark.parametrize("shape", [(3,), (1, 2, 1, 1, 1)])
def test_prelu_needs_two_to_four_axes(shape):
    with pytest.raises(LayerError, match="layer 'layer' .PReLU.: .* Allowed: 2 to 4 axes"):
        Alone(Case("PReLU", bottoms=(np.ones(shape),)))


EIGHTHS = np.log([[1.0, 2, 5]])


def test_softmax_by_hand():
    tops, bottoms = run(Case("Softmax", bottoms=(EIGHTHS,)), np.array([[1.0, 0, 0]]))
    assert tops[0] == pytest.approx(np.array([[1, 2, 5]]) / 8)
    assert bottoms[0] == pytest.approx(np.array([[7, -2, -5]]) / 64)


def test_softmax_of_large_values_does_not_overflow():
    tops, _ = run(Case("Softmax", bottoms=(np.array([[1e4, 0, -1e4]]),)))
    assert tops[0].tolist() == [[1, 0, 0]]
