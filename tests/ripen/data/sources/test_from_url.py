"""Downloads from a local server: resumed at any byte, and every kind of failure."""

import hashlib
import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ripen.core.errors import DataError, SourceError
from ripen.data.sources import download
from ripen.data.sources.from_url import fetch
from ripen.data.sources.source import Item
from tests.ripen.http_server import Answer, Request, Server, ranged, running

BODY = random.Random(1).randbytes(3_000_000)
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(download, "WAITS", (0.0, 0.0, 0.0))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with running() as server:
        yield server


def item(server: Server, **known: object) -> Item:
    return Item("crust.bin", at={"url": f"{server.url}/crust.bin"}, **known)  # type: ignore[arg-type]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_whole_and_alone(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.serve(lambda request: ranged(BODY, request))
    target = tmp_path / "new" / "crust.bin"
    fetch(item(server, size=len(BODY), sha256=SHA256), target)
    assert target.read_bytes() == BODY
    assert names(target.parent) == ["crust.bin"]
    assert capsys.readouterr().out.splitlines()[-1] == "crust.bin: 3/3 MB"
    assert "range" not in server.requests[0].headers


def test_a_lost_connection_resumes(server: Server, tmp_path: Path) -> None:
    server.serve(
        lambda request: ranged(BODY, request, cut=1_500_000),
        lambda request: ranged(BODY, request, cut=700_000),
        lambda request: ranged(BODY, request),
    )
    fetch(item(server, sha256=SHA256), tmp_path / "crust.bin")
    assert (tmp_path / "crust.bin").read_bytes() == BODY
    starts = [int(r.headers.get("range", "bytes=0-")[6:-1]) for r in server.requests]
    assert starts[0] == 0
    assert 0 < starts[1] < starts[2] <= 2_200_000
    assert names(tmp_path) == ["crust.bin"]


def test_a_later_call_resumes(server: Server, tmp_path: Path) -> None:
    server.serve(lambda request: ranged(BODY, request, cut=1_000_000), Answer(status=503))
    with pytest.raises(SourceError, match=r"/crust\.bin says 503 Service Unavailable\. Try again"):
        fetch(item(server), tmp_path / "crust.bin")
    assert names(tmp_path) == ["crust.bin.part", "crust.bin.part.version"]
    kept = (tmp_path / "crust.bin.part").stat().st_size
    assert 0 < kept <= 1_000_000
    server.serve(lambda request: ranged(BODY, request))
    fetch(item(server), tmp_path / "crust.bin")
    assert server.requests[-1].headers["range"] == f"bytes={kept}-"
    assert (tmp_path / "crust.bin").read_bytes() == BODY


def test_a_complete_partial_file_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    server.serve(lambda request: ranged(BODY, request))
    (tmp_path / "crust.bin.part").write_bytes(BODY)
    (tmp_path / "crust.bin.part.version").write_text(f'"{hashlib.md5(BODY).hexdigest()}"')
    fetch(item(server, sha256=SHA256), tmp_path / "crust.bin")
    assert [request.headers["range"] for request in server.requests] == [f"bytes={len(BODY)}-"]
    assert names(tmp_path) == ["crust.bin"]


def test_two_versions_are_not_joined(server: Server, tmp_path: Path) -> None:
    other = BODY[::-1]
    server.serve(
        lambda request: ranged(other, request, cut=1_000_000), lambda request: ranged(BODY, request)
    )
    fetch(item(server), tmp_path / "crust.bin")
    assert (tmp_path / "crust.bin").read_bytes() == BODY


def test_a_shorter_version_restarts(server: Server, tmp_path: Path) -> None:
    (tmp_path / "crust.bin.part").write_bytes(b"x" * 100)
    (tmp_path / "crust.bin.part.version").write_text('"old"')
    server.serve(
        Answer(status=416, headers={"Content-Range": "bytes */50"}),
        lambda request: ranged(BODY, request),
    )
    fetch(item(server), tmp_path / "crust.bin")
    assert (tmp_path / "crust.bin").read_bytes() == BODY


def test_wrong_resumed_bytes_restart_the_download(server: Server, tmp_path: Path) -> None:
    """The server may give two files the same version."""
    server.serve(lambda request: ranged(BODY, request))
    (tmp_path / "crust.bin.part").write_bytes(b"x" * 1000)
    (tmp_path / "crust.bin.part.version").write_text(f'"{hashlib.md5(BODY).hexdigest()}"')
    fetch(item(server, sha256=SHA256), tmp_path / "crust.bin")
    assert [request.headers.get("range") for request in server.requests] == ["bytes=1000-", None]
    assert (tmp_path / "crust.bin").read_bytes() == BODY


def test_a_server_without_ranges_or_versions(server: Server, tmp_path: Path) -> None:
    server.serve(Answer(BODY, cut=1_000_000), Answer(BODY))
    fetch(item(server, sha256=SHA256), tmp_path / "crust.bin")
    assert (tmp_path / "crust.bin").read_bytes() == BODY
    assert "range" not in server.requests[1].headers


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({"sha256": "0" * 64}, rf"/crust\.bin has sha256 {SHA256}\. Expected: 0{{64}}\. The"),
        ({"sha1": "0" * 40}, r"/crust\.bin has sha1 [0-9a-f]{40}\. Expected: 0{40}"),
        ({"size": 7}, r"/crust\.bin has 3000000 bytes\. Expected: 7"),
    ],
)
def test_other_bytes_are_refused(
    server: Server, tmp_path: Path, known: dict[str, object], message: str
) -> None:
    server.serve(lambda request: ranged(BODY, request))
    with pytest.raises(SourceError, match=message):
        fetch(item(server, **known), tmp_path / "crust.bin")
    assert names(tmp_path) == []


def test_a_body_shorter_than_announced(server: Server, tmp_path: Path) -> None:
    server.serve(Answer(BODY[:1000], headers={"Content-Length": "2000"}, cut=1000))
    with pytest.raises(SourceError, match=r"/crust\.bin: the connection was lost\. Run it again"):
        fetch(item(server), tmp_path / "crust.bin")
    assert len(server.requests) == 4
    assert not (tmp_path / "crust.bin").exists()


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, r"says 401 Unauthorized\. The address needs an account"),
        (403, r"says 403 Forbidden\. The server refuses this client"),
        (404, r"says 404 Not Found\. The file has moved or was removed"),
    ],
)
def test_a_refusal_is_not_retried(
    server: Server, tmp_path: Path, status: int, message: str
) -> None:
    server.serve(Answer(status=status))
    with pytest.raises(SourceError, match=message):
        fetch(item(server), tmp_path / "crust.bin")
    assert len(server.requests) == 1
    assert names(tmp_path) == []


def test_a_busy_server_is_retried_after_the_wait_it_asks_for(
    server: Server, tmp_path: Path
) -> None:
    server.serve(Answer(status=429, headers={"Retry-After": "0"}), Answer(b"crust"))
    fetch(item(server), tmp_path / "crust.bin")
    assert (tmp_path / "crust.bin").read_bytes() == b"crust"


def test_a_long_wait_is_not_waited_for(server: Server, tmp_path: Path) -> None:
    server.serve(Answer(status=429, headers={"Retry-After": "3600"}))
    with pytest.raises(SourceError, match=r"says 429 .*\. Try again in 3600 seconds"):
        fetch(item(server), tmp_path / "crust.bin")
    assert len(server.requests) == 1


def test_no_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with running() as server:
        pass
    with pytest.raises(SourceError, match=r"127\.0\.0\.1:\d+/crust\.bin: no connection\. Connect"):
        fetch(item(server), tmp_path / "crust.bin")


def test_invalid_and_missing_addresses(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"leads to no valid address: InvalidSchema"):
        fetch(Item("x", at={"url": "crust://oven/x"}), tmp_path / "x")
    with pytest.raises(SourceError, match="^x has no address there$"):
        fetch(Item("x"), tmp_path / "x")


def test_secrets_of_an_address_are_in_no_message(server: Server, tmp_path: Path) -> None:
    server.serve(Answer(status=403))
    secret = server.url.replace("//", "//me:hunter2@") + "/crust.bin?Signature=hunter2"
    with pytest.raises(SourceError, match="says 403") as caught:
        fetch(Item("crust.bin", at={"url": secret}), tmp_path / "crust.bin")
    assert "hunter2" not in str(caught.value)
    assert "hunter2" in server.requests[0].path


def test_a_full_disk(
    server: Server, tmp_path: Path, full_disk: Callable[..., AbstractContextManager[None]]
) -> None:
    server.serve(lambda request: ranged(BODY, request))
    message = r"crust\.bin\.part: the disk is full: File too large"
    with pytest.raises(DataError, match=message), full_disk():
        fetch(item(server), tmp_path / "crust.bin")
    assert not (tmp_path / "crust.bin").exists()


def test_a_file_larger_than_the_disk_is_not_started(server: Server, tmp_path: Path) -> None:
    server.serve(Answer(b"x", headers={"Content-Length": str(10**18)}, cut=1))
    with pytest.raises(DataError, match=r"the disk is full: 1000000000000 MB are needed and \d+"):
        fetch(item(server), tmp_path / "crust.bin")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Answer(BODY, headers={"Content-Length": "many"}), "a size that is not a number: 'many'"),
        (Answer(BODY, headers={"Content-Length": "9" * 5000}), "not a number: '9+…9+'"),
        (Answer(BODY, 206, {"Content-Range": "bytes 0-9/" + "9" * 5000}), "without saying which"),
        (Answer(BODY, 206, {"Content-Range": "bytes x"}), "a part of the file without saying wh"),
        (Answer(BODY, 206, {"Content-Range": "bytes 7-9/5000000"}), "another range than requested"),
        (Answer(BODY, 416), "says 416, without being asked for a part"),
        (Answer(BODY, 302, {"Location": "http://"}), "leads to no valid address: "),
        (Answer(BODY, 302, {"Location": "file:///etc/passwd"}), "no valid address: InvalidSchema"),
        (Answer(BODY, 302, {"Location": "http://[x/"}), "leads to no valid address: "),
        (Answer(BODY, headers={"Content-Encoding": "gzip"}), r"sends the file compressed \(gzip\)"),
        (Answer(BODY, 429, {"Retry-After": "9" * 5000}), "says 429"),
        (Answer(chunks=itertools.repeat(BODY)), "sends more than the 5000000 bytes of crust.bin"),
        (Answer(chunks=[BODY, BODY]), "sends more than the 5000000 bytes of crust.bin"),
    ],
)
def test_hostile_answers_are_one_line_and_block_no_later_try(
    server: Server, tmp_path: Path, answer: Answer, problem: str
) -> None:
    server.serve(answer)
    with pytest.raises(SourceError, match=problem) as caught:
        fetch(item(server, size=5_000_000), tmp_path / "crust.bin")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert names(tmp_path) == []


def test_a_body_without_end_and_of_unknown_size_leaves_room_on_the_disk(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "RESERVE", 10**18)
    server.serve(Answer(chunks=itertools.repeat(BODY)))
    with pytest.raises(
        DataError, match=r"the disk is full: \S+ does not tell the size, and sent 1"
    ):
        fetch(item(server), tmp_path / "crust.bin")
    assert names(tmp_path) == []


def test_a_server_that_stops_sending_is_left(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = Answer(BODY[:200_000], headers={"Content-Length": str(len(BODY))}, hangs=0.5)
    server.serve(stopped)
    # On a busy machine not even the first bytes may come within the time.
    left = r"crust\.bin(: the connection was lost\. Run it again| did not answer in time)"
    with monkeypatch.context() as short:
        short.setattr(download, "TIMEOUT", (0.2, 0.2))
        with pytest.raises(SourceError, match=left):
            fetch(item(server), tmp_path / "crust.bin")
    server.serve(lambda request: ranged(BODY, request))
    fetch(item(server, sha256=SHA256), tmp_path / "crust.bin")
    assert names(tmp_path) == ["crust.bin"]


@pytest.mark.parametrize("version", [b"\xff\xfe", b"a\r\nX-Evil: 1", b"", b'"old"', b"x" * 10**6])
def test_a_damaged_version_starts_the_download_again(
    server: Server, tmp_path: Path, version: bytes
) -> None:
    (tmp_path / "crust.bin.part").write_bytes(b"half")
    (tmp_path / "crust.bin.part.version").write_bytes(version)
    server.serve(lambda request: ranged(BODY, request))
    fetch(item(server, sha256=SHA256), tmp_path / "crust.bin")
    assert (tmp_path / "crust.bin").read_bytes() == BODY
    assert names(tmp_path) == ["crust.bin"]


def test_a_second_download_of_the_same_file_is_refused(server: Server, tmp_path: Path) -> None:
    """The first goes on, and neither writes into the other's file."""
    refused = []

    def meanwhile(request: Request) -> Answer:
        with pytest.raises(DataError, match=r"bin\.part: another process downloads it\. Wait for"):
            fetch(item(server), tmp_path / "crust.bin")
        refused.append(request)
        return ranged(BODY, request)

    server.serve(meanwhile)
    fetch(item(server, sha256=SHA256), tmp_path / "crust.bin")
    assert len(refused) == 1
    assert names(tmp_path) == ["crust.bin"]


def test_a_link_in_place_of_the_partial_file_is_not_followed(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "crust.bin.part").symlink_to("theirs")
    server.serve(lambda request: ranged(BODY, request))
    with pytest.raises(DataError, match=r"crust\.bin\.part: cannot be written: Too many levels of"):
        fetch(item(server), tmp_path / "crust.bin")
    assert (tmp_path / "theirs").read_text() == "theirs"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cuts=st.lists(st.integers(0, 3000), max_size=6), size=st.integers(1, 5000))
def test_interrupted_anywhere_the_bytes_are_the_same(
    server: Server, tmp_path: Path, cuts: list[int], size: int
) -> None:
    body = BODY[:size]
    server.serve(
        *[lambda request, cut=cut: ranged(body, request, cut) for cut in cuts],
        lambda request: ranged(body, request),
    )
    target = tmp_path / "crust.bin"
    for _ in range(len(cuts) + 1):
        try:
            fetch(item(server, sha256=hashlib.sha256(body).hexdigest()), target)
            break
        except SourceError:
            assert not target.exists()
    assert target.read_bytes() == body
    target.unlink()
