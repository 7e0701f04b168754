import hashlib
from pathlib import Path

import pytest

from ripen.core.errors import SourceError
from ripen.data.sources import mirror
from ripen.data.sources.item import Item, KaggleFile

BODY = bytes(range(256)) * 8000
SHA256 = hashlib.sha256(BODY).hexdigest()
ITEM = Item("x.zip", sha256=SHA256, kaggle=KaggleFile("dogs-vs-cats", "x.zip"))


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


def test_where_the_mirror_has_an_address() -> None:
    assert (
        mirror.path("https://github.com/o/n/raw/master/raw/x").as_posix() == "github.com/o/n/raw/x"
    )
    assert mirror.path("http://dl.example.org/x.model").as_posix() == "dl.example.org/x.model"


@pytest.mark.parametrize(
    "item",
    [
        ITEM,
        Item("x.zip", sha256=SHA256, url="https://github.com/o/n/raw/master/x.zip"),
        Item("x.zip", kaggle=KaggleFile("other", "y"), url="https://github.com/o/n/x.zip"),
    ],
)
def test_a_file_of_kaggle_or_of_an_address(
    item: Item, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "raw" / "here.zip"
    mirror.fetch(item, target)
    assert target.read_bytes() == BODY
    assert names(target.parent) == ["here.zip"]
    assert capsys.readouterr().out.splitlines()[-1] == "x.zip: 3/3 MB"


def test_a_partial_copy_is_gone_on_with(folder: Path, tmp_path: Path) -> None:
    source = folder / "kaggle/dogs-vs-cats/x.zip"
    state = source.stat()
    part = tmp_path / "x.zip.part"
    part.write_bytes(b"?" * 1000)
    version = part.with_name("x.zip.part.version")
    version.write_text(f"{source} {state.st_mtime_ns} {state.st_size}")
    # Without a hash nothing tells the first bytes from the right ones: they are kept.
    mirror.fetch(Item("x.zip", kaggle=ITEM.kaggle), tmp_path / "x.zip")
    assert (tmp_path / "x.zip").read_bytes() == b"?" * 1000 + BODY[1000:]
    part.write_bytes(b"?" * 1000)
    version.write_text("another version")
    mirror.fetch(Item("x.zip", kaggle=ITEM.kaggle), tmp_path / "x.zip")
    assert (tmp_path / "x.zip").read_bytes() == BODY


def test_other_bytes(folder: Path, tmp_path: Path) -> None:
    (folder / "kaggle/dogs-vs-cats/x.zip").write_bytes(b"other")
    with pytest.raises(SourceError, match=rf"x\.zip has sha256 d9298a10\w+, and {SHA256} is neede"):
        mirror.fetch(ITEM, tmp_path / "x.zip")
    assert names(tmp_path) == ["mirror"]


def test_no_mirror_or_not_there(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = Item("y.zip", kaggle=KaggleFile("dogs-vs-cats", "y.zip"))
    with pytest.raises(SourceError, match=r"dogs-vs-cats/y\.zip does not exist\. Put the file at"):
        mirror.fetch(item, tmp_path / "y.zip")
    with pytest.raises(SourceError, match=r"^the file has no address there$"):
        mirror.fetch(Item("y.zip"), tmp_path / "y.zip")
    monkeypatch.delenv("RIPEN_MIRROR")
    with pytest.raises(SourceError, match=r"^RIPEN_MIRROR is not set\. Set RIPEN_MIRROR to a"):
        mirror.fetch(item, tmp_path / "y.zip")


def test_a_folder_in_its_place_is_no_file(folder: Path, tmp_path: Path) -> None:
    (folder / "kaggle/dogs-vs-cats/y.zip").mkdir()
    item = Item("y.zip", kaggle=KaggleFile("dogs-vs-cats", "y.zip"))
    with pytest.raises(SourceError, match="does not exist"):
        mirror.fetch(item, tmp_path / "y.zip")
