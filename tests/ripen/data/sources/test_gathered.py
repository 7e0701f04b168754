"""Many small files as one archive."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from ripen.core.errors import SourceError
from ripen.data.sources import Item
from ripen.data.sources.gathered import gather

FILES = {"b.jpg": b"bee", "a.jpg": b"ant", "c.jpg": b"cat"}


def _items() -> list[Item]:
    return [
        Item(name, sha256=hashlib.sha256(content).hexdigest(), url=f"https://example.org/{name}")
        for name, content in FILES.items()
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RIPEN_MIRROR", str(tmp_path))
    (tmp_path / "example.org").mkdir()
    for name, content in FILES.items():
        (tmp_path / "example.org" / name).write_bytes(content)
    return tmp_path / "example.org"


def test_one_archive_of_the_same_bytes(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("first.zip", "again.zip"):
        gather(["mirror"], _items(), tmp_path / name)
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "again.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "first.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == FILES
    # One line at the end, and none for each file.
    assert capsys.readouterr().out == "first.zip: 3/3 c.jpg\nagain.zip: 3/3 c.jpg\n"
    assert not list(tmp_path.glob("*.parts"))


def test_it_goes_on_where_it_stopped(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "all.zip"
    (folder / "c.jpg").write_bytes(b"cow")
    with pytest.raises(SourceError, match=r"^c\.jpg cannot be had.*c\.jpg has sha256 .* needed"):
        gather(["mirror"], _items(), target)
    assert not target.exists()
    (folder / "a.jpg").unlink()
    put_there = tmp_path / "all.zip.parts" / "c.jpg"
    put_there.write_bytes(b"dog")
    with pytest.raises(SourceError, match=r"all\.zip\.parts/c\.jpg has sha256 .* needed"):
        gather(["mirror"], _items(), target)
    put_there.write_bytes(b"cat")
    gather(["mirror"], _items(), target)
    with zipfile.ZipFile(target) as archive:
        assert archive.namelist() == list(FILES)
