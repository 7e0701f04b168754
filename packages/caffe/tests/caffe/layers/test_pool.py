"""Pooling, SPP."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import caffe
from caffe import rng
from caffe.blob import Blob
from caffe.errors import LayerError
from caffe.layers.pool_windows import Windows
from caffe.proto.caffe_pb2 import TEST
from tests.caffe.growth import growth
from tests.caffe.layer_case import Alone, Case, run, values

MAPS = values(2, 3, 5, 7)
POSITIVE = values(2, 3, 5, 7, low=0, high=4)


def pool(settings: str, x: np.ndarray = MAPS, **more) -> Case:
    return Case("Pooling", f"pooling_param {{ {settings} }}", (x,), **more)


# Supported by torch; padded by more than half a kernel; with windows outside the map.
KINDS = ["kernel_size: 3 stride: 2 pad: 1", "kernel_size: 3 pad: 2", "kernel_size: 1 stride: 3"]
CASES = [
    *(pool(f"pool: MAX {kind}") for kind in KINDS[:2]),
    *(pool(f"pool: AVE {kind}") for kind in KINDS),
    pool(f"pool: MAX {KINDS[2]}", learns=()),  # the lowest float hides all other terms of the sum
    *(pool(f"pool: {method} global_pooling: true") for method in ("MAX", "AVE")),
    pool("pool: MAX kernel_size: 3 stride: 2", tops=2, learns=()),
    *(pool(f"pool: {method} kernel_size: 9 pad: 8") for method in ("MAX", "AVE")),
    *(
        pool(f"pool: STOCHASTIC {kind}", POSITIVE, phase=phase)
        for kind in ("kernel_h: 3 kernel_w: 2 stride_h: 1 stride_w: 2", "kernel_size: 1 stride: 3")
        for phase in (0, TEST)
    ),
    Case("SPP", "spp_param { pyramid_height: 3 }", (values(2, 2, 6, 9),)),
    Case("SPP", "spp_param { pyramid_height: 2 pool: AVE }", (MAPS,)),
    Case("SPP", "spp_param { pyramid_height: 1 pool: STOCHASTIC }", (POSITIVE,)),
]

SQUARE = np.array([[[[1.0, 5, 2], [5, 4, 3], [9, 0, 9]]]])


def test_max_by_hand():
    diff = np.array([[[[1.0, 2], [4, 8]]]])
    tops, bottoms = run(pool("kernel_size: 2 stride: 2", SQUARE, tops=2), diff, 0 * diff)
    assert tops[0].tolist() == [[[[5, 3], [9, 9]]]]
    assert tops[1].tolist() == [[[[1, 5], [6, 8]]]]  # the first of two 5s
    assert bottoms[0].tolist() == [[[[0, 1, 0], [0, 0, 2], [4, 0, 8]]]]


def test_max_adds_gradients_of_overlapping_windows():
    tops, bottoms = run(pool("kernel_size: 2", SQUARE), np.ones((1, 1, 2, 2)))
    assert tops[0].tolist() == [[[[5, 5], [9, 9]]]]
    assert bottoms[0].tolist() == [[[[0, 2, 0], [0, 0, 0], [1, 0, 1]]]]


def test_mean_counts_padding_but_not_the_area_beyond_it():
    x = np.arange(1.0, 10).reshape(1, 1, 3, 3)
    tops, bottoms = run(
        pool("pool: AVE kernel_size: 3 stride: 3 pad: 1", x), np.full((1, 1, 2, 2), 36.0)
    )
    # 12 / 9, then windows of 3 by 2 and 2 by 2 of which the last row and column are padding
    assert tops[0] == pytest.approx(np.array([[[[12 / 9, 9 / 6], [15 / 6, 9 / 4]]]]))
    assert bottoms[0].tolist() == [[[[4, 4, 6], [4, 4, 6], [6, 6, 9]]]]


def test_mean_of_a_partial_window_without_padding():
    x = np.arange(1.0, 10).reshape(1, 1, 3, 3)
    tops, _ = run(pool("pool: AVE kernel_size: 2 stride: 2", x))
    assert tops[0].tolist() == [[[[3, 4.5], [7.5, 9]]]]


@pytest.mark.parametrize("method", ["MAX", "AVE"])
@pytest.mark.parametrize(
    ("kernel", "stride", "pad"), [(9, 1, 8), (11, 3, 7), (8, 2, 7), (6, 1, 5), (15, 20, 14)]
)
def test_windows_that_exceed_the_map_are_clipped(method, kernel, stride, pad):
    """By hand, window by window, as Caffe does."""
    settings = f"pool: {method} kernel_size: {kernel} stride: {stride} pad: {pad}"
    alone = Alone(pool(settings, tops=2 if method == "MAX" else 1))
    tops = alone.forward()
    h, w = MAPS.shape[2:]
    expected = np.zeros_like(tops[0])
    for i, j in np.ndindex(*expected.shape[2:]):
        y, x = i * stride - pad, j * stride - pad
        part = MAPS[:, :, max(y, 0) : min(y + kernel, h), max(x, 0) : min(x + kernel, w)]
        area = (min(y + kernel, h + pad) - y) * (min(x + kernel, w + pad) - x)
        sums = part.sum((2, 3)) / area
        lowest = np.finfo(np.float32).min
        expected[:, :, i, j] = sums if method == "AVE" else part.max((2, 3), initial=lowest)
    assert tops[0] == pytest.approx(expected)
    if method == "MAX":
        flat, at = MAPS.reshape(2, 3, -1), tops[1].astype(int).reshape(2, 3, -1)
        chosen = np.take_along_axis(flat, at.clip(0), 2)
        assert (at.reshape(tops[0].shape) >= 0).any()
        assert np.where(at >= 0, chosen, np.finfo(np.float32).min).reshape(expected.shape) == (
            pytest.approx(expected)
        )


def test_windows_much_wider_than_the_map_cost_no_more_than_the_map():
    x = values(1, 1, 8, 8)
    sized = {size: Alone(pool(f"kernel_size: {size} pad: {size - 1}", x)) for size in (30, 300)}
    (top,) = sized[300].forward()
    # 83 times the windows; each in full would cost 8300 times as much.
    assert growth(lambda size: sized[size].forward(), 30, 300) < 800
    assert top.shape == (1, 1, 307, 307)
    assert top[0, 0, 150, 150] == x.max()


def test_windows_outside_the_map():
    x = np.ones((1, 1, 5, 5))
    for method, outside in (("MAX", np.finfo(np.float32).min), ("AVE", 0)):
        case = pool(f"pool: {method} kernel_size: 1 stride: 3", x)
        tops, bottoms = run(case, np.ones((1, 1, 3, 3)))
        assert tops[0][0, 0].tolist() == [[1, 1, outside], [1, 1, outside], [outside] * 3]
        assert bottoms[0].sum() == 4
        assert bottoms[0][0, 0, ::3, ::3].tolist() == [[1, 1], [1, 1]]


def test_index_of_a_maximum_next_to_wide_padding():
    tops, _ = run(pool("kernel_size: 3 pad: 2 stride: 2", SQUARE, tops=2))
    assert tops[0].tolist() == [[[[1, 5, 2], [9, 9, 9], [9, 9, 9]]]]
    assert tops[1].tolist() == [[[[0, 1, 2], [6, 6, 8], [6, 6, 8]]]]


@pytest.mark.parametrize("kind", KINDS)
def test_ties_in_any_memory_format(kind):
    x = np.random.default_rng(0).integers(0, 3, (3, 16, 9, 8)).astype(np.float64)
    found = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        alone = Alone(pool(kind, x, tops=2))
        alone.bottom[0] = Blob(x.shape, torch.float64)  # without a view
        alone.bottom[0].set_data(torch.from_numpy(x).to(memory_format=memory_format))
        alone.layer.forward(alone.bottom, alone.top)
        assert alone.top[0].tensor.is_contiguous(memory_format=memory_format)
        found.append([blob.data.copy() for blob in alone.top])
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0][1], first_maxima(x, kind))


def first_maxima(x: np.ndarray, kind: str) -> np.ndarray:
    """Return the index of each maximum by a plain loop."""
    given = dict(zip(*[iter(kind.replace(":", "").split())] * 2, strict=True))
    kernel, stride = int(given["kernel_size"]), int(given.get("stride", 1))
    windows = Windows(
        x.shape[2:], (kernel,) * 2, (stride,) * 2, (int(given.get("pad", 0)),) * 2, True
    )
    index = np.full((*x.shape[:2], *windows.pooled), -1.0)
    for n, c, i, j in np.ndindex(index.shape):
        top, left = windows.starts(0)[i], windows.starts(1)[j]
        best = -math.inf
        for row in range(max(top, 0), min(top + kernel, x.shape[2])):
            for column in range(max(left, 0), min(left + kernel, x.shape[3])):
                if x[n, c, row, column] > best:
                    best, index[n, c, i, j] = x[n, c, row, column], row * x.shape[3] + column
    return index


def test_stochastic_draws_values_in_proportion():
    rng.set_random_seed(0)
    x = np.tile(np.array([[1.0, 2], [0, 5]]), (1, 1, 100, 100))
    tops, bottoms = run(
        pool("pool: STOCHASTIC kernel_size: 2 stride: 2", x), np.ones((1, 1, 100, 100))
    )
    shares = [(tops[0] == value).mean() for value in (1, 2, 5)]
    assert shares == pytest.approx([1 / 8, 2 / 8, 5 / 8], abs=0.015)
    assert np.array_equal((bottoms[0] * x).reshape(100, 2, 100, 2).sum((1, 3)), tops[0][0, 0])


def test_stochastic_averages_in_proportion_in_the_test_phase():
    x = np.array([[[[1.0, 2, 0], [0, 5, 0]]]])
    case = pool("pool: STOCHASTIC kernel_size: 2 stride: 2", x, phase=TEST)
    tops, bottoms = run(case, np.ones((1, 1, 1, 2)))
    assert tops[0].tolist() == [[[[30 / 8, 0]]]]
    assert np.isfinite(bottoms[0]).all()


def test_a_window_of_zeros_gives_0():
    tops, _ = run(pool("pool: STOCHASTIC kernel_size: 2", np.zeros((1, 1, 3, 3))))
    assert tops[0].tolist() == [[[[0, 0], [0, 0]]]]


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ("kernel_size: 2 stride: 2", (3, 4)),
        ("kernel_size: 2 stride: 2 round_mode: FLOOR", (2, 3)),
        ("kernel_size: 3 stride: 2 pad: 1", (3, 4)),
        ("kernel_size: 2 stride: 3 pad: 1", (2, 3)),  # a third would start in the lower padding
        ("kernel_h: 1 kernel_w: 3 stride_h: 1 stride_w: 2 pad_h: 0 pad_w: 1", (5, 4)),
        ("kernel_size: 5", (1, 3)),
        ("global_pooling: true", (1, 1)),
    ],
)
def test_pooled_shapes(settings, shape):
    alone = Alone(pool(settings))
    assert alone.forward()[0].shape == (2, 3, *shape)
    assert alone.backward([np.ones((2, 3, *shape))])[0].sum() == pytest.approx(6 * math.prod(shape))


@pytest.mark.parametrize(("field", "size"), [("true", 4), ("false", 3)])
def test_the_ceil_mode_of_forks(tmp_path, field, size):
    (tmp_path / "net.prototxt").write_text(
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 1 dim: 1 '
        'dim: 7 } } } layer { name: "l" type: "Pooling" bottom: "x" top: "y" pooling_param { '
        f"kernel_h: 1 kernel_w: 2 stride: 2 ceil_mode: {field} }} }}"
    )
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    assert net.blobs["y"].shape == (1, 1, 1, size)


def test_follows_a_new_shape():
    alone = Alone(pool("global_pooling: true"))
    alone.bottom[0].reshape(1, 2, 2, 4)
    alone.bottom[0].data[...] = np.arange(16).reshape(1, 2, 2, 4)
    assert alone.forward()[0].tolist() == [[[[7]], [[15]]]]


@given(st.integers(1, 12), st.integers(1, 5), st.integers(1, 5), st.integers(0, 4))
def test_the_last_window_starts_in_the_map_and_reaches_its_end(size, kernel, stride, pad):
    kernel = min(kernel, size)
    pad = min(pad, kernel - 1)
    windows = Windows((size, size), (kernel,) * 2, (stride,) * 2, (pad,) * 2, True)
    starts = windows.starts(0)
    assert starts == list(range(-pad, starts[-1] + 1, stride))
    assert starts[-1] < size or not pad
    # One more would start beyond the map.
    assert starts[-1] + kernel >= size + pad or starts[-1] + stride >= size


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("", "needs kernel_size, or kernel_h and kernel_w"),
        ("kernel_h: 2", "needs kernel_size, or kernel_h and kernel_w"),
        ("kernel_size: 2 kernel_h: 2 kernel_w: 2", "needs kernel_size, or"),
        ("kernel_size: 0", r"kernel is \(0, 0\)"),
        ("kernel_size: 2 stride: 0", r"stride is \(0, 0\)\. Allowed: 1 or more"),
        ("kernel_size: 2 stride_h: 1", "allowed: stride, or stride_h and stride_w"),
        ("kernel_size: 2 pad: 1 pad_h: 1 pad_w: 1", "allowed: pad, or pad_h and pad_w"),
        ("kernel_size: 2 pad: 2", r"kernel is \(2, 2\), pad \(2, 2\)\. Allowed: .*pad below it"),
        ("global_pooling: true kernel_size: 2", "has global_pooling and a kernel size"),
        ("global_pooling: true pad: 1", r"global_pooling, stride \(1, 1\) and pad \(1, 1\)"),
        ("kernel_size: 6", r"kernel \(6, 6\) is too large for a bottom of \(5, 7\)"),
        ("pool: STOCHASTIC kernel_size: 2 pad: 1", r"pad \(1, 1\) and pool: STOCHASTIC"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(LayerError, match=f"layer 'layer' .Pooling.: .*{message}"):
        Alone(pool(settings))


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (pool("kernel_size: 2", values(3, 4)), r"bottom has shape \(3, 4\)\. Allowed: 4 axes"),
        (pool("pool: AVE kernel_size: 2", tops=2), "2 top blobs. Allowed: 1, and 2 with pool: MAX"),
        (pool("kernel_size: 1", in_place=True), "its top is its bottom"),
        (Case("SPP", bottoms=(MAPS,)), "pyramid_height is missing or 0"),
        (
            Case("SPP", "spp_param { pyramid_height: 2 }", (values(3, 4),)),
            r"shape \(3, 4\)\. Allowed: 4 axes, none of size 0",
        ),
        (
            Case("SPP", "spp_param { pyramid_height: 3 }", (MAPS,)),
            r"kernel is \(2, 2\), pad \(2, 1\)",
        ),
    ],
)
def test_bad_bottoms_and_tops(case, message):
    with pytest.raises(LayerError, match=message):
        Alone(case)


def test_spp_by_hand():
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    diff = np.arange(1.0, 6).reshape(1, 5)
    tops, bottoms = run(Case("SPP", "spp_param { pyramid_height: 2 }", (x,)), diff)
    assert tops[0].tolist() == [[15, 5, 7, 13, 15]]
    expected = np.zeros(16)
    expected[[5, 7, 13, 15]] = 2, 3, 4, 5 + 1
    assert np.array_equal(bottoms[0].reshape(-1), expected)


@pytest.mark.parametrize("size", [(6, 9), (13, 10), (7, 7)])
def test_spp_gives_the_same_shape_for_maps_of_any_size(size):
    top = run(Case("SPP", "spp_param { pyramid_height: 3 }", (values(2, 3, *size),)))[0][0]
    assert top.shape == (2, 3 * (1 + 4 + 16))


def test_spp_of_one_level_stays_a_map():
    top = run(Case("SPP", "spp_param { pyramid_height: 1 }", (MAPS,)))[0][0]
    assert np.array_equal(top, MAPS.max((2, 3), keepdims=True))
