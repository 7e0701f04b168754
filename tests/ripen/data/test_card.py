"""The data card: counts, lists, both renderings, and the sample."""

import base64
import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ripen.data.card import GAP, Origin, card, html, jpeg, markdown, montage, sample_by_class
from ripen.data.image_index import Found, build
from ripen.data.labels import LABELS, Known
from ripen.data.scan import Duplicates, scan_image

CLASSES = ["cat", "dog"]
ORIGIN = Origin(
    title="Cats & dogs",
    source="https://www.kaggle.com/c/dogs-vs-cats",
    licence="for the competition only",
    sha256={"train.zip": "b" * 64, "sample.csv": "a" * 64},
)
MakeImage = Callable[..., Image.Image]
Encode = Callable[..., bytes]


@pytest.fixture
def built(make_image: MakeImage, encode: Encode) -> tuple[pd.DataFrame, Duplicates]:
    mirrored = make_image(1).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    files = {
        "train/cat.0.jpg": encode(make_image(1)),
        "train/cat.1.jpg": encode(make_image(2).convert("L")),
        "train/cat.2.jpg": b"<b>not an image</b>",
        "train/dog.0.jpg": encode(make_image(1), quality=50),
        "train/dog.1.png": encode(make_image(3, 400, 300), "PNG"),
        "test1/1.jpg": encode(make_image(3, 400, 300), "PNG"),
        "test1/2.jpg": encode(mirrored),
    }
    labels = LABELS["name"](list(files), Known(classes=CLASSES)).images
    return build(
        Found("a.zip", labelled, scan_image(name, content, 20))
        for (name, content), labelled in zip(files.items(), labels, strict=True)
        if labelled is not None
    )


@pytest.fixture
def values(built: tuple[pd.DataFrame, Duplicates]) -> dict[str, Any]:
    return card(*built, CLASSES, ORIGIN)


def test_counts(values: dict[str, Any]) -> None:
    assert values["images"] == {
        "train": {"cat": 2, "dog": 2, "excluded": 1},
        "test": {"unknown": 2, "excluded": 0},
    }
    assert values["formats"] == {"JPEG": 4, "PNG": 2}
    assert values["modes"] == {"RGB": 5, "L": 1}
    assert values["notes"] == {"greyscale": 1}
    assert values["sizes"]["width"] == {
        "least": 160, "5%": 160, "median": 160, "95%": 400, "most": 400,
    }  # fmt: skip
    assert list(values["sha256"]) == ["sample.csv", "train.zip"]
    assert json.loads(json.dumps(values)) == values


def test_lists(values: dict[str, Any]) -> None:
    assert values["problems"] == [
        {
            "name": "train/cat.2.jpg",
            "part": "train",
            "problem": "is not an image that Pillow can read",
        }
    ]
    assert values["exact_duplicates"] == [["train/dog.1.png", "test1/1.jpg"]]
    assert values["near_duplicates"] == [["train/cat.0.jpg", "train/dog.0.jpg"]]
    assert values["contradictions"] == values["near_duplicates"]
    assert values["mirrored"] == [
        ["train/cat.0.jpg", "test1/2.jpg"],
        ["train/dog.0.jpg", "test1/2.jpg"],
    ]


def test_markdown(values: dict[str, Any]) -> None:
    text = markdown(values, "grid.jpg")
    lines = text.splitlines()
    assert lines[0] == "# Cats & dogs"
    assert "![Sample images](grid.jpg)" in lines
    assert [line for line in lines if line.startswith("## ")] == [
        "## Images",
        "## Excluded: 1",
        "## Equal files: 1",
        "## Near-duplicates: 1",
        "## Near mirror images: 2",
        "## Duplicates of different classes: 1",
    ]
    for row in ("| train | cat | 2 |", "| JPEG | 4 |", "| width | 160 | 160 | 160 | 400 | 400 |"):
        assert row in lines
    # All rows of a table have as many cells as its head.
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({row.count("|") for row in table.splitlines()}) == 1
    assert "- `train/cat.2.jpg` is not an image that Pillow can read" in lines


def test_html(values: dict[str, Any], make_image: MakeImage) -> None:
    grid = jpeg(montage([[make_image(1)]]))
    values["problems"][0]["problem"] = "has <b>"
    page = html(values, grid)

    found = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append((tag, dict(attrs)))

    Reader().feed(page)
    assert "b" not in {tag for tag, _ in found}
    (source,) = [attributes["src"] for tag, attributes in found if tag == "img"]
    assert base64.b64decode(str(source).removeprefix("data:image/jpeg;base64,")) == grid
    assert "<title>Cats &amp; dogs</title>" in page
    assert "<code>train/cat.2.jpg</code> has &lt;b&gt;" in page
    assert "http" not in re.sub(r"https://www\.kaggle\.com/c/dogs-vs-cats", "", page)


def test_the_montage_has_each_image_in_its_square() -> None:
    wide, high = Image.new("RGB", (40, 20), "red"), Image.new("RGB", (20, 40), "blue")
    whole = montage([[wide, high], [high]], side=40)
    assert whole.size == (2 * 40 + GAP, 2 * 40 + GAP)
    pixels = np.asarray(whole)
    assert pixels[20, 20].tolist() == [255, 0, 0]
    assert pixels[5, 20].tolist() == [255, 255, 255]
    assert pixels[20, 40 + GAP + 20].tolist() == [0, 0, 255]
    assert pixels[40 + GAP + 2, 20].tolist() == [0, 0, 255]
    assert (pixels[40 + GAP :, 40 + GAP :] == 255).all()


def test_the_same_images_give_the_same_bytes(make_image: MakeImage) -> None:
    first, again = (jpeg(montage([[make_image(1), make_image(2)]])) for _ in range(2))
    assert first == again
    with Image.open(io.BytesIO(first)) as back:
        assert (back.size, back.format) == ((2 * 112 + GAP, 112), "JPEG")


def test_a_sample_of_each_class(built: tuple[pd.DataFrame, Duplicates]) -> None:
    index, _ = built
    assert sample_by_class(index, 2, each=5, seed=0) == [[0, 1], [3, 4]]
    drawn = [sample_by_class(index, 2, each=1, seed=seed) for seed in range(30)]
    assert {tuple(map(tuple, rows)) for rows in drawn} == {
        ((i,), (j,)) for i in (0, 1) for j in (3, 4)
    }
