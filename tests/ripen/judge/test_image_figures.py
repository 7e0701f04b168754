"""The worst mistakes, the figure that shows them, and the images of the rows."""

import base64
import io
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
from PIL import Image

from ripen.judge.image_figures import (
    RowImages,
    Tile,
    draw_mistakes,
    fitted,
    tile_figure,
    worst,
)
from ripen.judge.scoring import Scored
from tests.ripen.photographs import photograph

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
    text = tile_figure("figure", [[Tile(photograph(1), (name,))]])
    (shown,) = re.findall(r"<text x=\"8\" y=\"\d+\">([^<]+)</text>", text)
    assert shown.endswith("…")
    assert name.startswith(shown[:-1])
    assert f"<title>{name}</title>" in text


def test_images_fit_their_squares() -> None:
    assert fitted(photograph(1, 300, 200)).size == (112, 75)
    assert fitted(photograph(1, 8, 4)).size == (112, 56)
    assert fitted(photograph(1, 8, 4), 400).size == (400, 200)
