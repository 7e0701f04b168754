"""Bad input to the stage `prepare`: an error of one line that names the file, or an excluded image.

These tests run the stage on whole archives. Details are in the tests of archives, decoding and
index.
"""

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

import pytest
from PIL import Image

from ripen.core.errors import DataError
from ripen.core.layout import Layout
from ripen.data import image_index
from ripen.settings import compose as settings
from ripen.settings.schema import Config
from ripen.stages import prepare
from tests.ripen.conftest import ROOT
from tests.ripen.photographs import cats_and_dogs, encoded, write_raw, zipped
from tests.ripen.photographs import photograph as make_image

LAYOUT = Layout("cats_vs_dogs")
ARCHIVE = r"^data/cats_vs_dogs/raw/dogs-vs-cats\.zip"
INNER = ARCHIVE + r": train\.zip: "
FILES = cats_and_dogs()
PREPARE = "competition.cats_vs_dogs.prepare"

Run = Callable[..., None]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_config: Callable[..., Config]) -> Run:
    """Return a function that writes files as `fetch` does, and runs `prepare`."""
    config = make_config(f"{PREPARE}.folds=2", f"{PREPARE}.max_broken=0.25")
    monkeypatch.chdir(tmp_path)

    def make(files: dict[str, bytes], change: Callable[[Path], None] = lambda _: None) -> None:
        change(write_raw(LAYOUT.raw, files))
        prepare.run(config, "cats_vs_dogs")

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
        (
            lambda _: LAYOUT.sample.unlink(),
            r"sample_submission\.csv: no such file\. Run: dvc repro",
        ),
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
            r"^class 'dog' has 0 good training images\. Needed: at ",
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
        LAYOUT.sample.write_text(LAYOUT.sample.read_text() + "5,0\n6,0\n")

    message = r"sample_submission\.csv has test id 5, but there is no test image 5, nor 1"
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

    index = image_index.read(LAYOUT.prepared / "index.csv").set_index("name")
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


def test_a_full_disk_is_one_line_on_standard_error(tmp_path: Path) -> None:
    """A limit on the size of files stands in for a full disk."""
    values = settings.compose([f"{PREPARE}.folds=2"], ROOT / "conf")
    (tmp_path / "params.yaml").write_text(settings.dump(values), encoding="utf-8")
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    write_raw(tmp_path / LAYOUT.raw, FILES)
    done = subprocess.run(
        [sys.executable, "-B", "-m", "ripen.stages", "prepare", "cats_vs_dogs"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{ROOT}/src:{ROOT}/packages/caffe/src"},
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )
    assert (done.returncode, done.stderr) == (
        1,
        "prepare@cats_vs_dogs: data/cats_vs_dogs/inputs/prepared/index.csv: cannot be written: "
        "File too large. Free some space, then run it again\n",
    )
    assert not (tmp_path / LAYOUT.prepared).exists()
