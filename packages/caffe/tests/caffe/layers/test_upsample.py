"""Upsample, Interp, SpatialTransformer, ImResize, Nms."""

import numpy as np
import pytest

import caffe
from caffe.errors import LayerError
from tests.caffe.layer_case import Alone, Case, run, values
from tests.caffe.net_case import net

MAPS = values(2, 2, 3, 4)
PLACES = np.tile([0.0, 2, 5, 7, 16, 18, 21, 23, 32, 34, 37, 39], 4).reshape(2, 2, 3, 4)
AFFINE = np.array([[0.8, 0.1, 0.05, -0.1, 0.9, 0.02], [1.1, 0, 0.03, 0.1, 0.7, -0.1]])
CASES = [
    Case("Upsample", "upsample_param { scale: 2 }", (MAPS, PLACES)),
    Case("Upsample", "upsample_param { upsample_h: 5 upsample_w: 9 }", (MAPS, PLACES)),
    Case("Upsample", "upsample_param { scale: 3 }", (MAPS,)),
    Case("Interp", "interp_param { zoom_factor: 2 }", (MAPS,)),
    Case("Interp", "interp_param { shrink_factor: 2 pad_beg: -1 }", (MAPS,)),
    Case("Interp", "interp_param { height: 5 width: 2 }", (MAPS,)),
    Case("Interp", "", (MAPS, values(1, 1, 4, 6))),
    Case(
        "SpatialTransformer", "st_param { output_H: 4 output_W: 3 }", (MAPS, AFFINE), learns=(0, 1)
    ),
    Case(
        "SpatialTransformer",
        "st_param { theta_1_2: 0 theta_2_1: 0 }",
        (MAPS, AFFINE[:, [0, 2, 4, 5]]),
        learns=(0, 1),
    ),
    Case("ImResize", "imresize_param { factor: 2 }", (MAPS,)),
    Case(
        "ImResize", "imresize_param { target_spatial_height: 5 target_spatial_width: 6 }", (MAPS,)
    ),
    Case("Nms", "nms_param { num_parts: 2 max_peaks: 3 }", (MAPS,), learns=()),
]


def test_maxima_return_to_their_places():
    text = """
    layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [1, 2, 5, 6] } } }
    layer { name: "p" type: "Pooling" bottom: "x" top: "p" top: "at"
      pooling_param { kernel_size: 2 stride: 2 } }
    layer { name: "u" type: "Upsample" bottom: "p" bottom: "at" top: "u"
      upsample_param { scale: 2 pad_out_h: true } }"""
    made = net(text, caffe.TEST)
    x = values(1, 2, 5, 6)
    up = made.forward(x=x)["u"]
    assert up.shape == x.shape
    assert np.array_equal(up, np.where(up != 0, x.astype("f"), 0))
    assert (up != 0).sum() == made.blobs["p"].count == 18


def test_interpolation_keeps_the_corners():
    x = np.array([[0.0, 3], [6, 9]]).reshape(1, 1, 2, 2)
    (top,), _ = run(Case("Interp", "interp_param { height: 2 width: 4 }", (x,)))
    assert top[0, 0] == pytest.approx(np.array([[0.0, 1, 2, 3], [6, 7, 8, 9]]))
    (top,), _ = run(Case("Interp", "interp_param { zoom_factor: 8 }", (np.ones((1, 1, 5, 9)),)))
    assert top.shape == (1, 1, 33, 65)  # PSPNet's: size + (size - 1) * 7


def test_identity_transformation():
    identity = np.array([[1.0, 0, 0, 0, 1, 0]] * 2)
    (top,), _ = run(Case("SpatialTransformer", "", (MAPS, identity)))
    assert top == pytest.approx(MAPS)
    shifted = np.array([[1.0, 0, 2 / 3, 0, 1, 0]] * 2)  # one row of three
    (top,), _ = run(Case("SpatialTransformer", "", (MAPS, shifted)))
    assert top[:, :, :2] == pytest.approx(MAPS[:, :, 1:])
    assert top[:, :, 2] == pytest.approx(0)


def test_bicubic_weights_are_opencvs():
    x = np.zeros((1, 1, 1, 9))
    x[..., 4] = 1
    (top,), _ = run(Case("ImResize", "imresize_param { factor: 2 }", (np.tile(x, (1, 1, 9, 1)),)))
    a = -0.75  # cv::INTER_CUBIC
    near = [(a + 2) * t**3 - (a + 3) * t**2 + 1 for t in (0.25, 0.75)]
    far = [a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a for t in (1.25, 1.75)]
    expected = [far[1], far[0], near[1], near[0]]
    assert top[0, 0, 9, 5:9] == pytest.approx(expected)


def test_peaks():
    x = np.zeros((1, 2, 6, 8))
    x[0, 0, 1, 2], x[0, 0, 1, 3], x[0, 0, 4, 6] = 0.9, 0.3, 0.6
    x[0, 1, 2, 2] = 0.4  # below the threshold
    (top,), _ = run(Case("Nms", "nms_param { num_parts: 2 max_peaks: 2 }", (x,), learns=()))
    assert top.shape == (1, 2, 3, 3)
    assert top[0, 0, 0, 0] == 2
    assert top[0, 0, 1] == pytest.approx([(2 * 0.9 + 3 * 0.3) / 1.2, 1, 0.9])
    # Its window of 7x7 holds the edge of the first peak as well.
    assert top[0, 0, 2] == pytest.approx(
        [(6 * 0.6 + 3 * 0.3) / 0.9, (4 * 0.6 + 1 * 0.3) / 0.9, 0.6]
    )
    assert not top[0, 1].any()


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (Case("Upsample", "", (MAPS, MAPS[:1])), "must agree"),
        (
            Case("Upsample", "upsample_param { upsample_h: 3 upsample_w: 3 }", (MAPS, PLACES)),
            "outside",
        ),
        (Case("Interp", "interp_param { pad_beg: 1 }", (MAPS,)), "Allowed: to 0"),
        (Case("Interp", "interp_param { pad_beg: -3 }", (MAPS,)), "leave nothing"),
        (Case("SpatialTransformer", "", (MAPS, AFFINE[:, :5])), r"Needed: \(2, 6\)"),
        (Case("ImResize", "", (MAPS,)), "would become 0x0"),
        (Case("Nms", "", (MAPS,)), "Needed: 15 maps"),
    ],
)
def test_what_does_not_fit_is_refused(case, message):
    with pytest.raises(LayerError, match=message):
        Alone(case).forward()
