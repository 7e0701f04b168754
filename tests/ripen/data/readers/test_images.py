"""Images, from Kaggle's archives to the index and the card; and input that is invalid.

Bad input is an error of one line that names the file, or an image that is excluded. Details are in
the tests of archives, decoding, labels and index.
"""

import hashlib
import io
import json
import os
import resource
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from struct import pack
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ripen.competition import index as indexes
from ripen.core.errors import ConfigError, DataError
from ripen.core.layout import Layout
from ripen.data import image_index
from ripen.data.card import GAP, SIDE
from ripen.data.decode import open_archives
from ripen.settings.compose import load_competition
from ripen.stages import prepare
from tests.ripen.images import cats_and_dogs, encoded, make_image, of_synsets, write_raw, zipped
from tests.ripen.stages.conftest import ROOT

LAYOUT = Layout("cats_vs_dogs")
SAMPLE = LAYOUT.raw / "sampleSubmission.csv"
ARCHIVE = r"^data/cats_vs_dogs/raw/dogs-vs-cats\.zip"
INNER = ARCHIVE + r": train\.zip: "
FILES = cats_and_dogs()
OVERRIDES = ("competitions=[cats_vs_dogs]", "validation.folds=2", "images.max_broken=0.25")

Params = Callable[..., dict[str, Any]]
Run = Callable[..., None]


def read_index(layout: Layout = LAYOUT) -> pd.DataFrame:
    return indexes.read(layout, load_competition(layout.competition)).rows


def test_the_index_has_every_image_and_its_fold(cats: Params) -> None:
    cats(each=7, tests=12)
    index = read_index()
    assert index["id"].tolist() == [
        *(f"{name}.{i}" for name in ("cat", "dog") for i in range(7)),
        *map(str, range(1, 13)),
    ]
    train, test = index[index.part == "train"], index[index.part == "test"]
    # Seven images of a class are dealt to two folds.
    counts = train.groupby("target")["fold"].value_counts()
    assert sorted(counts["cat"]) == sorted(counts["dog"]) == [3, 4]
    assert set(test["fold"]) == {-1}
    assert set(test["target"]) == {""}
    with open_archives(LAYOUT.raw) as archives:
        contents = [file.read() for file in image_index.files(index, archives)]
    files = cats_and_dogs(7, 12)
    assert contents == [files[name] for name in index["name"]]


def test_a_second_run_writes_the_same_bytes(cats: Params) -> None:
    cats()
    first = {path.name: path.read_bytes() for path in LAYOUT.prepared.iterdir()}
    assert set(first) == {
        "index.csv",
        "classes.json",
        "card.json",
        "card.md",
        "card.html",
        "grid.jpg",
    }
    prepare.run("cats_vs_dogs")
    assert {path.name: path.read_bytes() for path in LAYOUT.prepared.iterdir()} == first


def test_the_card_and_the_grid(cats: Params) -> None:
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


def test_near_duplicates_are_in_one_fold(here: Params) -> None:
    files = cats_and_dogs(each=8, tests=1)
    for i in range(4):
        files[f"train/cat.{10 + i}.jpg"] = encoded(make_image(100 + i, 64, 48), quality=90)
        files[f"train/cat.{20 + i}.jpg"] = encoded(make_image(100 + i, 64, 48), quality=60)
    here("competitions=[cats_vs_dogs]", "validation.folds=3")
    write_raw(LAYOUT.raw, files)
    prepare.run("cats_vs_dogs")
    rows = read_index().set_index("id")
    for i in range(4):
        for column in ("fold", "group"):
            assert rows[column][f"cat.{10 + i}"] == rows[column][f"cat.{20 + i}"]
    assert set(rows["fold"]) == {-1, 0, 1, 2}


def test_imagenet_has_test_images_of_known_labels(here: Params) -> None:
    layout = Layout("imagenet")
    files = {
        "n01443537_goldfish.JPEG": encoded(make_image(1)),
        "n01440764_tench.JPEG": encoded(make_image(2)),
        "val/n01443537/ILSVRC2012_val_00000001.JPEG": encoded(make_image(3)),
    }
    here("competitions=[imagenet]")
    layout.raw.mkdir(parents=True)
    (layout.raw / "images.zip").write_bytes(zipped(files))
    prepare.run("imagenet")
    index = indexes.read(layout, load_competition("imagenet"))
    rows = index.rows
    assert rows["name"].tolist() == [list(files)[i] for i in (1, 2, 0)]
    assert index.targets.tolist() == [0, 1, 1]
    assert rows["target"].tolist() == ["n01440764", "n01443537", "n01443537"]
    assert len(index.classes) == 1000
    assert index.names[:2] == ("tench (n01440764)", "goldfish (n01443537)")
    assert set(rows["part"]) == {"test"}
    assert set(rows["fold"]) == {-1}
    card = json.loads((layout.prepared / "card.json").read_text())
    assert card["images"] == {
        "test": {"tench (n01440764)": 1, "goldfish (n01443537)": 2, "excluded": 0}
    }
    with Image.open(layout.prepared / "grid.jpg") as grid:
        assert grid.size == (3 * (SIDE + GAP) - GAP, SIDE)


def test_classes_without_settings_are_the_folders_sorted(here: Params) -> None:
    here(
        "competitions=[cats_vs_dogs]",
        "validation.folds=2",
        "images.labels={read: folder}",
        "classes=null",
        "predict=null",
        "task=multiclass",
    )
    files = of_synsets(["zebra", "ape", "gnu"], 2)
    LAYOUT.raw.mkdir(parents=True)
    (LAYOUT.raw / "mine.zip").write_bytes(zipped(files))
    prepare.run("cats_vs_dogs")
    index = indexes.read(LAYOUT, load_competition("cats_vs_dogs"))
    assert index.classes == index.names == ("ape", "gnu", "zebra")
    assert index.rows["target"].tolist() == [c for c in index.classes for _ in range(2)]


def test_labels_of_a_table_and_ids_as_the_sample_spells_them(here: Params) -> None:
    here(
        "competitions=[cats_vs_dogs]",
        "validation.folds=2",
        "images.labels={read: csv, id: file, label: animal}",
    )
    images = {name: content for name, content in FILES.items() if name.startswith("train")}
    names = {name: f"train/00{i}.jpg" for i, name in enumerate(images)}
    renamed = {names[name]: content for name, content in images.items()}
    renamed |= {f"test/{i}.jpg": FILES[f"test1/{i}.jpg"] for i in range(1, 5)}
    LAYOUT.raw.mkdir(parents=True)
    (LAYOUT.raw / "mine.zip").write_bytes(zipped(renamed))
    SAMPLE.write_text("name,animal\n" + "".join(f"{i}.jpg,cat\n" for i in range(1, 5)))
    rows = "".join(f"{Path(n).stem},{'cat' if 'cat' in o else 'dog'}\n" for o, n in names.items())
    (LAYOUT.raw / "train.csv").write_text("file,animal\n" + rows)
    prepare.run("cats_vs_dogs")
    index = read_index()
    assert index["id"][index.part == "test"].tolist() == [f"{i}.jpg" for i in range(1, 5)]
    train = index[index.part == "train"]
    found = dict(zip(train["name"], train["target"], strict=True))
    assert found == {n: "cat" if "cat" in o else "dog" for o, n in names.items()}
    (LAYOUT.raw / "train.csv").write_text("file,animal\n" + rows.replace("001,", "999,"))
    with pytest.raises(DataError, match=r"^train/001\.jpg: the table of labels has no row 001"):
        prepare.run("cats_vs_dogs")


@pytest.mark.parametrize(
    ("settings", "sample", "target"),
    [
        (("task=multilabel", "target=[furry,small]"), "id,furry,small\n{0},0,0\n", "{0} {1}"),
        (
            ("task=multilabel", "target=[furry,small]"),
            "id,p\n{0}_furry,0\n{0}_small,0\n",
            "{0} {1}",
        ),
        (("task=regression", "target=[x,small]"), "id,x,small\n{0},0,0\n", "{2!r} {1}.0"),
        (("task=regression", "target=x"), "id,x\n{0},0\n", "{2!r}"),
        (("task=multiclass", "target=[furry,bald]"), "id,bald,furry\n{0},0,0\n", "{4}"),
    ],
)
def test_images_have_labels_and_numbers_in_a_table_and_groups_too(
    here: Params, settings: tuple[str, ...], sample: str, target: str
) -> None:
    several = "multi" in settings[0]
    metric = "log_loss" if "class" in settings[0] else "mean_column_auc" if several else "rmse"
    here(
        "competitions=[cats_vs_dogs]",
        "validation={split: group, folds: 2, group: owner}",
        "images.labels={read: csv}",
        "classes=null",
        "models={histogram: {estimator: random_forest, inputs: [histogram]}}",
        f"metric={metric}",
        f"submission={'probability' if several else 'value'}",
        *settings,
    )
    images = {name: content for name, content in FILES.items() if name.startswith("train")}
    values = [
        (k % 2, k // 2 % 2, k / 4, f"owner {k // 4}", "furry" if k % 2 else "bald")
        for k in range(len(images))
    ]
    rows = [
        f"{Path(name).name},{furry},{small},{x},{owner},{1 - furry},{k / 2}\n"
        for k, (name, (furry, small, x, owner, _)) in enumerate(zip(images, values, strict=True))
    ]
    LAYOUT.raw.mkdir(parents=True)
    (LAYOUT.raw / "mine.zip").write_bytes(zipped(FILES))
    head, _, line = sample.partition("\n")
    SAMPLE.write_text(head + "\n" + "".join(line.format(k) for k in range(1, 5)))
    head = "id,furry,small,x,owner,bald,age\n"
    (LAYOUT.raw / "train.csv").write_text(head + "".join(rows))
    # Columns that both tables have are features beside the images.
    ages = "".join(f"{k},{k + 0.5},x\n" for k in (3, 1, 2, 4))
    (LAYOUT.raw / "test.csv").write_text("id,age,only\n" + ages)
    prepare.run("cats_vs_dogs")
    beside = pd.read_parquet(LAYOUT.table).assign(name=read_index()["name"]).set_index("name")
    assert list(beside) == ["age"]
    assert beside.loc[list(images), "age"].tolist() == [k / 2 for k in range(len(images))]
    assert beside.loc[[f"test1/{k}.jpg" for k in (1, 2)], "age"].tolist() == [1.5, 2.5]
    index = read_index().set_index("name")
    for name, value in zip(images, values, strict=True):
        assert index["target"][name] == target.format(*value)
        assert index["group"][name] == value[3]
    assert (index["target"][index["part"] == "test"] == "").all()
    train = index[index["part"] == "train"]
    assert (train.groupby("group")["fold"].nunique() == 1).all()


def test_an_unknown_label_reader_and_setting_suggest_known_ones(here: Params) -> None:
    for settings, message in (
        ("{read: nome}", r"^unknown label reader 'nome'; did you mean 'name'\?$"),
        ("{read: name, tabel: x}", r"^images\.labels: unknown key 'tabel'; did you mean 'table'"),
    ):
        here("competitions=[cats_vs_dogs]", f"images.labels={settings}")
        write_raw(LAYOUT.raw, FILES) if not LAYOUT.raw.exists() else None
        with pytest.raises(ConfigError, match=message):
            prepare.run("cats_vs_dogs")


@pytest.fixture
def run(here: Params) -> Run:
    """Return a function that writes files as `fetch` does, and runs `prepare`."""

    def make(files: dict[str, bytes], change: Callable[[Path], None] = lambda _: None) -> None:
        here(*OVERRIDES)
        change(write_raw(LAYOUT.raw, files))
        prepare.run("cats_vs_dogs")

    return make


def with_train(content: bytes) -> Callable[[Path], None]:
    """Return a function that replaces the train.zip in the archive."""

    def change(archive: Path) -> None:
        with zipfile.ZipFile(archive) as old:
            files = {name: old.read(name) for name in old.namelist()}
        archive.write_bytes(zipped(files | {"train.zip": content}))

    return change


def cut(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-3000])


def link() -> bytes:
    stream = io.BytesIO(zipped(FILES))
    with zipfile.ZipFile(stream, "a") as archive:
        info = zipfile.ZipInfo("train/cat.99.jpg")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    return stream.getvalue()


BOMB = zipped({"train/cat.0.jpg": bytes(20_000_000)}, zipfile.ZIP_DEFLATED)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (cut, ARCHIVE + r": the zip is truncated\. Fetch it again$"),
        (with_train(zipped(FILES)[:-99]), INNER + r"the zip is truncated\. Fetch it again$"),
        (with_train(b"no zip"), INNER + "is not a zip"),
        (
            with_train(zipped(FILES | {"../cat.0.jpg": b""})),
            INNER + r"member '\.\./cat\.0\.jpg' has a path outside the archive$",
        ),
        (
            with_train(zipped(FILES | {"/train/cat.77.jpg": b""})),
            INNER + r"member '/train/cat\.77\.jpg' has a path outside the archive$",
        ),
        (with_train(link()), INNER + r"member 'train/cat\.99\.jpg' is a symbolic link$"),
        (
            with_train(BOMB),
            INNER + r"member 'train/cat\.0\.jpg' unpacks to \d+ times its size: a zip ",
        ),
        (Path.unlink, "^data/cats_vs_dogs/raw: there is no archive, "),
    ],
)
def test_bad_archives(run: Run, change: Callable[[Path], None], message: str) -> None:
    with pytest.raises(DataError, match=message):
        run(FILES, change)
    assert not LAYOUT.prepared.exists()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {n: c for n, c in FILES.items() if "dog" not in n},
            r"^class 'dog' has no labelled row\. Correct the data, or classes$",
        ),
        (
            {n: c for n, c in FILES.items() if "dog" not in n or "dog.0" in n},
            r"^class 'dog' has 1 labelled rows\. Needed: 2, one a fold",
        ),
        (FILES | {"train/bird.0.jpg": b""}, r"^train/bird\.0\.jpg: unknown class 'bird'\. Allowed"),
        (FILES | {"test1/cat.jpg": b""}, r"^test1/cat\.jpg: is not a test image's name"),
        (
            FILES | {f"train/dog.{i}.jpg": b"text" for i in range(5)},
            r"^5 of 12 labelled images have a problem, more than max_broken 0\.25 allows\. "
            r"The first: train/dog\.0\.jpg: is not an image that Pillow can read$",
        ),
    ],
)
def test_bad_names_and_too_few_images(run: Run, files: dict[str, bytes], message: str) -> None:
    with pytest.raises(DataError, match=message):
        run(files)
    assert not LAYOUT.prepared.exists()


def test_a_missing_test_image(run: Run) -> None:
    def more(_: Path) -> None:
        SAMPLE.write_text(SAMPLE.read_text() + "5,0\n6,0\n")

    message = r"sampleSubmission\.csv has test id 5, but there is no test image 5, nor 1"
    with pytest.raises(DataError, match=message):
        run(FILES, more)


def png_header(width: int, height: int) -> bytes:
    """Return a PNG file whose header has this size, with hardly any data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + body


def odd_images() -> dict[str, tuple[bytes, str, str]]:
    """Return unusual training images by name: their bytes, notes and problem."""
    image, exif = make_image(500, 64, 48), Image.Exif()
    exif[0x0112] = 6
    frames = [make_image(i, 64, 48) for i in (501, 502)]
    half = encoded(image)
    return {
        "half": (half[: len(half) // 2], "", "cannot be read: image file is truncated"),
        "text": (b"a cat", "", "is not an image that Pillow can read"),
        "empty": (b"", "", "is not an image that Pillow can read"),
        "huge": (png_header(50_000, 50_000), "", "is too large: "),
        "tiny": (
            encoded(make_image(503, 31, 99)),
            "",
            "is too small: 31x99, at least 32 is needed",
        ),
        "cmyk": (encoded(make_image(504).convert("CMYK")), "CMYK", ""),
        "grey": (encoded(make_image(505).convert("L")), "greyscale", ""),
        "deep": (encoded(make_image(506).convert("I;16"), "PNG"), "16-bit greyscale", ""),
        "alpha": (encoded(make_image(507).convert("RGBA"), "PNG"), "alpha", ""),
        "animated": (
            encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:]),
            "animated",
            "",
        ),
        "turned": (encoded(make_image(508, 64, 48), exif=exif), "rotated", ""),
    }


def test_odd_images_are_kept_and_broken_ones_excluded(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = odd_images()
    names = {name: f"train/cat.{100 + i}.jpg" for i, name in enumerate(odd)}
    clean = cats_and_dogs(each=10)
    broken_test = {"test1/2.jpg": b"text"}
    run(clean | {names[name]: content for name, (content, _, _) in odd.items()} | broken_test)

    index = read_index().set_index("name")
    for name, (_, note, problem) in odd.items():
        row = index.loc[names[name]]
        assert (row["notes"], row["problem"][: len(problem)]) == (note, problem)
        assert (row["fold"] >= 0) == (problem == "")
    assert index.loc[names["turned"], ["width", "height"]].tolist() == [48, 64]
    # A broken test image stays in the index, because it needs a prediction: the prior.
    assert index.loc["test1/2.jpg", "problem"] == "is not an image that Pillow can read"
    bad = index[index["problem"] != ""]
    assert len(bad) == 6
    card = json.loads((LAYOUT.prepared / "card.json").read_text())
    assert [each["name"] for each in card["problems"]] == bad.index.tolist()
    lines = [line for line in capsys.readouterr().out.splitlines() if "excluded" in line]
    assert lines == [
        *(f"prepare: excluded: {name}: {bad.loc[name, 'problem']}" for name in bad.index[:3]),
        "prepare: excluded: 3 more, listed in card.md",
    ]


@pytest.mark.slow
def test_a_full_disk_is_one_line_on_standard_error(here: Params, tmp_path: Path) -> None:
    """A limit on the size of files stands in for a full disk."""
    here(*OVERRIDES)
    write_raw(LAYOUT.raw, FILES)
    sources = os.pathsep.join(str(ROOT / part) for part in ("src", "packages/caffe/src"))
    done = subprocess.run(
        [sys.executable, "-B", "-m", "ripen.stages", "prepare", "cats_vs_dogs"],
        env=os.environ | {"PYTHONPATH": sources},
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )
    assert (done.returncode, done.stderr) == (
        1,
        "prepare@cats_vs_dogs: data/cats_vs_dogs/inputs/prepared/index.csv: cannot be written: "
        "File too large. Free some space, then run it again\n",
    )
    assert not LAYOUT.prepared.exists()
