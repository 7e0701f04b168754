"""Frozen features: blocks in order, files whole or not at all, bounded memory."""

import weakref
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from ripen.core.errors import ConfigError, DataError
from ripen.data.decode import File, decode
from ripen.data.image_input import histogram
from ripen.nets.frozen import (
    Block,
    Features,
    OfColours,
    OfNet,
    OfThumbnail,
    from_zoo,
    write,
)
from ripen.settings.schema import FrozenNet, Images
from tests.ripen.frozen import with_weights
from tests.ripen.images import encoded, make_image

SQUEEZENET = FrozenNet(
    net="squeezenet", layers=["fire9/concat"], pools=["AVE"], sides=[83, 67], views="mirror"
)
TWO_AT_ONCE = Images(
    labels={}, min_side=1, max_broken=0.0, crop=0.9, batch_size=2, precision="float16"
)
SIZE = 512


def images(count: int) -> list[File]:
    contents = [encoded(make_image(seed, 48, 36)) for seed in range(count)]
    return [File(f"{i}.jpg", lambda content=content: content) for i, content in enumerate(contents)]


@pytest.fixture
def squeezenet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with_weights("squeezenet")


def test_blocks_cover_the_images_at_one_size_after_the_other(squeezenet: None) -> None:
    done: list[int] = []
    features = OfNet(frozen=SQUEEZENET).extract(images(5), TWO_AT_ONCE, 1, done.append)
    assert (features.shape, features.dtype) == ((5, 4, SIZE), np.float16)
    blocks = list(features.blocks)
    places = [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert [block.rows for block in blocks] == 2 * places
    assert [block.views for block in blocks] == 3 * [slice(0, 2)] + 3 * [slice(2, 4)]
    assert [block.values.shape for block in blocks] == 2 * [
        (2, 2, SIZE),
        (2, 2, SIZE),
        (1, 2, SIZE),
    ]
    assert done == 2 * [2, 2, 1]


@pytest.mark.parametrize("threads", [1, 3])
def test_features_are_the_same_for_any_number_of_threads(
    squeezenet: None, tmp_path: Path, threads: int
) -> None:
    settings = OfNet(frozen=SQUEEZENET)
    for name, number in (("one", 1), ("many", threads)):
        features = settings.extract(images(5), TWO_AT_ONCE, number)
        write(tmp_path / f"{name}.h5", np.arange(5), features, {})
    assert (tmp_path / "many.h5").read_bytes() == (tmp_path / "one.h5").read_bytes()


def test_an_unknown_layer_fails_as_the_net_is_opened(squeezenet: None) -> None:
    settings = FrozenNet(
        net="squeezenet", layers=["fire9/conca"], pools=["AVE"], sides=[83], views="whole"
    )
    with pytest.raises(ConfigError, match="no layer 'fire9/conca'; did you mean 'fire9/concat'"):
        from_zoo(settings)


@pytest.mark.parametrize("threads", [1, 2])
def test_colour_histograms_have_the_same_form(tmp_path: Path, threads: int) -> None:
    done: list[int] = []
    features = OfColours(bins=3).extract(images(300), TWO_AT_ONCE, threads, done.append)
    write(tmp_path / "histogram.h5", np.arange(300) + 7, features, {"bins": 3})
    with h5py.File(tmp_path / "histogram.h5") as file:
        assert file["row"][()].tolist() == list(range(7, 307))
        assert dict(file.attrs) == {"bins": 3}
        assert file["features"].shape == (300, 1, 27)
        np.testing.assert_array_equal(
            file["features"][299, 0], histogram(image_of(images(300)[299]), 3)
        )
    assert done == [256, 44]


def test_thumbnails_are_means_over_boxes_of_the_whole_image() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 3)).astype(np.uint8)
    file = File("a.png", lambda: encoded(Image.fromarray(pixels), "PNG"))
    extraction = OfThumbnail(side=2)
    found = extraction.extract([file], TWO_AT_ONCE, 1).array()
    assert found.shape == (1, 1, extraction.size) == (1, 1, 12)
    boxes = pixels.reshape(2, 4, 2, 6, 3).mean(axis=(1, 3)).reshape(-1) / 255
    np.testing.assert_allclose(found[0, 0], boxes, atol=1 / 255)


def image_of(file: File) -> Image.Image:
    return decode(file.read(), file.name)


def test_a_failure_leaves_no_file(tmp_path: Path) -> None:
    files = [*images(2), File("broken.jpg", lambda: b"broken")]
    features = OfColours(bins=3).extract(files, TWO_AT_ONCE, 1)
    with pytest.raises(DataError, match="broken.jpg"):
        write(tmp_path / "histogram.h5", np.arange(3), features, {})
    assert not list(tmp_path.iterdir())


def test_blocks_are_written_as_they_come(tmp_path: Path) -> None:
    """No more than one block is alive at a time: memory does not grow with the number of images."""
    alive: list[weakref.ref[np.ndarray]] = []

    def blocks() -> Iterator[Block]:
        for row in range(4):
            assert not any(each() is not None for each in alive[:-1])
            values = np.full((1, 1, 2), row, np.float32)
            alive.append(weakref.ref(values))
            yield Block(slice(row, row + 1), slice(0, 1), values)

    features = Features((4, 1, 2), np.dtype(np.float32), blocks())
    write(tmp_path / "x.h5", np.arange(4), features, {})
    with h5py.File(tmp_path / "x.h5") as file:
        assert file["features"][:, 0, 0].tolist() == [0, 1, 2, 3]
