"""Convolution, Deconvolution, depthwise ones."""

import numpy as np
import pytest
import torch

from caffe.errors import LayerError
from tests.caffe.layer_case import Alone, Case, run, values
from tests.caffe.stand_in import NAMED

FILLED = 'weight_filler { type: "gaussian" } bias_filler { type: "gaussian" }'
LINE, MAP, VOLUME = values(2, 4, 7), values(2, 4, 5, 6), values(1, 2, 3, 4, 3)
HYPER = values(1, 2, 2, 3, 2, 3)
WINDOWS = [
    ("kernel_size: 1", MAP),
    ("kernel_size: 3 pad: 1 stride: 2", MAP),
    ("kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 1 pad_h: 0 pad_w: 2", MAP),
    ("kernel_size: 2 kernel_size: 3 dilation: 2 dilation: 1 pad: 1", MAP),
    ("kernel_size: 3 group: 2 bias_term: false", MAP),
    ("kernel_size: 2 dilation: 0", MAP),
    ("kernel_size: 3 stride: 2 axis: 2", MAP),
    ("kernel_size: 3 dilation: 2 pad: 1", LINE),
    ("kernel_size: 2 stride: 1 stride: 2 stride: 1 force_nd_im2col: true", VOLUME),
    ("kernel_size: 2 pad: 0 pad: 1 pad: 0 pad: 0 group: 2", HYPER),
    ("", values(3, 4)),
]


def settings(window: str, num_output: int = 2) -> str:
    return f"convolution_param {{ num_output: {num_output} {window} {FILLED} }}"


CASES = [
    *(
        Case(kind, settings(window), (x,))
        for window, x in WINDOWS
        for kind in ("Convolution", "Deconvolution")
    ),
    Case(
        "Convolution",
        settings("kernel_size: 1 stride: 2 pad: 1 dilation: 2 group: 2"),
        (values(2, 4, 9, 1),),
    ),
    # A window larger than the bottom: (4 - 5) / 2 is 0 in C.
    Case("Convolution", settings("kernel_size: 5 stride: 2"), (values(1, 1, 4, 4),)),
    Case("Convolution", settings("kernel_size: 2"), (MAP, MAP + 1), tops=2, learns=(0, 1)),
    Case("Deconvolution", settings("kernel_size: 2"), (MAP, MAP + 1), tops=2, learns=(0, 1)),
    *(
        Case(kind, f"convolution_param {{ {given} kernel_size: 3 pad: 1 {FILLED} }}", (MAP,))
        for kind in ("DepthwiseConvolution", "ConvolutionDepthwise")
        for given in ("", "num_output: 4 group: 4")
    ),
]
X = np.arange(1.0, 10).reshape(1, 1, 3, 3)
W = np.array([[[[1.0, 2], [3, 4]]]])
B = np.array([0.5])
PLAIN = "convolution_param { num_output: 1 kernel_size: 2 }"


def test_convolution_by_hand():
    case = Case("Convolution", PLAIN, (X,))
    tops, bottoms = run(case, np.array([[[[1.0, 0], [0, 2]]]]), blobs=[W, B])
    assert tops[0].tolist() == [[[[37.5, 47.5], [67.5, 77.5]]]]
    assert bottoms[0].tolist() == [[[[1, 2, 0], [3, 6, 4], [0, 6, 8]]]]


def test_deconvolution_by_hand():
    x = np.array([[[[1.0, 0], [0, 2]]]])
    tops, bottoms = run(Case("Deconvolution", PLAIN, (x,)), X, blobs=[W, B])
    assert tops[0].tolist() == [[[[1.5, 2.5, 0.5], [3.5, 6.5, 4.5], [0.5, 6.5, 8.5]]]]
    assert bottoms[0].tolist() == [[[[37, 47], [67, 77]]]]


@pytest.mark.parametrize(
    ("kind", "x", "grad", "weight"),
    [
        ("Convolution", X, [[1.0, 0], [0, 2]], [[11, 14], [20, 23]]),
        ("Deconvolution", np.array([[[[1.0, 0], [0, 2]]]]), X[0, 0], [[11, 14], [20, 23]]),
    ],
)
def test_gradients_of_the_weights_by_hand(kind, x, grad, weight):
    alone = Alone(Case(kind, PLAIN, (x,)))
    alone.forward()
    for times in (1, 2):
        alone.backward([np.array([[grad]])])
        assert alone.layer.blobs[0].diff.tolist() == [[(times * np.array(weight)).tolist()]]
        assert alone.layer.blobs[1].diff.tolist() == [times * np.sum(grad)]


def test_groups_by_hand():
    x = np.array([[[[1.0]], [[2]], [[3]], [[4]]]])
    case = Case("Convolution", "convolution_param { num_output: 2 kernel_size: 1 group: 2 }", (x,))
    weight = np.array([1.0, 2, 3, 4]).reshape(2, 2, 1, 1)
    tops, _ = run(case, blobs=[weight, np.zeros(2)])
    assert tops[0].ravel().tolist() == [5, 25]


@pytest.mark.parametrize(
    ("kind", "window", "x", "weight", "top"),
    [
        ("Convolution", "kernel_size: 3", MAP, (6, 4, 3, 3), (2, 6, 3, 4)),
        ("Convolution", "kernel_size: 3 group: 2", MAP, (6, 2, 3, 3), (2, 6, 3, 4)),
        ("Convolution", "kernel_h: 3 kernel_w: 1", MAP, (6, 4, 3, 1), (2, 6, 3, 6)),
        ("Convolution", "kernel_size: 3 stride: 2 pad: 1", MAP, (6, 4, 3, 3), (2, 6, 3, 3)),
        ("Convolution", "kernel_size: 3 dilation: 2", MAP, (6, 4, 3, 3), (2, 6, 1, 2)),
        ("Convolution", "kernel_size: 3 axis: 0", MAP[0, 0], (6, 5, 3), (6, 4)),
        ("Convolution", "kernel_size: 3 axis: -2", MAP, (6, 5, 3), (2, 4, 6, 4)),
        ("Convolution", "", values(2, 4), (6, 4), (2, 6)),
        ("Convolution", "kernel_size: 2", HYPER, (6, 2, 2, 2, 2, 2), (1, 6, 1, 2, 1, 2)),
        ("Convolution", "kernel_size: 5 stride: 2", values(1, 1, 4, 4), (6, 1, 5, 5), (1, 6, 1, 1)),
        ("Deconvolution", "kernel_size: 3", MAP, (4, 6, 3, 3), (2, 6, 7, 8)),
        ("Deconvolution", "kernel_size: 3 group: 2", MAP, (4, 3, 3, 3), (2, 6, 7, 8)),
        ("Deconvolution", "kernel_size: 4 stride: 2 pad: 1", MAP, (4, 6, 4, 4), (2, 6, 10, 12)),
        ("Deconvolution", "kernel_size: 2 dilation: 3", MAP, (4, 6, 2, 2), (2, 6, 8, 9)),
    ],
)
def test_shapes(kind, window, x, weight, top):
    alone = Alone(Case(kind, settings(window, 6), (x,)))
    assert alone.layer.blobs[0].shape == weight
    assert alone.layer.blobs[1].shape == (6,)
    assert alone.top[0].shape == top
    assert alone.forward()[0].shape == top


def test_depthwise_weights():
    alone = Alone(Case("DepthwiseConvolution", "convolution_param { kernel_size: 3 }", (MAP,)))
    assert [blob.shape for blob in alone.layer.blobs] == [(4, 1, 3, 3), (4,)]


def test_bottoms_share_weights_and_add_their_gradients():
    case = Case("Convolution", PLAIN, (X, 2 * X), tops=2, learns=(0, 1))
    grad = np.array([[[[1.0, 0], [0, 2]]]])
    alone = Alone(case)
    alone.forward()
    alone.backward([grad, 10 * grad], (0, 1))
    assert alone.layer.blobs[0].diff.tolist() == (21 * np.array([[[[11, 14], [20, 23]]]])).tolist()
    assert alone.layer.blobs[1].diff.tolist() == [33]


@pytest.mark.parametrize("window", ["kernel_size: 2", "kernel_size: 2 dilation: 0"])
def test_gradients_that_are_not_needed_are_not_computed(window):
    case = Case("Convolution", settings(window), (MAP,))
    alone = Alone(case)
    alone.layer.param_propagate_down[:] = [False, True]
    alone.forward()
    alone.backward([np.ones(alone.top[0].shape)], ())
    assert not alone.layer.blobs[0].diff.any()
    assert not alone.bottom[0].diff.any()
    assert alone.layer.blobs[1].diff.all()


@pytest.mark.skipif(NAMED != "cpu", reason="a view on a device is old once it was uploaded")
def test_written_weights_take_effect_at_once():
    alone = Alone(Case("Convolution", PLAIN, (X,)), torch.float32)
    weight = alone.layer.blobs[0].data
    for value in (1.0, 2.0):
        weight[...] = value
        assert alone.forward()[0].tolist() == (value * np.array([[[[12, 16], [24, 28]]]])).tolist()


@pytest.mark.parametrize(
    ("kind", "given", "x", "message"),
    [
        ("Convolution", "kernel_size: 1", MAP, "num_output is missing"),
        ("Convolution", "num_output: 1", MAP, "kernel_size is given 0 times. Allowed: once or 2"),
        ("Convolution", "num_output: 1 kernel_size: 0", MAP, r"kernel is \(0, 0\)"),
        ("Convolution", "num_output: 1 kernel_h: 2", MAP, r"kernel is \(2, 0\)"),
        ("Convolution", "num_output: 1 kernel_size: 1 stride_w: 2", MAP, r"stride is \(0, 2\)"),
        ("Convolution", "num_output: 1 kernel_size: 1 kernel_h: 2", MAP, "kernel_size as well"),
        ("Convolution", "num_output: 1 kernel_size: 1 pad: 1 pad_h: 2", MAP, "pad as well"),
        ("Convolution", "num_output: 1 kernel_h: 1 kernel_w: 1", LINE, "1 axes to slide over"),
        ("Convolution", "num_output: 1 kernel_size: 1 stride: [1, 2, 1]", MAP, "stride is given 3"),
        ("Convolution", "num_output: 2 kernel_size: 1 group: 3", MAP, "group is 3. .* 4 channels"),
        ("Convolution", "num_output: 3 kernel_size: 1 group: 2", MAP, "group is 2. .* 3"),
        ("Convolution", "num_output: 3 kernel_size: 1 group: 0", MAP, "group is 0"),
        ("Convolution", "num_output: 1 kernel_size: 1 axis: 4", MAP, "axis 4 of a blob of shape"),
        ("DepthwiseConvolution", "num_output: 8 kernel_size: 1", MAP, "num_output is 8. .* 4"),
        ("DepthwiseConvolution", "group: 2 kernel_size: 1", MAP, "group is 2. .* 4"),
    ],
)
def test_bad_settings(kind, given, x, message):
    with pytest.raises(LayerError, match=f"layer 'layer' .{kind}.: .*{message}"):
        Alone(Case(kind, f"convolution_param {{ {given} }}", (x,)))


@pytest.mark.parametrize(
    ("kind", "window", "places"),
    [
        ("Convolution", "kernel_size: 7", r"\(-1, 0\)"),
        ("Convolution", "kernel_size: 6", r"\(0, 1\)"),
        ("Deconvolution", "kernel_size: 1 pad: 3", r"\(-1, 0\)"),
    ],
)
def test_a_window_larger_than_its_input(kind, window, places):
    with pytest.raises(LayerError, match=f"the top would be of {places}: kernel, dilation and pad"):
        Alone(Case(kind, settings(window), (MAP,)))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 3, 5, 6), r"\(2, 3, 5, 6\), so 3 channels on axis 1; its weights are for 4"),
        ((2, 4, 5), r"\(2, 4, 5\). Needed: 4 axes"),
    ],
)
def test_bottoms_that_do_not_fit_are_refused(shape, message):
    alone = Alone(Case("Convolution", settings("kernel_size: 2"), (MAP,)))
    alone.bottom[0].reshape(*shape)
    with pytest.raises(LayerError, match=f"layer 'layer' .Convolution.: .*{message}"):
        alone.layer.reshape(alone.bottom, alone.top)


def test_bottoms_of_different_shapes_are_refused():
    with pytest.raises(LayerError, match=r"shapes \(2, 4, 5, 6\) and \(1, 4, 5, 6\): must be the"):
        Alone(Case("Convolution", settings("kernel_size: 2"), (MAP, MAP[:1]), tops=2))


def test_numbers_of_tops_and_bottoms_must_be_equal():
    with pytest.raises(LayerError, match="2 bottom and 1 top blobs: the numbers must be equal"):
        Alone(Case("Convolution", settings("kernel_size: 2"), (MAP, MAP)))


@pytest.mark.skipif(NAMED == "cuda", reason="maps are contiguous on a GPU")
@pytest.mark.parametrize("items", [1, 2])
@pytest.mark.parametrize("kind", ["Convolution", "Deconvolution"])
def test_tops_and_gradients_are_channels_last(kind, items):
    alone = Alone(Case(kind, settings("kernel_size: 2", 3), (values(items, 2, 3, 4),)))
    alone.layer.forward(alone.bottom, alone.top)
    alone.layer.backward(alone.top, [True], alone.bottom)
    top = alone.top[0].tensor
    # Exactly channels_last strides: with one item other strides are equivalent, but slow in torch.
    assert top.stride() == top.contiguous(memory_format=torch.channels_last).stride()
    assert alone.bottom[0].data.flags.c_contiguous
