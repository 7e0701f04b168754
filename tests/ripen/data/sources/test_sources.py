"""The sources, one after the other."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ripen.core.errors import DataError, SourceError
from ripen.data.sources import Item, KaggleFile, fetch, partial
from tests.ripen.http_server import Answer, Server, running
from tests.ripen.kaggle_server import Kaggle, as_json, sign_in

BODY = b"crust" * 1000
FILE = KaggleFile("dogs-vs-cats", "train.zip")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    monkeypatch.setattr(partial, "WAITS", (0.0,))
    monkeypatch.setenv("RIPEN_MIRROR", str(tmp_path / "mirror"))
    (tmp_path / "home").mkdir()
    with running() as server:
        sign_in(monkeypatch, server, tmp_path / "home")
        yield server


def test_the_first_that_has_it_gives_it(server: Server, tmp_path: Path) -> None:
    stand_in = Kaggle(server, files={"train.zip": BODY})
    target = tmp_path / "raw" / "train.zip"
    item = Item("train.zip", size=len(BODY), kaggle=FILE)
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


def test_when_none_has_it_one_line_says_all(server: Server, tmp_path: Path) -> None:
    stand_in = Kaggle(server)
    forbidden = as_json({"code": 403, "message": "Accept first"}, 403)
    stand_in.instead = {"DownloadDataFile": [forbidden], "x.zip": [Answer(status=404)]}
    target = tmp_path / "raw" / "train.zip"
    item = Item("train.zip", kaggle=FILE, url=f"{server.url}/x.zip?key=hunter2")
    with pytest.raises(SourceError, match=r"^train\.zip cannot be had") as caught:
        fetch(["mirror", "kaggle", "url"], item, target)
    port = server.url.rpartition(":")[2]
    mirror = tmp_path / "mirror"
    assert str(caught.value) == (
        f"train.zip cannot be had. Tried mirror: {mirror}/kaggle/dogs-vs-cats/train.zip and "
        f"{mirror}/127.0.0.1:{port}/x.zip does not exist; kaggle: Kaggle says 403 Accept first; "
        f"url: {server.url}/x.zip says 404 Not Found. "
        f"Put the file at {mirror}/kaggle/dogs-vs-cats/train.zip; "
        "or: Accept the rules at https://www.kaggle.com/c/dogs-vs-cats/rules as the owner of the "
        "token; or: It has gone from there: look for another address; "
        f"or: Put {server.url}/x.zip at {target} yourself"
    )


def test_with_no_sources(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"x cannot be had\. Tried no source\. Put the file at "):
        fetch([], Item("x"), tmp_path / "x")


def test_what_another_source_left_does_not_spoil_the_next(server: Server, tmp_path: Path) -> None:
    stand_in = Kaggle(server, files={"train.zip": b"stale" * 100_000, "x.zip": BODY})
    stand_in.cuts = [200_000, 0, 0, 0, 0]
    stand_in.instead["x.zip"] = []
    target = tmp_path / "train.zip"
    item = Item("train.zip", kaggle=FILE, url=f"{server.url}/storage/x.zip")
    assert fetch(["kaggle", "url"], item, target) == "url"
    assert target.read_bytes() == BODY
    assert re.fullmatch("bytes=[1-9][0-9]+-", server.requests[-1].headers["range"])


def test_a_full_disk_ends_the_search(server: Server, tmp_path: Path) -> None:
    stand_in = Kaggle(server, files={"train.zip": BODY})
    (tmp_path / "train.zip.part").symlink_to("/dev/full")
    item = Item("train.zip", kaggle=FILE, url=f"{server.url}/storage/train.zip")
    with pytest.raises(DataError, match="the disk is full"):
        fetch(["kaggle", "url"], item, tmp_path / "train.zip")
    assert stand_in.calls == ["DownloadDataFile", "train.zip"]
