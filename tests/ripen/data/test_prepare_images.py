"""The stage `prepare` for images, from Kaggle's archives to the index and the card."""

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ripen.core.layout import Layout
from ripen.data import image_index
from ripen.data.card import GAP, SIDE
from ripen.data.decode import open_archives
from ripen.settings.schema import Config
from ripen.stages import prepare
from tests.ripen.conftest import ROOT
from tests.ripen.photographs import cats_and_dogs, encoded, write_raw, zipped
from tests.ripen.photographs import photograph as make_image

LAYOUT = Layout("cats_vs_dogs")
MakeConfig = Callable[..., Config]


def test_the_index_has_every_image_and_its_fold(cats: MakeConfig) -> None:
    cats(each=7, tests=12)
    index = image_index.read(LAYOUT.prepared / "index.csv")
    assert index["id"].tolist() == [
        *(f"{name}.{i}" for name in ("cat", "dog") for i in range(7)),
        *map(str, range(1, 13)),
    ]
    train, test = index[index.part == "train"], index[index.part == "test"]
    # Seven images of a class are dealt to two folds.
    counts = train.groupby("label")["fold"].value_counts()
    assert sorted(counts[0]) == sorted(counts[1]) == [3, 4]
    assert set(test["fold"]) == {-1}
    with open_archives(LAYOUT.raw) as archives:
        contents = [file.read() for file in image_index.files(index, archives)]
    files = cats_and_dogs(7, 12)
    assert contents == [files[name] for name in index["name"]]


def test_a_second_run_writes_the_same_bytes(cats: MakeConfig) -> None:
    config = cats()
    first = {path.name: path.read_bytes() for path in LAYOUT.prepared.iterdir()}
    assert set(first) == {"index.csv", "card.json", "card.md", "card.html", "grid.jpg"}
    prepare.run(config, "cats_vs_dogs")
    assert {path.name: path.read_bytes() for path in LAYOUT.prepared.iterdir()} == first


def test_the_card_and_the_grid(cats: MakeConfig) -> None:
    cats()
    card = json.loads((LAYOUT.prepared / "card.json").read_text())
    assert (card["title"], card["source"]) == (
        "Dogs vs. Cats",
        "https://www.kaggle.com/c/dogs-vs-cats/data",
    )
    archive = (LAYOUT.raw / "dogs-vs-cats.zip").read_bytes()
    assert card["sha256"]["dogs-vs-cats.zip"] == hashlib.sha256(archive).hexdigest()
    assert card["images"] == {
        "train": {"cat": 6, "dog": 6, "excluded": 0},
        "test": {"unknown": 4, "excluded": 0},
    }
    with Image.open(io.BytesIO((LAYOUT.prepared / "grid.jpg").read_bytes())) as grid:
        assert grid.size == (6 * (SIDE + GAP) - GAP, 2 * (SIDE + GAP) - GAP)
        red = np.asarray(grid, np.float64)[:, :, 0]
    # Cats are in the first row.
    assert red[:SIDE].mean() > red[SIDE:].mean() + 10


def test_near_duplicates_are_in_one_fold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_config: MakeConfig
) -> None:
    files = cats_and_dogs(each=8, tests=1)
    for i in range(4):
        files[f"train/cat.{10 + i}.jpg"] = encoded(make_image(100 + i, 64, 48), quality=90)
        files[f"train/cat.{20 + i}.jpg"] = encoded(make_image(100 + i, 64, 48), quality=60)
    monkeypatch.chdir(tmp_path)
    write_raw(LAYOUT.raw, files)
    config = make_config("competition.cats_vs_dogs.prepare.folds=3")
    prepare.run(config, "cats_vs_dogs")
    fold = image_index.read(LAYOUT.prepared / "index.csv").set_index("id")["fold"]
    for i in range(4):
        assert fold[f"cat.{10 + i}"] == fold[f"cat.{20 + i}"]
    assert set(fold) == {-1, 0, 1, 2}


def test_imagenet_has_test_images_of_known_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_config: MakeConfig
) -> None:
    layout = Layout("imagenet")
    files = {
        "n01443537_goldfish.JPEG": encoded(make_image(1)),
        "n01440764_tench.JPEG": encoded(make_image(2)),
        "val/n01443537/ILSVRC2012_val_00000001.JPEG": encoded(make_image(3)),
    }
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").symlink_to(ROOT / "models")
    layout.raw.mkdir(parents=True)
    (layout.raw / "photographs.zip").write_bytes(zipped(files))
    prepare.run(make_config(), "imagenet")
    index = image_index.read(layout.prepared / "index.csv")
    assert index["name"].tolist() == [list(files)[i] for i in (1, 2, 0)]
    assert index["label"].tolist() == [0, 1, 1]
    assert set(index["part"]) == {"test"}
    assert set(index["fold"]) == {-1}
    card = json.loads((layout.prepared / "card.json").read_text())
    assert card["images"] == {
        "test": {"tench (n01440764)": 1, "goldfish (n01443537)": 2, "excluded": 0}
    }
    with Image.open(layout.prepared / "grid.jpg") as grid:
        assert grid.size == (3 * (SIDE + GAP) - GAP, SIDE)
