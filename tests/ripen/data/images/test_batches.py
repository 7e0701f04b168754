"""Batches: which pictures, which views, in which order, and how little is read ahead."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ripen.core.errors import DataError
from ripen.data import image_input
from ripen.data.image_input import Input
from ripen.data.images.augment import Augmentation
from ripen.data.images.batches import batches, of_chance, of_views
from ripen.data.images.files import File
from ripen.data.images.views import views

WANTED = Input(height=24, width=32, channel_order="BGR", raw_scale=255, mean=[104, 117, 123])
Photo = Callable[..., Image.Image]


@pytest.fixture
def files(photo: Photo, encode: Callable[..., bytes]) -> list[File]:
    contents = [encode(photo(seed), "PNG") for seed in range(23)]
    return [File(f"{i}.png", lambda c=content: c) for i, content in enumerate(contents)]


@pytest.mark.parametrize("threads", [1, 3])
def test_all_views_of_each_picture(files: list[File], photo: Photo, threads: int) -> None:
    prepare = of_views(WANTED, views("mirror"))
    found = list(batches(files, WANTED, prepare, 5, threads))
    assert [batch.rows.tolist() for batch in found] == [
        list(range(i, min(i + 5, 23))) for i in range(0, 23, 5)
    ]
    assert found[0].data.dtype == np.float32
    data = np.concatenate([batch.data for batch in found]).reshape(23, 2, 3, 24, 32)
    for row in range(23):
        expected = image_input.values(photo(row), WANTED)
        np.testing.assert_array_equal(data[row, 0], expected)
        np.testing.assert_array_equal(data[row, 1], expected[:, :, ::-1])


def test_any_order(files: list[File], photo: Photo) -> None:
    prepare = of_views(WANTED, views("whole"))
    (batch,) = batches(files, WANTED, prepare, 9, 2, order=[7, 7, 2])
    assert batch.rows.tolist() == [7, 7, 2]
    np.testing.assert_array_equal(batch.data[2], image_input.values(photo(2), WANTED))
    np.testing.assert_array_equal(batch.data[0], batch.data[1])


def test_chance_is_the_same_in_any_number_of_threads(files: list[File]) -> None:
    wish = Augmentation(mirror=True, crop="area", min_area=0.3, max_aspect=1.5, saturation=0.3)

    def run(threads: int, epoch: int) -> NDArray[np.float32]:
        prepare = of_chance(WANTED, wish, seed=4, epoch=epoch)
        order = [3] * 12
        return np.concatenate(
            [batch.data for batch in batches(files, WANTED, prepare, 5, threads, order)]
        )

    first = run(1, 0)
    np.testing.assert_array_equal(first, run(3, 0))
    # Another place, or another epoch, is another draw.
    assert len({each.tobytes() for each in [*first, *run(1, 1)]}) == 24


def test_what_is_read_ahead(files: list[File]) -> None:
    read: list[int] = []
    many = [File(str(i), lambda i=i: (read.append(i), files[i % 23].read())[1]) for i in range(500)]
    coming = batches(many, WANTED, of_views(WANTED, views("whole")), 20, 2)
    next(coming)
    assert len(read) == 40
    next(coming)
    assert len(read) == 60
    coming.close()


def test_a_broken_picture(files: list[File]) -> None:
    files[8] = File("train/cat.8.jpg", lambda: b"no picture")
    coming = batches(files, WANTED, of_views(WANTED, views("whole")), 4, 2)
    assert next(coming).rows.tolist() == [0, 1, 2, 3]
    assert next(coming).rows.tolist() == [4, 5, 6, 7]
    with pytest.raises(DataError, match=r"^train/cat\.8\.jpg: is no picture that Pillow knows$"):
        next(coming)
