"""Coordinate maps between blobs, and the crops that follow from them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import caffe
from caffe import layers as L
from caffe.coord_map import (
    AxisMismatchException,
    UndefinedMapException,
    compose,
    coord_map,
    coord_map_from_to,
    crop,
    inverse,
)
from caffe.errors import MappingError


def data() -> caffe.Top:
    return L.Input(shape={"dim": [1, 3, 64, 64]})


def check(found, axis, scale, shift):
    assert found[0] == axis
    assert np.ravel(found[1]).tolist() == pytest.approx(scale)
    assert np.ravel(found[2]).tolist() == pytest.approx(shift)


@pytest.mark.parametrize(
    ("top", "axis", "scale", "shift"),
    [
        (lambda x: L.Convolution(x, kernel_size=3, stride=2, pad=1), 1, [0.5], [0]),
        (lambda x: L.Convolution(x, kernel_size=3, dilation=2), 1, [1], [-2]),
        (lambda x: L.Convolution(x, kernel_size=[3, 5], pad=[1, 0]), 1, [1], [0, -2]),
        (lambda x: L.Convolution(x, convolution_param={"kernel_size": 5, "axis": 2}), 2, [1], [-2]),
        (lambda x: L.Pooling(x, kernel_size=2, stride=2), 1, [0.5], [-0.25]),
        (lambda x: L.Pooling(x, pooling_param={"kernel_size": 2, "stride": 2}), 1, [0.5], [-0.25]),
        (
            lambda x: L.Deconvolution(x, convolution_param={"kernel_size": 4, "stride": 2}),
            1,
            [2],
            [1.5],
        ),
        (lambda x: L.Crop(x, x, axis=2, offset=5), 1, [1], [-5]),
        (lambda x: L.ReLU(x), None, [1], [0]),
    ],
)
def test_maps_of_layers(top, axis, scale, shift):
    check(coord_map(top(data()).fn), axis, scale, shift)


@given(
    st.tuples(st.just(1), st.floats(0.1, 8), st.floats(-9, 9)),
    st.tuples(st.sampled_from([None, 1]), st.floats(0.1, 8), st.floats(-9, 9)),
)
def test_a_map_and_its_inverse_are_the_identity(base, further):
    composed = compose(base, further)
    axis, scale, shift = compose(composed, inverse(composed))
    assert (axis, scale) == (1, pytest.approx(1))
    assert shift == pytest.approx(0, abs=1e-9)


def test_crop_offset_of_an_fcn():
    x = data()
    conv = L.ReLU(L.Convolution(x, kernel_size=3, pad=100), in_place=True)  # at u sees x = u - 99
    pool = L.Pooling(conv, kernel_size=2, stride=2)  # at u sees 2 u + 0.5
    score = L.Convolution(L.Dropout(pool), kernel_size=7)  # at u sees u + 3
    up = L.Deconvolution(score, convolution_param={"kernel_size": 4, "stride": 2})
    # Position u of score is at 2 u + 1.5 of up.
    check(coord_map_from_to(up, x), 1, [1], [2 * (-1.5 / 2 + 3) + 0.5 - 99])
    assert crop(up, x).fn.params["crop_param"]["offset"] == [94]


def test_cropped_top_has_the_reference_size():
    x = L.Input(shape={"dim": [1, 1, 8, 8]})
    conv = L.Convolution(x, num_output=1, kernel_size=3, stride=2, pad=3)
    up = L.Deconvolution(conv, convolution_param={"num_output": 1, "kernel_size": 3, "stride": 2})
    cropped = crop(up, x)
    assert cropped.fn.params == {"crop_param": {"axis": 2, "offset": [3]}}
    net = caffe.Net(cropped.to_proto(), caffe.TEST)
    assert net.blobs["Crop1"].shape == (1, 1, 8, 8)


def test_residual_nets_take_linear_time():
    top = x = L.Convolution(data(), kernel_size=3, num_output=1)
    for _ in range(60):
        top = L.Eltwise(top, L.ReLU(top))
    check(coord_map_from_to(top, x), None, [1], [0])


def test_each_axis_of_a_rectangular_or_deeper_convolution_has_its_own_map():
    x = L.Input(shape={"dim": [2, 3, 100, 100, 100]})
    settings = {"kernel_size": [3, 5, 3], "stride": [1, 2, 1], "pad": [0, 10, 2]}
    check(
        coord_map_from_to(L.Convolution(x, num_output=1, **settings), x), 1, [1, 2, 1], [1, -8, -1]
    )


def test_layers_without_a_map():
    with pytest.raises(UndefinedMapException, match="coordinates of InnerProduct have no map"):
        coord_map(L.InnerProduct(data()).fn)


def test_axes_that_differ():
    x = data()
    one = L.Convolution(x, kernel_size=3, axis=1)
    with pytest.raises(AxisMismatchException, match="axis 2 in one map, axis 1 in the other"):
        coord_map_from_to(L.Convolution(one, kernel_size=3, axis=2), x)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda x: L.Convolution(x, kernel_size=3, stride=2), r"scale mismatch on crop .a = \[0.5"),
        (lambda x: L.Convolution(x, kernel_size=3, pad=2), r"negative offset .b = \[1"),
        (lambda x: L.Convolution(x, kernel_size=4), r"noninteger offset .b = \[-1.5"),
        (lambda x: L.ReLU(x), "which axes are spatial"),
        (lambda x: L.Convolution(x, kernel_h=3, kernel_w=3), "kernel_h, kernel_w: cropping needs"),
        (lambda x: L.Convolution(x, kernel_size=3, pad_h=1), "pad_h: cropping needs"),
        (lambda x: L.Convolution(L.InnerProduct(x), kernel_size=3), "no map from Input to Convol"),
    ],
)
@pytest.mark.parametrize("kind", [AssertionError, RuntimeError])
def test_impossible_crops_are_refused(made, message, kind):
    x = data()
    with pytest.raises(MappingError, match=message) as caught:
        crop(x, made(x))
    assert isinstance(caught.value, kind)
