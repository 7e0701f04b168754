"""The registry of sources, and sources tried one after the other."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from ripen.core.errors import ConfigError, DataError, SourceError
from ripen.data import sources
from ripen.data.sources import SOURCES, Item, download, fetch, register
from tests.ripen.http_server import Answer, Server, running
from tests.ripen.kaggle_server import Kaggle, as_json, sign_in

BODY = b"crust" * 1000
FILE = "dogs-vs-cats/train.zip"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    monkeypatch.setattr(download, "WAITS", (0.0,))
    monkeypatch.setenv("RIPEN_MIRROR", str(tmp_path / "mirror"))
    (tmp_path / "home").mkdir()
    with running() as server:
        sign_in(monkeypatch, server, tmp_path / "home")
        yield server


def test_the_first_source_that_has_the_file_is_used(server: Server, tmp_path: Path) -> None:
    stand_in = Kaggle(server, files={"train.zip": BODY})
    target = tmp_path / "raw" / "train.zip"
    item = Item("train.zip", size=len(BODY), at={"kaggle": FILE})
    assert fetch(["mirror", "kaggle", "url"], item, target) == "kaggle"
    assert target.read_bytes() == BODY
    there = tmp_path / "mirror/kaggle/dogs-vs-cats/train.zip"
    there.parent.mkdir(parents=True)
    there.write_bytes(BODY)
    asked = len(server.requests)
    assert fetch(["mirror", "kaggle"], item, target) == "mirror"
    assert len(server.requests) == asked
    assert fetch(["kaggle", "mirror"], item, target) == "kaggle"
    assert stand_in.calls[-1] == "train.zip"


def test_a_file_not_found_is_one_line_with_all_reasons(server: Server, tmp_path: Path) -> None:
    stand_in = Kaggle(server)
    forbidden = as_json({"code": 403, "message": "Accept first"}, 403)
    stand_in.instead = {"DownloadDataFile": [forbidden], "x.zip": [Answer(status=404)]}
    target = tmp_path / "raw" / "train.zip"
    item = Item("train.zip", at={"kaggle": FILE, "url": f"{server.url}/x.zip?key=hunter2"})
    with pytest.raises(SourceError, match=r"^train\.zip not found") as caught:
        fetch(["mirror", "kaggle", "url"], item, target)
    port = server.url.rpartition(":")[2]
    mirror = tmp_path / "mirror"
    assert str(caught.value) == (
        f"train.zip not found. Tried mirror: {mirror}/kaggle/dogs-vs-cats/train.zip and "
        f"{mirror}/127.0.0.1:{port}/x.zip does not exist; kaggle: Kaggle says 403 Accept first; "
        f"url: {server.url}/x.zip says 404 Not Found. "
        f"Put the file at {mirror}/kaggle/dogs-vs-cats/train.zip; "
        "or: Accept the rules at https://www.kaggle.com/c/dogs-vs-cats/rules as the owner of the "
        "token; or: The file has moved or was removed: look for another address; "
        f"or: Put {server.url}/x.zip at {target} yourself"
    )


def test_without_sources(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"x not found\. Tried no source\. Put the file at "):
        fetch([], Item("x"), tmp_path / "x")


def test_a_partial_file_of_another_source_does_no_harm(server: Server, tmp_path: Path) -> None:
    stand_in = Kaggle(server, files={"train.zip": b"stale" * 100_000, "x.zip": BODY})
    stand_in.cuts = [200_000, 0, 0, 0, 0]
    stand_in.instead["x.zip"] = []
    target = tmp_path / "train.zip"
    item = Item("train.zip", at={"kaggle": FILE, "url": f"{server.url}/storage/x.zip"})
    assert fetch(["kaggle", "url"], item, target) == "url"
    assert target.read_bytes() == BODY
    assert re.fullmatch("bytes=[1-9][0-9]+-", server.requests[-1].headers["range"])


def test_a_full_disk_is_not_retried_elsewhere(
    server: Server, tmp_path: Path, full_disk: Callable[..., AbstractContextManager[None]]
) -> None:
    stand_in = Kaggle(server, files={"train.zip": BODY})
    item = Item("train.zip", at={"kaggle": FILE, "url": f"{server.url}/storage/train.zip"})
    with pytest.raises(DataError, match="the disk is full"), full_disk(1000):
        fetch(["kaggle", "url"], item, tmp_path / "train.zip")
    assert stand_in.calls == ["DownloadDataFile", "train.zip"]


def test_each_file_of_the_folder_registers_the_source_of_its_name() -> None:
    files = Path(sources.__file__).parent.glob("from_*.py")
    assert list(SOURCES) == sorted(file.stem.removeprefix("from_") for file in files)


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_without_an_address_passes_to_the_next(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RIPEN_MIRROR", str(tmp_path))
    with pytest.raises(SourceError, match=r"^x not found\. Tried .*: x has no address there\. Put"):
        fetch([name], Item("x"), tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_source(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^unknown source 'kagle'; did you mean 'kaggle'\?$"):
        fetch(["kagle"], Item("x"), tmp_path / "x")


def test_a_new_source_is_one_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SOURCES, "_entries", dict(SOURCES))

    @register("memory", mirrored=lambda address: Path("memory", address))
    def from_memory(item: Item, target: Path) -> None:
        target.write_text(item.address("memory"))

    item = Item("x", at={"memory": "crust"})
    assert fetch(["memory"], item, tmp_path / "x") == "memory"
    assert (tmp_path / "x").read_text() == "crust"
    (tmp_path / "mirror/memory").mkdir(parents=True)
    (tmp_path / "mirror/memory/crust").write_bytes(BODY)
    monkeypatch.setenv("RIPEN_MIRROR", str(tmp_path / "mirror"))
    assert fetch(["mirror", "memory"], item, tmp_path / "y") == "mirror"
    assert (tmp_path / "y").read_bytes() == BODY
