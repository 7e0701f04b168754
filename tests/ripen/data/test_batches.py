"""Augmentation within its limits, and batches: their images, views, order and read-ahead."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from ripen.core.errors import DataError
from ripen.data.batches import (
    Augmentation,
    augmented,
    batches,
    jitter,
    prepare_augmented,
    prepare_views,
    random_box,
)
from ripen.data.decode import File
from ripen.data.image_input import Input, values, views

WANTED = Input(height=24, width=32, channel_order="BGR", raw_scale=255, mean=[104, 117, 123])
Encode = Callable[..., bytes]
MakeImage = Callable[..., Image.Image]


def test_by_default_nothing_changes(make_image: MakeImage) -> None:
    found = augmented(make_image(1), WANTED, Augmentation(), np.random.default_rng(0))
    np.testing.assert_array_equal(found, values(make_image(1), WANTED))


def test_augmentation_ignores_the_contracts_crop(make_image: MakeImage) -> None:
    wanted, image = replace(WANTED, crop=0.5, interpolation="bicubic"), make_image(1)
    found = augmented(image, wanted, Augmentation(), np.random.default_rng(0))
    whole = values(image, wanted, (0, 0, *image.size))
    np.testing.assert_array_equal(found, whole)


def test_half_of_the_images_are_mirrored(make_image: MakeImage) -> None:
    image, rng = make_image(1), np.random.default_rng(0)
    whole = values(image, WANTED)
    found = [augmented(image, WANTED, Augmentation(mirror=True), rng) for _ in range(200)]
    mirrored = [np.array_equal(each, whole[:, :, ::-1]) for each in found]
    assert all(np.array_equal(e, whole) or m for e, m in zip(found, mirrored, strict=True))
    # Four standard errors of 200 tosses of a coin.
    assert abs(sum(mirrored) - 100) < 4 * np.sqrt(50)


@given(
    st.tuples(st.integers(8, 999), st.integers(8, 999)),
    st.floats(0.05, 1),
    st.floats(1, 4),
    st.integers(0, 999),
)
def test_area_crops_stay_within_their_limits(
    size: tuple[int, int], min_area: float, max_aspect: float, seed: int
) -> None:
    augmentation = Augmentation(crop="area", min_area=min_area, max_aspect=max_aspect)
    left, upper, right, lower = random_box(size, WANTED, augmentation, np.random.default_rng(seed))
    assert 0 <= left < right <= size[0]
    assert 0 <= upper < lower <= size[1]
    width, height = (right - left) / size[0], (lower - upper) / size[1]
    assert min_area - 1e-6 <= width * height <= 1 + 1e-6
    assert 1 / max_aspect - 1e-6 <= width / height <= max_aspect + 1e-6


def test_area_crops_cover_the_image() -> None:
    augmentation, rng = Augmentation(crop="area", min_area=0.25), np.random.default_rng(0)
    boxes = np.array([random_box((100, 100), WANTED, augmentation, rng) for _ in range(4000)])
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / 1e4
    # Uniform from 0.25 to 1; four standard errors.
    assert areas.mean() == pytest.approx(0.625, abs=4 * 0.75 / np.sqrt(12 * 4000))
    assert boxes[:, 0].max() > 45
    assert (boxes[:, 0] + boxes[:, 2]).mean() == pytest.approx(100, abs=2)


def test_caffes_crop_takes_whole_pixels_of_the_resized_image(make_image: MakeImage) -> None:
    augmentation, image = Augmentation(crop="caffe", resized=40), make_image(1, 40, 40)
    pixels = np.asarray(image, np.float32)[:, :, ::-1] - np.array([104, 117, 123], np.float32)
    rng, seen = np.random.default_rng(0), set()
    for _ in range(300):
        left, upper, right, lower = random_box((40, 40), WANTED, augmentation, rng)
        x, y = round(left), round(upper)
        assert (left, upper, right, lower) == pytest.approx((x, y, x + 32, y + 24))
        seen.add((x, y))
    # 9 x 17 places.
    assert {x for x, _ in seen} == set(range(9))
    assert {y for _, y in seen} == set(range(17))
    found = augmented(image, WANTED, augmentation, np.random.default_rng(5)).transpose(1, 2, 0)
    left, upper, _, _ = random_box((40, 40), WANTED, augmentation, np.random.default_rng(5))
    x, y = round(left), round(upper)
    np.testing.assert_array_equal(found, pixels[y : y + 24, x : x + 32])


def test_colour_jitter_by_hand() -> None:
    image = Image.new("RGB", (2, 1), (100, 50, 200))
    image.putpixel((1, 0), (20, 20, 20))

    class Fixed(np.random.Generator):
        def uniform(self, low: float = 0, high: float = 1, size: None = None) -> float:
            return high

    rng = Fixed(np.random.PCG64(0))
    brighter = jitter(image, Augmentation(brightness=0.5), rng)
    assert np.asarray(brighter).tolist() == [[[150, 75, 255], [30, 30, 30]]]
    # Grey by Pillow's weights: (299 * 100 + 587 * 50 + 114 * 200) / 1000 = 82, and 20; mean 51.
    contrast = jitter(image, Augmentation(contrast=0.5), rng)
    np.testing.assert_allclose(np.asarray(contrast)[0], [[124, 49, 255], [4, 4, 4]], atol=1)
    colour = jitter(image, Augmentation(saturation=0.5), rng)
    np.testing.assert_allclose(np.asarray(colour)[0], [[109, 34, 255], [20, 20, 20]], atol=1)


def test_the_result_depends_on_the_generator_alone(make_image: MakeImage) -> None:
    augmentation = Augmentation(
        mirror=True, crop="area", min_area=0.5, max_aspect=1.3, brightness=0.2, contrast=0.2
    )
    first, again, other = (
        augmented(make_image(1), WANTED, augmentation, np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 1


@pytest.fixture
def files(make_image: MakeImage, encode: Encode) -> list[File]:
    contents = [encode(make_image(seed), "PNG") for seed in range(23)]
    return [File(f"{i}.png", lambda c=content: c) for i, content in enumerate(contents)]


@pytest.mark.parametrize("threads", [1, 3])
def test_batches_have_all_views_of_each_image(
    files: list[File], make_image: MakeImage, threads: int
) -> None:
    prepare = prepare_views(WANTED, views("mirror"))
    found = list(batches(files, WANTED, prepare, 5, threads))
    assert [batch.rows.tolist() for batch in found] == [
        list(range(i, min(i + 5, 23))) for i in range(0, 23, 5)
    ]
    assert found[0].data.dtype == np.float32
    data = np.concatenate([batch.data for batch in found]).reshape(23, 2, 3, 24, 32)
    for row in range(23):
        expected = values(make_image(row), WANTED)
        np.testing.assert_array_equal(data[row, 0], expected)
        np.testing.assert_array_equal(data[row, 1], expected[:, :, ::-1])


def test_rows_in_any_order(files: list[File], make_image: MakeImage) -> None:
    prepare = prepare_views(WANTED, views("whole"))
    (batch,) = batches(files, WANTED, prepare, 9, 2, order=[7, 7, 2])
    assert batch.rows.tolist() == [7, 7, 2]
    np.testing.assert_array_equal(batch.data[2], values(make_image(2), WANTED))
    np.testing.assert_array_equal(batch.data[0], batch.data[1])


def test_augmentation_does_not_depend_on_threads(files: list[File]) -> None:
    augmentation = Augmentation(
        mirror=True, crop="area", min_area=0.3, max_aspect=1.5, saturation=0.3
    )

    def run(threads: int, epoch: int) -> NDArray[np.float32]:
        prepare = prepare_augmented(WANTED, augmentation, seed=4, epoch=epoch)
        order = [3] * 12
        return np.concatenate(
            [batch.data for batch in batches(files, WANTED, prepare, 5, threads, order)]
        )

    first = run(1, 0)
    np.testing.assert_array_equal(first, run(3, 0))
    # Each position in each epoch has its own draw.
    assert len({each.tobytes() for each in [*first, *run(1, 1)]}) == 24


def test_read_ahead_is_bounded(files: list[File]) -> None:
    read: list[int] = []
    many = [File(str(i), lambda i=i: (read.append(i), files[i % 23].read())[1]) for i in range(500)]
    coming = batches(many, WANTED, prepare_views(WANTED, views("whole")), 20, 2)
    next(coming)
    assert len(read) == 40
    next(coming)
    assert len(read) == 60
    coming.close()


def test_a_broken_image_is_an_error_at_its_batch(files: list[File]) -> None:
    files[8] = File("train/cat.8.jpg", lambda: b"not an image")
    coming = batches(files, WANTED, prepare_views(WANTED, views("whole")), 4, 2)
    assert next(coming).rows.tolist() == [0, 1, 2, 3]
    assert next(coming).rows.tolist() == [4, 5, 6, 7]
    with pytest.raises(
        DataError, match=r"^train/cat\.8\.jpg: is not an image that Pillow can read$"
    ):
        next(coming)
