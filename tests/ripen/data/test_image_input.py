"""Images as models take them, checked by hand, against Pillow and against Caffe."""

from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ripen.data.image_input import RESAMPLING, Input, View, histogram, middle, values, views
from ripen.settings.schema import ViewsName

SQUEEZED = Input(height=32, width=32, channel_order="RGB", raw_scale=255.0)
CROPPED = replace(SQUEEZED, crop=0.5, interpolation="bicubic")
sizes = st.tuples(st.integers(1, 5000), st.integers(1, 5000))


def gradient(width: int, height: int) -> Image.Image:
    """Return an image whose red rises to the right and whose green rises downwards."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, 0 * x], -1).round().astype(np.uint8))


def test_without_a_crop_the_image_is_squeezed() -> None:
    found = values(gradient(80, 60), SQUEEZED)
    expected = gradient(80, 60).resize((32, 32), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(found, np.asarray(expected).transpose(2, 0, 1))


def test_a_crop_takes_the_centre() -> None:
    # The largest square of 80x64 is 64x64. Half of that is 32x32, so nothing is resized.
    found = values(gradient(80, 64), CROPPED)
    expected = np.asarray(gradient(80, 64))[16:48, 24:56]
    np.testing.assert_array_equal(found, expected.transpose(2, 0, 1))


def test_a_box_replaces_the_crop() -> None:
    found = values(gradient(80, 60), CROPPED, (0, 0, 80, 60), mirror=True)
    expected = gradient(80, 60).resize((32, 32), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(found, np.asarray(expected)[:, ::-1].transpose(2, 0, 1))


def test_interpolations_differ() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8))
    bilinear, bicubic = (values(noise, replace(SQUEEZED, interpolation=i)) for i in RESAMPLING)
    assert np.abs(bilinear - bicubic).max() > 5


@pytest.mark.parametrize("size", [(300, 500), (640, 333)])
def test_a_crop_is_close_to_resize_and_centre_crop(size: tuple[int, int]) -> None:
    """As torchvision does it: resize the shorter side, then crop the centre."""
    smooth, wanted = gradient(*size), replace(SQUEEZED, height=56, width=56, crop=0.875)
    short = 64 / min(size)
    resized = smooth.resize(
        (round(size[0] * short), round(size[1] * short)), Image.Resampling.BILINEAR
    )
    left, upper = (resized.width - 56) // 2, (resized.height - 56) // 2
    expected = np.asarray(resized.crop((left, upper, left + 56, upper + 56)), np.float32)
    found = values(smooth, wanted).transpose(1, 2, 0)
    # Half a pixel of the resized image is a step of 2 in 255 along its shorter side.
    np.testing.assert_allclose(found, expected, atol=3)


@given(sizes, st.floats(0.01, 1), st.integers(1, 300), st.integers(1, 300))
def test_the_centre_is_inside_and_has_the_nets_proportions(
    size: tuple[int, int], crop: float, height: int, width: int
) -> None:
    wanted = replace(SQUEEZED, height=height, width=width, crop=crop)
    left, upper, right, lower = middle(size, wanted)
    assert 0 <= left < right <= size[0]
    assert 0 <= upper < lower <= size[1]
    assert (right - left) * height == pytest.approx((lower - upper) * width, rel=1e-6, abs=1e-6)
    assert (left + right, upper + lower) == pytest.approx(size)
    fills = max((right - left) / size[0], (lower - upper) / size[1])
    assert fills == pytest.approx(crop)
    assert View(side=crop, squeeze=False).box(size, wanted) == pytest.approx(
        (left, upper, right, lower)
    )


MakeImage = Callable[..., Image.Image]
WANTED = Input(height=20, width=30, channel_order="BGR", raw_scale=255, mean=[1, 2, 3])


def _input(width: int, height: int) -> Input:
    return Input(height=height, width=width, channel_order="RGB", raw_scale=255)


def test_the_number_of_views() -> None:
    assert [len(views(name)) for name in get_args(ViewsName)] == [1, 2, 5, 10, 6]


def test_crops10_equals_caffes_oversample(make_image: MakeImage) -> None:
    from caffe.io import oversample

    image = make_image(1, 64, 48)
    # Three quarters of each side are whole pixels, so nothing is interpolated.
    found = [v.values(image, _input(48, 36)) for v in views("crops10", 0.75)]
    expected = oversample([np.asarray(image, np.float32)], (36, 48))
    np.testing.assert_array_equal(np.stack(found), expected.transpose(0, 3, 1, 2))


def test_channel_order_and_mean(make_image: MakeImage) -> None:
    image = make_image(1, 30, 20)
    (found,) = [v.values(image, WANTED) for v in views("whole")]
    pixels = np.asarray(image, np.float32)
    np.testing.assert_array_equal(found, pixels.transpose(2, 0, 1)[::-1] - [[[1]], [[2]], [[3]]])
    plain, mirrored = (v.values(image, WANTED) for v in views("mirror"))
    np.testing.assert_array_equal(mirrored, plain[:, :, ::-1])


def test_without_squeezing_the_longer_side_is_cropped() -> None:
    # Of an image of 90 x 40, a net of 30 x 20 sees the central 60 x 40.
    assert View(squeeze=False).box((90, 40), WANTED) == (15, 0, 75, 40)
    assert View(squeeze=False).box((30, 80), WANTED) == (0, 30, 30, 50)
    assert View(side=0.5, x=1, y=0).box((90, 40), WANTED) == (45, 0, 90, 20)


def test_scales_are_nested() -> None:
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
    st.sampled_from(get_args(ViewsName)),
    st.floats(0.05, 0.99),
    st.booleans(),
)
def test_every_box_is_inside_the_image(
    size: tuple[int, int], name: str, side: float, squeeze: bool
) -> None:
    for view in views(name, side, squeeze):
        left, upper, right, lower = view.box(size, WANTED)
        assert 0 <= left < right <= size[0]
        assert 0 <= upper < lower <= size[1]


def test_a_histogram_by_hand() -> None:
    pixels = np.zeros((2, 4, 3), np.uint8)
    pixels[0] = (255, 0, 128)
    pixels[1, :2] = (85, 86, 84)
    found = histogram(Image.fromarray(pixels), 3)
    expected = np.zeros((3, 3, 3))
    expected[2, 0, 1] = 0.5
    expected[0, 1, 0] = 0.25  # 86 is the lowest level of the second bin
    expected[0, 0, 0] = 0.25
    np.testing.assert_array_equal(found.reshape(3, 3, 3), expected)


def test_the_histogram_of_a_grey_image_is_diagonal() -> None:
    found = histogram(Image.fromarray(np.arange(256, dtype=np.uint8)[np.newaxis]), 4)
    cube = found.reshape(4, 4, 4)
    np.testing.assert_array_equal(cube[range(4), range(4), range(4)], [0.25] * 4)
    assert found.sum() == 1
