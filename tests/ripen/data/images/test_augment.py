"""Augmentation: within its limits, from its generator, as worked out by hand."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ripen.data import image_input
from ripen.data.image_input import Input
from ripen.data.images.augment import Augmentation, jitter, random_box, values

WANTED = Input(height=24, width=32, channel_order="BGR", raw_scale=255, mean=[104, 117, 123])
Photo = Callable[..., Image.Image]


def test_nothing_changes_by_default(photo: Photo) -> None:
    found = values(photo(1), WANTED, Augmentation(), np.random.default_rng(0))
    np.testing.assert_array_equal(found, image_input.values(photo(1), WANTED))


def test_the_contracts_crop_is_not_taken_of_a_random_part(photo: Photo) -> None:
    wanted, picture = replace(WANTED, crop=0.5, interpolation="bicubic"), photo(1)
    found = values(picture, wanted, Augmentation(), np.random.default_rng(0))
    whole = image_input.values(picture, wanted, (0, 0, *picture.size))
    np.testing.assert_array_equal(found, whole)


def test_every_second_picture_is_mirrored(photo: Photo) -> None:
    picture, rng = photo(1), np.random.default_rng(0)
    whole = image_input.values(picture, WANTED)
    found = [values(picture, WANTED, Augmentation(mirror=True), rng) for _ in range(200)]
    mirrored = [np.array_equal(each, whole[:, :, ::-1]) for each in found]
    assert all(np.array_equal(e, whole) or m for e, m in zip(found, mirrored, strict=True))
    # Four standard errors of 200 throws of a coin.
    assert abs(sum(mirrored) - 100) < 4 * np.sqrt(50)


@given(
    st.tuples(st.integers(8, 999), st.integers(8, 999)),
    st.floats(0.05, 1),
    st.floats(1, 4),
    st.integers(0, 999),
)
def test_area_crops_keep_their_limits(
    size: tuple[int, int], min_area: float, max_aspect: float, seed: int
) -> None:
    wish = Augmentation(crop="area", min_area=min_area, max_aspect=max_aspect)
    left, upper, right, lower = random_box(size, WANTED, wish, np.random.default_rng(seed))
    assert 0 <= left < right <= size[0]
    assert 0 <= upper < lower <= size[1]
    width, height = (right - left) / size[0], (lower - upper) / size[1]
    assert min_area - 1e-6 <= width * height <= 1 + 1e-6
    assert 1 / max_aspect - 1e-6 <= width / height <= max_aspect + 1e-6


def test_area_crops_go_everywhere() -> None:
    wish, rng = Augmentation(crop="area", min_area=0.25), np.random.default_rng(0)
    boxes = np.array([random_box((100, 100), WANTED, wish, rng) for _ in range(4000)])
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / 1e4
    # Uniform from 0.25 to 1; four standard errors.
    assert areas.mean() == pytest.approx(0.625, abs=4 * 0.75 / np.sqrt(12 * 4000))
    assert boxes[:, 0].max() > 45
    assert (boxes[:, 0] + boxes[:, 2]).mean() == pytest.approx(100, abs=2)


def test_caffes_crop_cuts_whole_pixels_of_the_resized_picture(photo: Photo) -> None:
    wish, picture = Augmentation(crop="caffe", resized=40), photo(1, 40, 40)
    pixels = np.asarray(picture, np.float32)[:, :, ::-1] - np.array([104, 117, 123], np.float32)
    rng, seen = np.random.default_rng(0), set()
    for _ in range(300):
        left, upper, right, lower = random_box((40, 40), WANTED, wish, rng)
        x, y = round(left), round(upper)
        assert (left, upper, right, lower) == pytest.approx((x, y, x + 32, y + 24))
        seen.add((x, y))
    # 9 x 17 places.
    assert {x for x, _ in seen} == set(range(9))
    assert {y for _, y in seen} == set(range(17))
    found = values(picture, WANTED, wish, np.random.default_rng(5)).transpose(1, 2, 0)
    left, upper, _, _ = random_box((40, 40), WANTED, wish, np.random.default_rng(5))
    x, y = round(left), round(upper)
    np.testing.assert_array_equal(found, pixels[y : y + 24, x : x + 32])


def test_colours_by_hand() -> None:
    picture = Image.new("RGB", (2, 1), (100, 50, 200))
    picture.putpixel((1, 0), (20, 20, 20))

    class Fixed(np.random.Generator):
        def uniform(self, low: float = 0, high: float = 1, size: None = None) -> float:
            return high

    rng = Fixed(np.random.PCG64(0))
    brighter = jitter(picture, Augmentation(brightness=0.5), rng)
    assert np.asarray(brighter).tolist() == [[[150, 75, 255], [30, 30, 30]]]
    # Grey by Pillow's weights: (299 * 100 + 587 * 50 + 114 * 200) / 1000 = 82, and 20; mean 51.
    contrast = jitter(picture, Augmentation(contrast=0.5), rng)
    np.testing.assert_allclose(np.asarray(contrast)[0], [[124, 49, 255], [4, 4, 4]], atol=1)
    colour = jitter(picture, Augmentation(saturation=0.5), rng)
    np.testing.assert_allclose(np.asarray(colour)[0], [[109, 34, 255], [20, 20, 20]], atol=1)


def test_the_generator_decides(photo: Photo) -> None:
    wish = Augmentation(
        mirror=True, crop="area", min_area=0.5, max_aspect=1.3, brightness=0.2, contrast=0.2
    )
    first, again, other = (
        values(photo(1), WANTED, wish, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 1
