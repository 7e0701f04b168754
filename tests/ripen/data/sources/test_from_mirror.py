import hashlib
from pathlib import Path

import pytest

from ripen.core.errors import SourceError
from ripen.data.sources.from_mirror import fetch
from ripen.data.sources.source import SOURCES, Item

BODY = bytes(range(256)) * 8000
SHA256 = hashlib.sha256(BODY).hexdigest()
ITEM = Item("x.zip", sha256=SHA256, at={"kaggle": "dogs-vs-cats/x.zip"})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "mirror"
    for place in ("kaggle/dogs-vs-cats/x.zip", "github.com/o/n/x.zip"):
        (folder / place).parent.mkdir(parents=True)
        (folder / place).write_bytes(BODY)
    monkeypatch.setenv("RIPEN_MIRROR", str(folder))
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_paths_of_addresses_in_a_mirror() -> None:
    places = {
        ("url", "https://github.com/o/n/raw/master/raw/x"): "github.com/o/n/raw/x",
        ("url", "http://me:pw@dl.example.org/x.model?key=1"): "dl.example.org/x.model",
        ("kaggle", "titanic"): "kaggle/titanic/titanic.zip",
        ("kaggle", "titanic/train.csv"): "kaggle/titanic/train.csv",
        ("pypi", "timm==1.0.9/timm/x.pth"): "pypi/timm/1.0.9/timm/x.pth",
    }
    for (name, address), expected in places.items():
        mirrored = SOURCES[name].mirrored
        assert mirrored is not None
        assert mirrored(address).as_posix() == expected


@pytest.mark.parametrize(
    "item",
    [
        ITEM,
        Item("x.zip", sha256=SHA256, at={"url": "https://github.com/o/n/raw/master/x.zip"}),
        Item("x.zip", at={"kaggle": "other/y", "url": "https://github.com/o/n/x.zip"}),
    ],
)
def test_files_of_kaggle_and_of_urls(
    item: Item, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "raw" / "here.zip"
    fetch(item, target)
    assert target.read_bytes() == BODY
    assert names(target.parent) == ["here.zip"]
    assert capsys.readouterr().out.splitlines()[-1] == "x.zip: 3/3 MB"


def test_a_partial_copy_is_resumed(folder: Path, tmp_path: Path) -> None:
    source = folder / "kaggle/dogs-vs-cats/x.zip"
    state = source.stat()
    part = tmp_path / "x.zip.part"
    part.write_bytes(b"?" * 1000)
    version = part.with_name("x.zip.part.version")
    version.write_text(f"{source} {state.st_mtime_ns} {state.st_size}")
    # Without a hash the first bytes cannot be checked: they are kept.
    fetch(Item("x.zip", at=ITEM.at), tmp_path / "x.zip")
    assert (tmp_path / "x.zip").read_bytes() == b"?" * 1000 + BODY[1000:]
    part.write_bytes(b"?" * 1000)
    version.write_text("another version")
    fetch(Item("x.zip", at=ITEM.at), tmp_path / "x.zip")
    assert (tmp_path / "x.zip").read_bytes() == BODY


def test_other_bytes(folder: Path, tmp_path: Path) -> None:
    (folder / "kaggle/dogs-vs-cats/x.zip").write_bytes(b"other")
    with pytest.raises(SourceError, match=rf"x\.zip has sha256 d9298a10\w+\. Expected: {SHA256}"):
        fetch(ITEM, tmp_path / "x.zip")
    assert names(tmp_path) == ["mirror"]


def test_a_missing_mirror_file_or_address(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = Item("y.zip", at={"kaggle": "dogs-vs-cats/y.zip"})
    with pytest.raises(SourceError, match=r"dogs-vs-cats/y\.zip does not exist\. Put the file at"):
        fetch(item, tmp_path / "y.zip")
    with pytest.raises(SourceError, match=r"^y\.zip has no address there$"):
        fetch(Item("y.zip"), tmp_path / "y.zip")
    monkeypatch.delenv("RIPEN_MIRROR")
    with pytest.raises(SourceError, match=r"^RIPEN_MIRROR is not set\. Set RIPEN_MIRROR to a"):
        fetch(item, tmp_path / "y.zip")


def test_a_folder_of_the_files_name_is_not_the_file(folder: Path, tmp_path: Path) -> None:
    (folder / "kaggle/dogs-vs-cats/y.zip").mkdir()
    item = Item("y.zip", at={"kaggle": "dogs-vs-cats/y.zip"})
    with pytest.raises(SourceError, match="does not exist"):
        fetch(item, tmp_path / "y.zip")
