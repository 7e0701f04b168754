"""Kaggle's own client against a local stand-in for its endpoints."""

import base64
import hashlib
import io
import logging
import os
import random
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from ripen.core.errors import DataError, SourceError
from ripen.data.sources import download, kaggle_client
from ripen.data.sources.from_kaggle import fetch
from ripen.data.sources.source import Item
from tests.ripen.http_server import Answer, Server, running
from tests.ripen.kaggle_server import COMPETITION, Kaggle, as_json, sign_in

BODY = random.Random(2).randbytes(2_000_000)
ITEM = Item(
    "train.zip",
    size=len(BODY),
    sha256=hashlib.sha256(BODY).hexdigest(),
    at={"kaggle": f"{COMPETITION}/train.zip"},
)
SAMPLE = {"kaggle": f"{COMPETITION}/sample.csv"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    monkeypatch.setattr(download, "WAITS", (0.0, 0.0, 0.0))
    (tmp_path / "home").mkdir()
    with running() as server:
        sign_in(monkeypatch, server, tmp_path / "home")
        yield server


@pytest.fixture
def stand_in(server: Server) -> Kaggle:
    return Kaggle(server, files={"train.zip": BODY, f"{COMPETITION}.zip": BODY[::-1]})


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "raw" / "train.zip"


def test_one_file_of_a_competition(stand_in: Kaggle, target: Path) -> None:
    fetch(ITEM, target)
    assert target.read_bytes() == BODY
    assert stand_in.calls == ["DownloadDataFile", "train.zip"]
    assert [path.name for path in target.parent.iterdir()] == ["train.zip"]


def test_the_archive_of_all_its_files(stand_in: Kaggle, target: Path) -> None:
    name = f"{COMPETITION}.zip"
    fetch(Item(name, at={"kaggle": COMPETITION}), target)
    assert target.read_bytes() == BODY[::-1]
    assert stand_in.calls == ["DownloadDataFiles", name]


@pytest.mark.parametrize("how", ["key", "file", "token", "token file"])
def test_each_kind_of_credentials(
    how: str,
    stand_in: Kaggle,
    target: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sign_in(monkeypatch, stand_in.server, tmp_path / "home", how)
    fetch(ITEM, target)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("none", r"^no Kaggle credentials were found\. Make an API token at https://www\.kaggle"),
        ("old token", r"^Kaggle refuses the access token\. It may have expired\. Make an API"),
        ("wrong key", r"^Kaggle says 401 Unauthorized access\. The token or key is not valid"),
    ],
)
def test_bad_credentials(
    how: str,
    message: str,
    stand_in: Kaggle,
    target: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    sign_in(monkeypatch, stand_in.server, tmp_path / "home", how)
    with pytest.raises(SourceError, match=message) as caught:
        fetch(ITEM, target)
    assert "hunter" not in repr(caught.value)
    assert capfd.readouterr() == ("", "")
    assert not target.parent.exists()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            as_json({"code": 403, "message": "You must accept the rules."}, 403),
            r"^Kaggle says 403 You must accept the rules\. Accept the rules at "
            r"https://www\.kaggle\.com/c/dogs-vs-cats/rules as the owner of the token$",
        ),
        (
            as_json({"code": 404, "message": "Not found"}, 404),
            r"^Kaggle says 404 Not found\. Check the names .* https://www\.kaggle\.com/c/dogs-vs-cats/data",
        ),
        (
            as_json({"message": "Too many"}, 429, **{"Retry-After": "600"}),
            r"^Kaggle says 429 Too many\. Try again in 600 seconds$",
        ),
        (Answer(b"<html>", 502), r"^Kaggle says 502 Bad Gateway\. Try again in a few minutes$"),
    ],
)
def test_refusals(stand_in: Kaggle, target: Path, answer: Answer, message: str) -> None:
    stand_in.instead["DownloadDataFile"] = [answer]
    with pytest.raises(SourceError, match=message):
        fetch(ITEM, target)
    assert not target.parent.exists()


def test_a_busy_server_is_retried(stand_in: Kaggle, target: Path) -> None:
    good = stand_in._file("train.zip")
    busy = Answer(status=429, headers={"Retry-After": "0"})
    stand_in.instead["DownloadDataFile"] = [busy, good]
    fetch(ITEM, target)
    assert target.read_bytes() == BODY


def test_an_interrupted_download_resumes(stand_in: Kaggle, target: Path) -> None:
    stand_in.cuts = [700_000]
    fetch(ITEM, target)
    assert target.read_bytes() == BODY
    ranges = [r.headers.get("range") for r in stand_in.server.requests if r.method == "GET"]
    assert ranges[:2] == [None, None]  # the second request only finds the address of the file
    assert ranges[2] is not None
    assert 0 < int(ranges[2][6:-1]) <= 700_000


def test_other_bytes_are_refused(stand_in: Kaggle, target: Path) -> None:
    stand_in.files["train.zip"] = BODY[::-1]
    with pytest.raises(SourceError, match=r"^Kaggle has sha256 \w{64}\. Expected: \w{64}"):
        fetch(ITEM, target)
    assert list(target.parent.iterdir()) == []


def test_a_file_that_kaggle_sends_zipped(stand_in: Kaggle, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("sample.csv", "id,label\n1,0\n")
    stand_in.files["sample.csv.zip"] = packed.getvalue()
    target = tmp_path / "raw" / "sample_submission.csv"
    fetch(Item("sample.csv", size=13, at=SAMPLE), target)
    assert target.read_text() == "id,label\n1,0\n"
    assert [path.name for path in target.parent.iterdir()] == ["sample_submission.csv"]
    stand_in.files["sample.csv.zip"] = packed.getvalue()[:-30]
    with pytest.raises(DataError, match=r"sample_submission\.csv\.zip: the zip is truncated"):
        fetch(Item("sample.csv", at=SAMPLE), target)
    assert target.read_text() == "id,label\n1,0\n"


def test_no_connection(
    stand_in: Kaggle, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running() as gone:
        pass
    sign_in(monkeypatch, gone, tmp_path / "home", "token")
    with pytest.raises(SourceError, match=r"^Kaggle: no connection\. Connect to the network"):
        fetch(ITEM, target)


def test_secrets_are_in_no_message_and_no_log(
    stand_in: Kaggle,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not even with a verbose client and a server that repeats the credentials."""
    monkeypatch.setenv("VERBOSE", "true")
    caplog.set_level(logging.DEBUG)
    sent = as_json({"code": 403, "message": "cook:hunter2hunter2 may not"}, 403)
    stand_in.instead["DownloadDataFile"] = [sent]
    with pytest.raises(SourceError, match=r"^Kaggle says 403 cook:\*\*\* may not\. ") as caught:
        fetch(ITEM, target)
    del stand_in.instead["DownloadDataFile"]
    stand_in.cuts = [100_000]
    fetch(ITEM, target)
    out, err = capfd.readouterr()
    assert "hunter" not in out + err + caplog.text + repr(caught.value)
    assert os.environ["VERBOSE"] == "true"


def test_a_secret_that_a_server_repeats_is_hidden_in_every_encoding() -> None:
    secret = "KGAT_hunter3hunter3"
    user = f"cook:{secret}"
    content = secret.encode()
    forms = [
        *(secret, secret.upper(), secret[::-1], quote(secret), quote(quote(user, safe=""))),
        "".join(f"%{byte:02X}" for byte in content),
        *(base64.b64encode(b"x" * n + content + b"y" * n).decode() for n in range(4)),
        *(base64.urlsafe_b64encode(user.encode()).decode(), base64.b32encode(content).decode()),
        *(content.hex(), content.hex().upper(), hashlib.sha256(content).hexdigest()),
    ]
    for form in forms:
        line = kaggle_client.shown(f"no <{form}>, house-prices-advanced-2024 is over", [secret])
        assert "***" in line
        assert line.endswith(">, house-prices-advanced-2024 is over")
        assert not any(part in line for part in (form, secret, secret[::-1]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", r"kaggle\.json is not a JSON file of a username and a key\. Make an API token"),
        (b"[" * 100_000, r"kaggle\.json is not a JSON file of a username and a key"),
        (b"{}", r"kaggle\.json lacks the username or the key\. Make an API token"),
    ],
)
def test_a_damaged_key(
    stand_in: Kaggle,
    target: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
    message: str,
) -> None:
    sign_in(monkeypatch, stand_in.server, tmp_path, "file")
    (tmp_path / ".kaggle/kaggle.json").write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        fetch(ITEM, target)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (as_json({"code": "PERMISSION_DENIED", "message": "No"}, 403), r"^Kaggle says 403 No\. Ac"),
        (as_json({"code": None, "message": ["a", 1]}, 403), r"^Kaggle says 403 \['a', 1\]\. Acc"),
        (as_json({"code": [403], "message": None}, 404), r"^Kaggle says 404"),
        (as_json({"code": 10**400}, 400), r"^Kaggle says 400"),
        (Answer(b"[" * 100_000, 403, {"Content-Type": "application/json"}), r"^Kaggle says 403"),
        (Answer(b"<html>", 403, {"Content-Type": "text/html"}), r"^Kaggle says 403 Forbidden\. "),
    ],
)
def test_an_odd_refusal_keeps_its_status(
    stand_in: Kaggle, target: Path, answer: Answer, message: str
) -> None:
    stand_in.instead["DownloadDataFile"] = [answer]
    with pytest.raises(SourceError, match=message) as caught:
        fetch(ITEM, target)
    assert "\n" not in str(caught.value)


def test_an_item_without_an_address(target: Path) -> None:
    with pytest.raises(SourceError, match="^x has no address there$"):
        fetch(Item("x"), target)


def test_the_client_is_imported_on_demand_and_silent(tmp_path: Path) -> None:
    """When imported it signs in, and on an error prints its help and exits."""
    code = """
import sys
import ripen.data.sources, ripen.cli
from ripen.core.errors import SourceError
assert not [name for name in sys.modules if name.startswith("kaggle")]
from ripen.data.sources.kaggle_client import connect
try:
    connect()
except SourceError as error:
    print(error.reason)
"""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("KAGGLE_")}
    environment = kept | {"HOME": str(tmp_path), "VERBOSE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("no Kaggle credentials were found\n", "")


def test_without_the_client(monkeypatch: pytest.MonkeyPatch, target: Path) -> None:
    monkeypatch.setitem(sys.modules, "kaggle.api.kaggle_api_extended", None)
    with pytest.raises(SourceError, match=r"^Kaggle's client is not installed\. Install it: "):
        fetch(ITEM, target)
