"""Images as input of a net: squeezed or cropped; checked by hand and against Pillow."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ripen.data.image_input import RESAMPLING, Input, middle, values
from ripen.data.images.views import View

SQUEEZED = Input(height=32, width=32, channel_order="RGB", raw_scale=255.0)
CROPPED = replace(SQUEEZED, crop=0.5, interpolation="bicubic")
sizes = st.tuples(st.integers(1, 5000), st.integers(1, 5000))


def gradient(width: int, height: int) -> Image.Image:
    """Return an image whose red increases to the right and whose green increases downwards."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, 0 * x], -1).round().astype(np.uint8))


def test_without_a_crop_the_whole_image_is_squeezed() -> None:
    found = values(gradient(80, 60), SQUEEZED)
    expected = gradient(80, 60).resize((32, 32), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(found, np.asarray(expected).transpose(2, 0, 1))


def test_a_crop_takes_the_centre() -> None:
    # The largest square of 80x64 is 64x64, half of that 32x32: no resizing.
    found = values(gradient(80, 64), CROPPED)
    expected = np.asarray(gradient(80, 64))[16:48, 24:56]
    np.testing.assert_array_equal(found, expected.transpose(2, 0, 1))


def test_a_box_overrides_the_crop() -> None:
    found = values(gradient(80, 60), CROPPED, (0, 0, 80, 60), mirror=True)
    expected = gradient(80, 60).resize((32, 32), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(found, np.asarray(expected)[:, ::-1].transpose(2, 0, 1))


def test_interpolations_differ() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8))
    bilinear, bicubic = (values(noise, replace(SQUEEZED, interpolation=i)) for i in RESAMPLING)
    assert np.abs(bilinear - bicubic).max() > 5


@pytest.mark.parametrize("size", [(300, 500), (640, 333)])
def test_agrees_with_resize_then_centre_crop(size: tuple[int, int]) -> None:
    """As in torchvision: resize the shorter side, crop the centre."""
    smooth, wanted = gradient(*size), replace(SQUEEZED, height=56, width=56, crop=0.875)
    short = 64 / min(size)
    resized = smooth.resize(
        (round(size[0] * short), round(size[1] * short)), Image.Resampling.BILINEAR
    )
    left, upper = (resized.width - 56) // 2, (resized.height - 56) // 2
    expected = np.asarray(resized.crop((left, upper, left + 56, upper + 56)), np.float32)
    found = values(smooth, wanted).transpose(1, 2, 0)
    # Half a pixel of the resized image is 2 of 255 along its shorter side.
    np.testing.assert_allclose(found, expected, atol=3)


@given(sizes, st.floats(0.01, 1), st.integers(1, 300), st.integers(1, 300))
def test_the_centre_is_inside_the_image_and_has_the_nets_proportions(
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
