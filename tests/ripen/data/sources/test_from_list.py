"""The source `list`: many small files packed into one archive."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from ripen.core.errors import DataError, SourceError
from ripen.data.sources import Item, fetch
from ripen.data.sources.from_list import gather

FILES = {"b.jpg": b"bee", "a.jpg": b"ant", "c.jpg": b"cat"}


def _items() -> list[Item]:
    return [
        Item(
            name,
            sha256=hashlib.sha256(content).hexdigest(),
            at={"url": f"https://example.org/{name}"},
        )
        for name, content in FILES.items()
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RIPEN_MIRROR", str(tmp_path))
    (tmp_path / "example.org").mkdir()
    for name, content in FILES.items():
        (tmp_path / "example.org" / name).write_bytes(content)
    return tmp_path / "example.org"


def test_the_archive_has_reproducible_bytes(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("first.zip", "again.zip"):
        gather(["mirror"], _items(), tmp_path / name)
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "again.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "first.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == FILES
    # One line at the end, and not one for each file.
    assert capsys.readouterr().out == "first.zip: 3/3 c.jpg\nagain.zip: 3/3 c.jpg\n"
    assert not list(tmp_path.glob("*.parts"))


def test_an_interrupted_call_resumes(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "all.zip"
    (folder / "c.jpg").write_bytes(b"cow")
    with pytest.raises(SourceError, match=r"^c\.jpg not found.*c\.jpg has sha256 .* Expected"):
        gather(["mirror"], _items(), target)
    assert not target.exists()
    (folder / "a.jpg").unlink()
    put_there = tmp_path / "all.zip.parts" / "c.jpg"
    put_there.write_bytes(b"dog")
    with pytest.raises(SourceError, match=r"all\.zip\.parts/c\.jpg has sha256 .* Expected"):
        gather(["mirror"], _items(), target)
    put_there.write_bytes(b"cat")
    gather(["mirror"], _items(), target)
    with zipfile.ZipFile(target) as archive:
        assert archive.namelist() == list(FILES)


def test_a_table_lists_the_files(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "files.csv"
    rows = [f"{name},{hashlib.sha256(content).hexdigest()}\n" for name, content in FILES.items()]
    table.write_text("file,sha256\n" + "".join(rows))
    item = Item("all.zip", at={"list": {"table": str(table), "url": "https://example.org/"}})
    assert fetch(["list"], item, tmp_path / "all.zip") == "list"
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == FILES
    (folder / "a.jpg").unlink()
    message = (
        r"^all\.zip not found\. Tried list: a\.jpg not found\. Tried mirror: .* does not exist"
    )
    address = {"table": str(table), "url": "https://example.org", "sources": ["mirror"]}
    item = Item("all.zip", at={"list": address})
    with pytest.raises(SourceError, match=message):
        fetch(["list"], item, tmp_path / "again.zip")


def test_bad_tables(tmp_path: Path) -> None:
    table = tmp_path / "files.csv"
    item = Item("all.zip", at={"list": {"table": str(table), "url": "https://example.org"}})
    with pytest.raises(DataError, match=r"files\.csv: cannot be read: No such file"):
        fetch(["list"], item, tmp_path / "all.zip")
    table.write_text("file\na.jpg\n")
    with pytest.raises(
        DataError, match=r"files\.csv: has no column 'sha256'\. Needed: file, sha256$"
    ):
        fetch(["list"], item, tmp_path / "all.zip")
