"""The source `folder`: a local folder, or some classes of it, packed into one archive."""

import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ripen.core.errors import ConfigError, DataError
from ripen.data.sources import Item, fetch
from ripen.data.sources.from_folder import pack

FILES = {
    "train/cat/b.jpg": b"bee",
    "train/cat/a.JPG": b"ant",
    "train/dog/a.jpg": b"dog",
    "test/1.jpg": b"one",
    "sample_submission.csv": b"id,label\n1,cat\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "mine/.DS_Store").write_bytes(b"junk")
    return tmp_path / "mine"


def packed(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def as_tar(folder: Path) -> None:
    """Replace a folder by a tar of its files."""
    with tarfile.open(f"{folder}.tar", "w") as archive:
        for path in sorted(folder.iterdir(), reverse=True):
            archive.add(path, path.name)
            path.unlink()
    folder.rmdir()


@pytest.mark.parametrize("form", [str, lambda folder: {"path": str(folder)}])
def test_all_files_of_a_folder(
    form: Callable[[Path], object], folder: Path, tmp_path: Path
) -> None:
    item = Item("mine.zip", at={"folder": form(folder)})
    for name in ("first.zip", "again.zip"):
        assert fetch(["folder"], item, tmp_path / name) == "folder"
    assert packed(tmp_path / "first.zip") == FILES
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "again.zip").read_bytes()


def test_a_tar_is_read_like_a_folder(folder: Path, tmp_path: Path) -> None:
    item = Item("mine.zip", at={"folder": str(folder)})
    as_tar(folder / "train/cat")
    fetch(["folder"], item, tmp_path / "mine.zip")
    assert packed(tmp_path / "mine.zip") == FILES


@pytest.mark.parametrize("classes", [["dog", "cat"], {"dog": "a dog", "cat": "a cat"}])
def test_some_classes_in_their_order(
    classes: list[str] | dict[str, str], folder: Path, tmp_path: Path
) -> None:
    as_tar(folder / "train/cat")
    address = {"path": str(folder / "train"), "classes": classes}
    fetch(["folder"], Item("mine.zip", at={"folder": address}), tmp_path / "mine.zip")
    found = packed(tmp_path / "mine.zip")
    assert list(found) == ["dog/a.jpg", "cat/a.JPG", "cat/b.jpg"]
    assert found["cat/a.JPG"] == b"ant"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("none", r"none: no such folder\. Correct its path in the settings$"),
        ("empty", r"empty: the folder has no file$"),
        (
            {"path": "mine/train", "classes": ["cat", "bird"]},
            r"^mine/train: has neither a folder bird nor bird\.tar\. Put the images there, or ",
        ),
        ({"path": "mine", "classes": {"bad": "x"}}, r"^bad/words\.txt: is not an image's name\. "),
        ({"path": "mine", "classes": {"empty": "Hen"}}, r"^mine/empty: no image of Hen found$"),
        ({"path": "mine", "classes": ["text"]}, r"^mine/text\.tar: is not a tar, or is truncated"),
    ],
)
def test_bad_folders(
    address: object,
    message: str,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (folder / "empty").mkdir()
    (folder / "bad").mkdir()
    (folder / "bad/words.txt").write_text("words")
    (folder / "text.tar").write_bytes(b"text" * 400)
    with pytest.raises(DataError, match=message):
        fetch(["folder"], Item("mine.zip", at={"folder": address}), tmp_path / "mine.zip")
    assert not (tmp_path / "mine.zip").exists()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ({"classes": ["cat"]}, r"^source\.folder: .*'path'"),
        ({"path": "mine", "class": ["cat"]}, r"^source\.folder: .*'class'.*'classes'"),
    ],
)
def test_an_address_of_another_form(address: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        fetch(["folder"], Item("mine.zip", at={"folder": address}), tmp_path / "mine.zip")


def tarred(path: Path, **attributes: object) -> Path:
    """Write a tar of one member with these attributes."""
    info = tarfile.TarInfo("a.jpg")
    for name, value in attributes.items():
        setattr(info, name, value)
    with tarfile.open(path, "w", errors="surrogateescape") as archive:
        archive.addfile(info)
    return path


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        (
            {"pax_headers": {"GNU.sparse.major": "1", "GNU.sparse.realsize": str(10**12)}},
            "has 1000000000000 bytes. Allowed: 10240",
        ),
        ({"name": "\udcff\udcfe.jpg"}, r"x/\\udcff\\udcfe.jpg: the name is not UTF-8"),
        ({"size": 10**6}, "is not a tar, or is truncated|has 1000000 bytes. Allowed"),
    ],
)
def test_hostile_tars_are_one_line(
    tmp_path: Path, attributes: dict[str, object], problem: str
) -> None:
    (tmp_path / "in").mkdir()
    tarred(tmp_path / "in" / "x.tar", **attributes)
    with pytest.raises(DataError, match=problem) as caught:
        pack(tmp_path / "in", tmp_path / "out.zip")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
