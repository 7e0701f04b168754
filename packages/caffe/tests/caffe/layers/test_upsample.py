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
    Case("SpatialTransformer", "st_param { output_W: 3 }", (MAPS[..., :1], AFFINE), learns=(0, 1)),
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


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ("shrink_factor: 2 height: 9 width: 9", (2, 2)),  # one factor counts, the size does not
        ("zoom_factor: 2 height: 9 width: 9", (5, 7)),
        ("shrink_factor: 2 zoom_factor: 3", (4, 4)),
        ("shrink_factor: 2 zoom_factor: 3 height: 9 width: 8", (9, 8)),
    ],
)
def test_what_decides_the_interpolated_size(settings, size):
    (top,), _ = run(Case("Interp", f"interp_param {{ {settings} }}", (MAPS,)))
    assert top.shape[2:] == size


def test_a_column_of_one_pixel_fades_sideways():
    x = np.array([2.0, 6]).reshape(1, 1, 2, 1)
    theta = np.array([[1, 0, 0, 0, 1, 0.5]])  # a quarter of the width to the right
    (top,), _ = run(Case("SpatialTransformer", "", (x, theta)))
    assert top.ravel().tolist() == [1.5, 4.5]


def test_no_gradient_for_the_maps_where_none_is_asked_for():
    case = Case(
        "SpatialTransformer", "st_param { to_compute_dU: false }", (MAPS, AFFINE), 1, (0, 1)
    )
    _, (maps, theta) = run(case, np.ones(MAPS.shape))
    assert not maps.any()
    assert theta.all()


def test_bicubic_weights_are_openposes():
    x = np.zeros((1, 1, 1, 9))
    x[..., 4] = 1
    (top,), _ = run(Case("ImResize", "imresize_param { factor: 2 }", (np.tile(x, (1, 1, 9, 1)),)))
    a = -0.5  # Catmull-Rom
    near = [(a + 2) * t**3 - (a + 3) * t**2 + 1 for t in (0.25, 0.75)]
    far = [a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a for t in (1.25, 1.75)]
    expected = [far[1], far[0], near[1], near[0]]
    assert top[0, 0, 9, 5:9] == pytest.approx(expected)
    edge = np.arange(5.0).reshape(1, 1, 1, 5)  # the kernel at -0.25, its neighbours 0, 0, 1, 2
    (top,), _ = run(Case("ImResize", "imresize_param { factor: 2 }", (edge,)))
    t = -0.25
    assert top[0, 0, 0, 0] == pytest.approx(
        (2 * t**2 - 1.5 * t**3 + t / 2) * 1 + (t - 1) * t**2 / 2 * 2
    )


def test_several_scales_of_an_image_are_averaged():
    x = np.stack([np.full((1, 10, 10), 1.0), np.full((1, 10, 10), 5.0)])
    x[1, :, 0], x[1, :, :, 0] = 99, 99  # cropped: a tenth, half of it on each side
    settings = "target_spatial_height: 4 target_spatial_width: 6 scale_gap: 0.2"
    (top,), _ = run(Case("ImResize", f"imresize_param {{ {settings} }}", (x,)))
    assert top == pytest.approx(np.full((1, 1, 4, 6), 3.0))


@pytest.mark.parametrize("size", [(1, 5), (2, 2)])
def test_a_map_without_inner_pixels_has_no_peak(size):
    (top,), _ = run(Case("Nms", "nms_param { num_parts: 1 }", (np.ones((1, 1, *size)),), learns=()))
    assert not top.any()


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
        (
            Case("SpatialTransformer", 'st_param { transform_type: "tps" }', (MAPS, AFFINE)),
            "transform_type is 'tps'.*Supported: affine",
        ),
        (Case("ImResize", "", (MAPS,)), "would become 0x0"),
        (Case("ImResize", "imresize_param { factor: 1 scale_gap: 2 }", (MAPS,)), "of item 1"),
        (Case("Nms", "", (MAPS,)), "Needed: 15 maps"),
    ],
)
def test_what_does_not_fit_is_refused(case, message):
    with pytest.raises(LayerError, match=message):
        Alone(case).forward()
