"""A picture as a contract says: squeezed, or its middle; checked by hand and against Pillow."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ripen.data.images.views import View
from ripen.data.images.input import Input
from ripen.data.images.input import RESAMPLING, middle, values

SQUEEZED = Input(height=32, width=32, channel_order="RGB", raw_scale=255.0)
CROPPED = replace(SQUEEZED, crop=0.5, interpolation="bicubic")
sizes = st.tuples(st.integers(1, 5000), st.integers(1, 5000))


def picture(width: int, height: int) -> Image.Image:
    """A colour that runs across in red, down in green."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, 0 * x], -1).round().astype(np.uint8))


def test_a_squeezed_picture() -> None:
    found = values(picture(80, 60), SQUEEZED)
    expected = picture(80, 60).resize((32, 32), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(found, np.asarray(expected).transpose(2, 0, 1))


def test_the_middle_of_a_picture() -> None:
    # The largest square of 80x64 is 64x64, half of that 32x32: no pixel is resized.
    found = values(picture(80, 64), CROPPED)
    expected = np.asarray(picture(80, 64))[16:48, 24:56]
    np.testing.assert_array_equal(found, expected.transpose(2, 0, 1))


def test_a_box_is_taken_as_it_is() -> None:
    found = values(picture(80, 60), CROPPED, (0, 0, 80, 60), mirror=True)
    expected = picture(80, 60).resize((32, 32), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(found, np.asarray(expected)[:, ::-1].transpose(2, 0, 1))


def test_interpolations_differ() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8))
    bilinear, bicubic = (values(noise, replace(SQUEEZED, interpolation=i)) for i in RESAMPLING)
    assert np.abs(bilinear - bicubic).max() > 5


@pytest.mark.parametrize("size", [(300, 500), (640, 333)])
def test_resize_then_crop_gives_about_the_same(size: tuple[int, int]) -> None:
    """As torchvision does it: the shorter side resized, the middle cut out."""
    smooth, wanted = picture(*size), replace(SQUEEZED, height=56, width=56, crop=0.875)
    short = 64 / min(size)
    resized = smooth.resize(
        (round(size[0] * short), round(size[1] * short)), Image.Resampling.BILINEAR
    )
    left, upper = (resized.width - 56) // 2, (resized.height - 56) // 2
    expected = np.asarray(resized.crop((left, upper, left + 56, upper + 56)), np.float32)
    found = values(smooth, wanted).transpose(1, 2, 0)
    # Half a pixel of the resized picture is 2 of 255 along its shorter side.
    np.testing.assert_allclose(found, expected, atol=3)


@given(sizes, st.floats(0.01, 1), st.integers(1, 300), st.integers(1, 300))
def test_the_middle_is_inside_and_of_the_nets_proportions(
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
