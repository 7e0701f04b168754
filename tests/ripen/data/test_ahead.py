"""Processes that decode: the same batches as threads give, and errors that name the image."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from ripen.core.errors import DataError
from ripen.data import ahead
from ripen.data.batches import Augmentation, batches, prepare_augmented, prepare_views
from ripen.data.decode import File
from ripen.data.image_input import Input, views
from tests.ripen.images import encoded, make_image

WANTED = Input(height=24, width=32, channel_order="BGR", raw_scale=255, mean=[104, 117, 123])
FILES = [File(f"{k}.png", lambda k=k: encoded(make_image(k), "PNG")) for k in range(11)]  # type: ignore[misc]


@pytest.mark.slow
def test_processes_give_the_batches_of_threads() -> None:
    augmentation = Augmentation(mirror=True, crop="area", min_area=0.3, saturation=0.3)
    for prepare, seen, order in (
        (prepare_views(WANTED, views("mirror")), 2, None),
        (prepare_augmented(WANTED, augmentation, seed=4), 1, [3, 3, 0, 9, 9]),
    ):
        expected = list(batches(FILES, WANTED, prepare, 4, 1, order))
        pinned: list[Any] = []

        def pin(array: Any, pinned: list[Any] = pinned) -> Any:
            pinned.append(array.shape)
            return pinned.pop

        coming = batches(FILES, WANTED, prepare, 4, 1, order, 2, seen, pin)
        for one, other in zip(coming, expected, strict=True):
            assert len(pinned) == ahead.BUFFERS
            np.testing.assert_array_equal(one.rows, other.rows)
            np.testing.assert_array_equal(one.data, other.data)
        assert not pinned


@pytest.mark.slow
def test_a_broken_image_is_named_and_a_killed_process_is_an_error() -> None:
    broken = [*FILES[:9], File("train/cat.8.jpg", lambda: b"no image"), FILES[10]]
    coming = batches(broken, WANTED, prepare_views(WANTED, views("whole")), 4, 1, None, 1)
    assert [next(coming).rows.tolist() for _ in range(2)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    with pytest.raises(DataError, match=r"^train/cat\.8\.jpg: is not an image that Pillow"):
        next(coming)
    items: Iterator[ahead.Item] = iter([(0, 0, "0", b"")])
    with pytest.raises(DataError, match="a process that decodes images was killed"):
        list(ahead.decoded(items, _killed, 1, (1, 3, 2, 2), 1))


def _killed(item: ahead.Item) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)
