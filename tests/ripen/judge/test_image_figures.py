"""The worst mistakes, the figure that shows them, and the images of the rows."""

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ripen.competition.index import Index
from ripen.competition.tasks import TASKS
from ripen.core.archives import Archive
from ripen.core.layout import Layout
from ripen.data.decode import decode as read
from ripen.judge.image_figures import (
    RowImages,
    Tile,
    draw_mistakes,
    fitted,
    open_images,
    tile_figure,
    worst,
)
from ripen.judge.scoring import Scored
from ripen.settings.schema import Competition
from tests.ripen.images import cats_and_dogs, make_image, write_raw

CLASSES = ("cat", "dog & co")
SVG = "{http://www.w3.org/2000/svg}"


def scored(dog: list[float], labels: list[int]) -> Scored:
    probabilities = np.stack([1 - np.array(dog), dog], axis=1)
    ids = np.arange(10, 10 + len(labels))
    return Scored("net", "validation", ids, np.array(labels), probabilities)


def test_the_worst_mistakes_come_first_without_rows_that_are_right() -> None:
    found = worst(scored([0.9, 0.2, 0.99, 0.4, 0.7], [1, 1, 0, 0, 0]), CLASSES)
    assert found.to_dict("list") == {
        "row": [12, 11, 14],
        "actual": ["cat", "dog & co", "cat"],
        "predicted": ["dog & co", "cat", "dog & co"],
        "probability": [0.99, 0.8, 0.7],
        "probability_of_actual": [0.01, 0.2, 0.3],
    }
    assert worst(scored([0.9] * 30, [0] * 30), CLASSES)["row"].tolist() == list(range(10, 34))


def test_the_figure_has_each_image_with_its_caption(tmp_path: Path) -> None:
    opened = []

    def image(row: int) -> Image.Image:
        opened.append(row)
        return Image.new("RGB", (30, 20), (row, 0, 0))

    one = scored([0.9, 0.2, 0.99, 0.4, 0.7], [1, 1, 0, 0, 0])
    draw_mistakes(one, CLASSES, RowImages(image, lambda row: f"train/{row}.jpg"), tmp_path)
    assert opened == [12, 11, 14]
    table = pd.read_csv(tmp_path / "mistakes.csv")
    assert table.name.tolist() == ["train/12.jpg", "train/11.jpg", "train/14.jpg"]

    text = (tmp_path / "mistakes.svg").read_text()
    page = ElementTree.fromstring(text)
    assert page.get("aria-label") == "net, validation: the worst 3 of 3 mistakes"
    groups = [group for group in page.iter(f"{SVG}g") if group.get("role") == "img"]
    assert [group.get("aria-label") for group in groups] == [
        "train/12.jpg true: cat, pred: dog & co, p = 99.0%",
        "train/11.jpg true: dog & co, pred: cat, p = 80.0%",
        "train/14.jpg true: cat, pred: dog & co, p = 70.0%",
    ]
    assert [line.text for line in groups[1].iter(f"{SVG}text")] == [
        "true: dog & co",
        "pred: cat",
        "p = 80.0%",
    ]
    reds = []
    for data in re.findall(r"base64,([^\"]+)", text):
        with Image.open(io.BytesIO(base64.b64decode(data))) as shown:
            assert shown.size == (90, 60)
            reds.append(np.asarray(shown)[..., 0].mean())
    np.testing.assert_allclose(reds, [12, 11, 14], atol=1)


def test_a_model_without_a_mistake(tmp_path: Path) -> None:
    def image(row: int) -> Image.Image:
        raise AssertionError(row)

    draw_mistakes(scored([0.9, 0.2], [1, 0]), CLASSES, RowImages(image, str), tmp_path)
    assert "no mistake among 2" in (tmp_path / "mistakes.svg").read_text()
    assert len(pd.read_csv(tmp_path / "mistakes.csv")) == 0


def test_a_long_line_is_shortened_and_its_title_is_whole() -> None:
    name = "n01514859 a hen with a very long name"
    text = tile_figure("figure", [[Tile(make_image(1), (name,))]])
    (shown,) = re.findall(r"<text x=\"8\" y=\"\d+\">([^<]+)</text>", text)
    assert shown.endswith("…")
    assert name.startswith(shown[:-1])
    assert f"<title>{name}</title>" in text


def test_images_fit_their_squares() -> None:
    assert fitted(make_image(1, 300, 200)).size == (112, 75)
    assert fitted(make_image(1, 8, 4)).size == (112, 56)
    assert fitted(make_image(1, 8, 4), 400).size == (400, 200)


def rows_of(**columns: list[str]) -> Index:
    """Return an index of two classes with these columns."""
    return Index(pd.DataFrame(columns), TASKS["binary"], ("0", "1"), CLASSES)


def test_images_of_a_table_are_its_pixels(
    make_competition: Callable[..., Competition], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    layout = Layout("digits")
    layout.prepared.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 17, (5, 64))
    table = pd.DataFrame({f"pixel_{k}": column for k, column in enumerate(pixels.T)})
    table.to_parquet(layout.table, index=False)
    index = rows_of(id=["7", "8", "9", "10", "11"])
    with open_images(make_competition("digits"), layout, index) as images:
        assert images is not None
        shown = np.asarray(images.image(3))
        assert images.name(3) == "id 10"
    np.testing.assert_array_equal(shown, np.rint(pixels[3].reshape(8, 8) * (255 / 16)))


def test_images_are_those_of_the_archives(
    make_competition: Callable[..., Competition], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    layout = Layout("cats_vs_dogs")
    archive = write_raw(layout.raw, cats_and_dogs())
    names = ["train/cat.1.jpg", "train/dog.2.jpg"]
    index = rows_of(archive=[f"{archive.name}/train.zip"] * 2, name=names)
    with open_images(make_competition("avocado"), layout, index) as images:
        assert images is not None
        assert images.name(1) == "train/dog.2.jpg"
        shown = np.asarray(images.image(1))
    with Archive(archive) as outer, outer.inner("train.zip") as inner:
        expected = read(inner.read("train/dog.2.jpg"), "dog")
    np.testing.assert_array_equal(shown, np.asarray(expected))


def test_rows_of_a_table_are_no_images(make_competition: Callable[..., Competition]) -> None:
    with open_images(make_competition("avocado"), Layout("avocado"), rows_of(id=["1"])) as images:
        assert images is None
