"""Resumable downloads: HTTP responses as streams, and partial files that become complete ones.

While a file arrives it is `<target>.part`. Beside it, `<target>.part.version` holds the sender's
name for this version of the file (an ETag, say), so that only bytes of one version are joined.
One process at a time downloads a file: it holds a lock on `<target>.part.lock`.
"""

import itertools
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import requests
from urllib3.exceptions import HTTPError, MaxRetryError

from ripen.core.atomic import FULL, check_free, write_text
from ripen.core.errors import DataError, SourceError, shown
from ripen.core.locks import hold
from ripen.core.progress import progress
from ripen.data.sources.source import Item

WAITS: tuple[float, ...] = (1, 2, 4)
"""Seconds before each new attempt, counted from the last one that brought new bytes."""
TIMEOUT = (10, 20)
"""Seconds to wait for a connection, and for each further chunk."""
LONGEST_WAIT = 30.0
"""If a server asks to wait for longer (seconds), give up instead."""
CHUNK = 1 << 16
"""Bytes per chunk: at most this much is lost when a connection breaks."""
MEGABYTE = 1_000_000
RESERVE = 1000 * MEGABYTE
"""Bytes that a download of unknown size leaves free on the disk: it may never end."""
REQUEST_ERRORS = (requests.RequestException, HTTPError, ValueError)
"""What requests raises, and what passes it: of urllib3, and of addresses of odd characters."""
AGAIN = "Run it again: it resumes where it stopped"
NO_CONNECTION = "Connect to the network, or to its proxy (https_proxy)"


@dataclass(frozen=True)
class Stream:
    """An open download.

    Attributes
    ----------
    start : int
        Offset of the first byte.
    total : int or None
        Size of the whole file, if known.
    version : str
        The sender's name for this version of the file; "" where it has none.
    chunks : iterator of bytes
    close : callable
    """

    start: int
    total: int | None
    version: str
    chunks: Iterator[bytes]
    close: Callable[[], object]


class Interrupted(Exception):
    """The download stopped, or the sender is busy: another attempt may succeed.

    Parameters
    ----------
    reason, advice : str
        As `SourceError` has them, for the case that no attempt is left.
    wait : float or None
        Seconds to wait, if the sender asked for some.
    """

    def __init__(self, reason: str, advice: str = "", wait: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.advice, self.wait = reason, advice, wait


class Unreachable(Interrupted):
    """The host is unreachable. Retry only if an earlier attempt connected."""


Sender = Callable[[int, str], Stream]
"""Opens the stream of the remaining bytes, given how many are here and their version."""


def receive(item: Item, target: Path, where: str, sender: Sender) -> None:
    """Download a file, resuming an earlier attempt.

    Parameters
    ----------
    item : Item
        Expected size and hashes.
    target : Path
        Written atomically.
    where : str
        Name of the sender in messages.
    sender : callable
        Opens the stream. It raises `Interrupted` where another attempt may succeed, else a
        SourceError.

    Raises
    ------
    SourceError
        If the download fails, or the file has other bytes. A partial file is kept unless its bytes
        are wrong.
    DataError
        If the disk is full.
    """
    part = target.with_name(f"{target.name}.part")
    # Resumed bytes may have been another file's: then download once more from byte 0.
    while not _complete(item, target, part, where, sender):
        pass


def _complete(item: Item, target: Path, part: Path, where: str, sender: Sender) -> bool:
    """Download and check the file; return False if the bytes of an earlier call were wrong."""
    with _held(part) as file:
        resumed = _attempts(item, part, file, where, sender)
        try:
            item.check(part, where)
        except SourceError:
            _remove(part)
            if not resumed:
                raise
            return False
        part.replace(target)
        _remove(part)
    return True


@contextmanager
def _held(part: Path) -> Iterator[BinaryIO]:
    """Open the partial file, which no other process may have open here.

    Raises
    ------
    DataError
        If another process downloads the file, or the partial file cannot be opened.
    """
    lock = part.with_name(f"{part.name}.lock")
    busy = DataError(f"{part}: another process downloads it. Wait for it, then run this again")
    with ExitStack() as stack:
        with _full_disk_reported(part):
            stack.enter_context(hold(lock, busy))
        try:
            with _full_disk_reported(part):
                # Not through a symbolic link, which somebody else may have put there.
                handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            with os.fdopen(handle, "r+b", buffering=0) as file:
                yield file
        finally:
            if not _size(part):
                _remove(part)
            lock.unlink(missing_ok=True)


def _attempts(item: Item, part: Path, file: BinaryIO, where: str, sender: Sender) -> bool:
    """Complete the partial file; return whether it had bytes of an earlier call."""
    here = most = _size(part)
    failed = 0
    for attempt in itertools.count():
        try:
            return _append(item, part, file, where, sender) > 0 and here > 0
        except Interrupted as stop:
            # Progress resets the count: a large file may take many short connections.
            failed = 0 if _size(part) > most else failed + 1
            most = max(most, _size(part))
            if failed > len(WAITS) or (attempt == 0 and isinstance(stop, Unreachable)):
                raise SourceError(stop.reason, stop.advice) from None
            time.sleep(WAITS[max(failed - 1, 0)] if stop.wait is None else stop.wait)
    raise AssertionError  # count() never ends


def _append(item: Item, part: Path, file: BinaryIO, where: str, sender: Sender) -> int:
    """Write the bytes of one stream; return the offset at which it started."""
    version = _version(part)
    with closing(sender(_size(part) if version else 0, version)) as stream:
        if stream.total is not None:
            item.check_size(stream.total, where)
        if stream.start not in (0, _size(part)):
            raise SourceError(f"{where} sends another range than requested")
        with _full_disk_reported(part):
            if stream.total is not None:
                check_free(part.parent, stream.total - stream.start)
            if stream.start == 0:
                write_text(_version_file(part), stream.version)
                file.truncate(0)
            file.seek(stream.start)
            _write(item, stream, part, file, where)
    if stream.total is not None and _size(part) != stream.total:
        raise Interrupted(f"{where} ended at byte {_size(part)} of {stream.total}", AGAIN)
    return stream.start


def _version(part: Path) -> str:
    """Return the version of the partial file; "" if it is unknown, so that all is sent again."""
    try:
        version = _version_file(part).read_bytes()[:CHUNK].decode("ascii")
    except (OSError, UnicodeDecodeError):
        return ""
    usable = len(version) <= 1000 and version.isprintable() and version == version.strip()
    return version if usable else ""


@contextmanager
def _full_disk_reported(part: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise _full(part, error.strerror or "") from None
        raise DataError(f"{shown(part)}: cannot be written: {error.strerror}") from None
    except ValueError as error:  # a path that contains NUL
        raise DataError(f"{shown(part)}: cannot be written: {error}") from None


def _write(item: Item, stream: Stream, part: Path, file: BinaryIO, where: str) -> None:
    total = None if stream.total is None else _megabytes(stream.total)
    allowed = item.size if stream.total is None else stream.total
    with progress(item.name, total) as advance:
        done, shown = stream.start, _megabytes(stream.start) if stream.start else 0
        advance("MB", shown)
        for chunk in stream.chunks:
            done += len(chunk)
            if allowed is not None and done > allowed:
                _remove(part)
                raise SourceError(f"{where} sends more than the {allowed} bytes of {item.name}")
            rest = memoryview(chunk)
            while rest:  # on a disk that is nearly full, less is written than was given
                rest = rest[file.write(rest) :]
            if _megabytes(done) > shown:
                advance("MB", _megabytes(done) - shown)
                shown = _megabytes(done)
                if allowed is None and shutil.disk_usage(part.parent).free < RESERVE:
                    _remove(part)
                    raise _full(part, f"{where} does not tell the size, and sent {shown} MB")


def _megabytes(size: int) -> int:
    """Return a size in megabytes, rounded up, so that the smallest file has one."""
    return max(1, -(-size // MEGABYTE))


def _full(part: Path, reason: str) -> DataError:
    return DataError(f"{part}: the disk is full: {reason}. Free some space, then run it again")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _version_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.version")


def _remove(part: Path) -> None:
    part.unlink(missing_ok=True)
    _version_file(part).unlink(missing_ok=True)


def range_headers(offset: int, version: str) -> dict[str, str]:
    """Return the headers that request the bytes from `offset` on, if the version is still this."""
    # A compressed response would have offsets and a size of its own.
    headers = {"Accept-Encoding": "identity"}
    if offset:
        headers |= {"Range": f"bytes={offset}-", "If-Range": version}
    return headers


def as_stream(response: requests.Response, where: str, version: str) -> Stream | None:
    """Return the body of a successful response as a stream.

    Parameters
    ----------
    response : Response
        Its body not yet read.
    where : str
        Name of the sender in messages.
    version : str
        Version of the bytes that are here already.

    Returns
    -------
    Stream or None
        None if the requested range does not fit the server's file, which has changed since.
    """
    headers = response.headers
    encoding = headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        response.close()
        raise SourceError(f"{where} sends the file compressed ({shown(encoding)}), unasked")
    range_ = re.fullmatch(
        r"bytes (?:([0-9]{1,18})-[0-9]{1,18}|\*)/([0-9]{1,18}|\*)", headers.get("Content-Range", "")
    )
    if response.status_code == 416:
        requested = re.fullmatch(r"bytes=(\d+)-", str(response.request.headers.get("Range", "")))
        if not requested:
            response.close()
            raise SourceError(f"{where} says 416, without being asked for a part of the file")
        if not (range_ and requested[1] == range_[2]):
            response.close()
            return None
        # The range starts at the end of the file: all of its bytes are here.
        whole = int(requested[1])
        return Stream(whole, whole, version, iter(()), response.close)
    length = headers.get("Content-Length")
    if length is not None and not re.fullmatch("[0-9]{1,19}", length.strip()):
        response.close()
        raise SourceError(f"{where} announces a size that is not a number: '{shown(length)}'")
    start, total = 0, None if length is None else int(length)
    # A server without ranges answers 200 with the whole file, and start stays 0.
    if response.status_code == 206 and not (range_ and range_[1]):
        response.close()
        raise SourceError(f"{where} sends a part of the file without saying which")
    if response.status_code == 206 and range_:
        start = int(range_[1])
        total = None if range_[2] == "*" else int(range_[2])
    version = headers.get("ETag") or headers.get("Last-Modified") or ""
    return Stream(start, total, version, _chunks(response, where), response.close)


def check_status(response: requests.Response, where: str, advice: Mapping[int, str]) -> None:
    """Raise the error of a response's status, if it is one.

    Parameters
    ----------
    response : Response
    where : str
        Name of the sender.
    advice : mapping of int to str
        What to do, by status.

    Raises
    ------
    SourceError
        If the server refuses.
    Interrupted
        If it is busy, and another attempt may succeed.
    """
    # 416 is not an error here: `as_stream` compares the ranges.
    if response.status_code >= 400 and response.status_code != 416:
        response.close()
        reason = f"{where} says {response.status_code} {response.reason}".rstrip()
        raise status_error(response.status_code, reason, response, advice)


def status_error(
    status: int, reason: str, response: requests.Response, advice: Mapping[int, str]
) -> SourceError | Interrupted:
    """Return the error of a status: final, or `Interrupted` where a retry may succeed."""
    if status != 429 and status < 500:
        return SourceError(reason, advice.get(status, ""))
    requested = response.headers.get("Retry-After", "")
    wait = float(requested) if re.fullmatch("[0-9]{1,9}", requested) else None
    later = "Try again in a few minutes" if wait is None else f"Try again in {wait:.0f} seconds"
    if wait is not None and wait > LONGEST_WAIT:
        return SourceError(reason, later)
    return Interrupted(reason, later, wait)


def request_error(error: Exception, where: str) -> Interrupted | SourceError:
    """Return our error for a failed request, `REQUEST_ERRORS` among them."""
    if isinstance(error, requests.exceptions.SSLError):
        return SourceError(f"{where}: its certificate is not trusted", NO_CONNECTION)
    if isinstance(error, requests.Timeout):
        return Interrupted(f"{where} did not answer in time", NO_CONNECTION)
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return Interrupted(f"{where}: the connection was lost", AGAIN)
    if isinstance(error, requests.ConnectionError):
        # urllib3 raises MaxRetryError only where it never connected.
        if error.args and isinstance(error.args[0], MaxRetryError):
            return Unreachable(f"{where}: no connection", NO_CONNECTION)
        return Interrupted(f"{where}: the connection was lost", AGAIN)
    return SourceError(f"{where} leads to no valid address: {type(error).__name__}")


def _chunks(response: requests.Response, where: str) -> Iterator[bytes]:
    try:
        yield from response.iter_content(CHUNK)
    except REQUEST_ERRORS:
        raise Interrupted(f"{where}: the connection was lost", AGAIN) from None
