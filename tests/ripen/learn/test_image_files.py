"""A net's outputs for several views of images."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ripen.core.errors import DataError
from ripen.data.decode import File
from ripen.data.image_input import Input, views
from ripen.learn import image_files as images
from ripen.learn.image_files import outputs_of_views
from tests.ripen.images import encoded, make_image

WANTED = Input(height=32, width=32, channel_order="RGB", raw_scale=1.0)


def files(count: int) -> list[File]:
    contents = [encoded(make_image(seed, 48, 36)) for seed in range(count)]
    return [File(f"{i}.jpg", lambda content=content: content) for i, content in enumerate(contents)]


def corners(data: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what the left and the right half of each image is on average, of shape (n, 2)."""
    return np.stack([data[..., :16].mean((1, 2, 3)), data[..., 16:].mean((1, 2, 3))], axis=1)


@pytest.mark.parametrize("threads", [1, 3])
def test_each_view_of_each_image_has_its_outputs(threads: int) -> None:
    found = outputs_of_views(corners, files(9), WANTED, views("mirror"), threads)
    assert found.shape == (9, 2, 2)
    # A mirrored image's left half is the other's right half.
    np.testing.assert_allclose(found[:, 1], found[:, 0, ::-1], rtol=1e-5)
    assert np.ptp(found[:, 0, 0]) > 0.01


@pytest.mark.parametrize("name", ["whole", "mirror", "crops10"])
def test_no_more_views_are_computed_at_once_than_a_batch_holds(name: str) -> None:
    sizes = []

    def answer(data: NDArray[np.float32]) -> NDArray[np.float32]:
        sizes.append(len(data))
        return corners(data)

    seen = views(name)  # type: ignore[arg-type]
    found = outputs_of_views(answer, files(9), WANTED, seen, 1)
    assert found.shape == (9, len(seen), 2)
    assert sum(sizes) == 9 * len(seen)
    assert max(sizes) <= max(images.AT_ONCE, len(seen))


def test_an_image_that_cannot_be_read_is_named() -> None:
    given = [*files(1), File("broken.jpg", lambda: b"no image")]
    with pytest.raises(DataError, match=r"^broken\.jpg: is not an image"):
        outputs_of_views(corners, given, WANTED, views("whole"), 1)
