"""ShuffleChannel, Axpy, Pad, Reverse, Transpose."""

import numpy as np
import pytest

from caffe.errors import LayerError
from tests.caffe.layer_case import Alone, Case, run, values

MAPS = values(2, 6, 2, 3)
SCALES = values(2, 6, 1, 1, seed=1)
PADS = [Case("Pad", f"pad_param {{ padtype: {k} pad: 1 }}", (MAPS,)) for k in ("ZERO", "REFLECT")]
CASES = [
    Case("ShuffleChannel", "shuffle_channel_param { group: 3 }", (MAPS,)),
    Case("Axpy", "", (SCALES, MAPS, values(2, 6, 2, 3, seed=2)), learns=(0, 1, 2)),
    *PADS,
    Case("Pad", "pad_param { padtype: REPLICATE pad: 2 }", (MAPS,)),
    Case("Reverse", "reverse_param { axis: -1 }", (MAPS,)),
    Case("Transpose", "transpose_param { dim: 1 dim: 0 dim: 3 dim: 2 }", (MAPS,)),
]


def test_channels_are_interleaved():
    channels = np.arange(6.0).reshape(1, 6, 1, 1)
    (top,), _ = run(Case("ShuffleChannel", "shuffle_channel_param { group: 2 }", (channels,)))
    assert top.ravel().tolist() == [0, 3, 1, 4, 2, 5]


def test_scaled_and_added():
    (top,), (scale, x, b) = run(CASES[1], np.ones_like(MAPS))
    assert top == pytest.approx(SCALES * MAPS + CASES[1].bottoms[2])
    assert scale == pytest.approx(MAPS.sum((2, 3), keepdims=True))
    assert x == pytest.approx(np.broadcast_to(SCALES, MAPS.shape))
    assert (b == 1).all()


def test_padded():
    row = np.array([1.0, 2, 3, 4, 5, 6]).reshape(1, 1, 2, 3)
    for kind, first in (
        ("ZERO", [0] * 5),
        ("REPLICATE", [1, 1, 2, 3, 3]),
        ("REFLECT", [1, 1, 2, 3, 3]),
    ):
        (top,), _ = run(Case("Pad", f"pad_param {{ padtype: {kind} }}", (row,)))
        assert top.shape == (1, 1, 4, 5)
        assert top[0, 0, 0].tolist() == first
    (top,), _ = run(Case("Pad", "pad_param { padtype: REFLECT pad: 2 }", (row,)))
    assert top[0, 0].tolist() == np.pad(row[0, 0], 2, "symmetric").tolist()


def test_orders_of_axes_and_values():
    (top,), _ = run(CASES[-2])
    assert np.array_equal(top, MAPS[..., ::-1])
    (top,), _ = run(CASES[-1])
    assert np.array_equal(top, MAPS.transpose(1, 0, 3, 2))


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (
            Case("ShuffleChannel", "shuffle_channel_param { group: 4 }", (MAPS,)),
            "4 does not divide",
        ),
        (Case("Axpy", "", (MAPS, MAPS, MAPS)), "bottoms have shapes"),
        (Case("Pad", "pad_param { padtype: REFLECT pad: 3 }", (MAPS,)), "pad is 3. Allowed"),
        (Case("Transpose", "transpose_param { dim: 1 dim: 1 }", (MAPS,)), r"dim is \[1, 1\]"),
        (Case("Reverse", "reverse_param { axis: 4 }", (MAPS,)), "axis 4 of a blob"),
    ],
)
def test_what_does_not_fit_is_refused(case, message):
    with pytest.raises(LayerError, match=message):
        Alone(case)
