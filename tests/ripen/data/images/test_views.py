"""Views: where they lie, and that the net sees those pixels."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ripen.data.image_input import Input
from ripen.data.images.views import NAMES, View, views

WANTED = Input(height=20, width=30, channel_order="BGR", raw_scale=255, mean=[1, 2, 3])


def _input(width: int, height: int) -> Input:
    return Input(height=height, width=width, channel_order="RGB", raw_scale=255)


def test_how_many_there_are() -> None:
    assert [len(views(name)) for name in NAMES] == [1, 2, 5, 10, 6]


def test_ten_crops_are_caffes(photo: Callable[..., Image.Image]) -> None:
    from caffe.io import oversample

    picture = photo(1, 64, 48)
    # Three quarters are whole pixels, so that nothing is interpolated.
    found = [v.values(picture, _input(48, 36)) for v in views("crops10", 0.75)]
    expected = oversample([np.asarray(picture, np.float32)], (36, 48))
    np.testing.assert_array_equal(np.stack(found), expected.transpose(0, 3, 1, 2))


def test_the_whole_picture_in_the_nets_order(photo: Callable[..., Image.Image]) -> None:
    picture = photo(1, 30, 20)
    (found,) = [v.values(picture, WANTED) for v in views("whole")]
    pixels = np.asarray(picture, np.float32)
    np.testing.assert_array_equal(found, pixels.transpose(2, 0, 1)[::-1] - [[[1]], [[2]], [[3]]])
    plain, mirrored = (v.values(picture, WANTED) for v in views("mirror"))
    np.testing.assert_array_equal(mirrored, plain[:, :, ::-1])


def test_what_is_over_is_left_out_rather_than_squeezed() -> None:
    # A picture of 90 x 40 for a net of 30 x 20: 60 x 40 of it, in the middle.
    assert View(squeeze=False).box((90, 40), WANTED) == (15, 0, 75, 40)
    assert View(squeeze=False).box((30, 80), WANTED) == (0, 30, 30, 50)
    assert View(side=0.5, x=1, y=0).box((90, 40), WANTED) == (45, 0, 90, 20)


def test_scales_come_nearer() -> None:
    boxes = [v.box((100, 100), WANTED) for v in views("scales", 0.8)]
    assert boxes[:3] == [
        (0, 0, 100, 100),
        pytest.approx((5, 5, 95, 95)),
        pytest.approx((10, 10, 90, 90)),
    ]
    assert boxes[3:] == boxes[:3]
    assert [v.mirror for v in views("scales")] == [False] * 3 + [True] * 3


@given(
    st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    st.sampled_from(NAMES),
    st.floats(0.05, 0.99),
    st.booleans(),
)
def test_every_box_is_within(size: tuple[int, int], name: str, side: float, squeeze: bool) -> None:
    for view in views(name, side, squeeze):
        left, upper, right, lower = view.box(size, WANTED)
        assert 0 <= left < right <= size[0]
        assert 0 <= upper < lower <= size[1]
