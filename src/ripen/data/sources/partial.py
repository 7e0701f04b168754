"""A download that can be cut at any byte, goes on from there, and arrives whole or not at all.

While it comes, it is `<target>.part`; beside that, `<target>.part.version` holds what its sender
calls this version of it, so that only bytes of the same version are joined.
"""

import errno
import itertools
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ripen.core.errors import DataError, SourceError
from ripen.core.progress import progress
from ripen.data.sources.item import Item

WAITS: tuple[float, ...] = (1, 2, 4)
"""Seconds before each further attempt, of those in a row that bring nothing new."""
MEGABYTE = 1_000_000
AGAIN = "Run it again: it goes on from there"


@dataclass(frozen=True)
class Stream:
    """What a sender gives: bytes from `start` on, of `total`, of a version; to be closed."""

    start: int
    total: int | None
    version: str
    chunks: Iterator[bytes]
    close: Callable[[], object]


class Interrupted(Exception):
    """The sender stopped, or asks to come again: another attempt may bring more.

    Parameters
    ----------
    reason, advice : str
        As `SourceError`'s, for when no attempt is left.
    wait : float or None
        Seconds that the sender asks for.
    """

    def __init__(self, reason: str, advice: str = "", wait: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.advice, self.wait = reason, advice, wait


class Unreachable(Interrupted):
    """There is no way to the sender at all: worth another attempt only once there has been one."""


Sender = Callable[[int, str], Stream]
"""From how many bytes are here, and of which version, to the stream of the rest or of all."""


def receive(item: Item, target: Path, where: str, sender: Sender) -> None:
    """Bring a file to its place.

    Parameters
    ----------
    item : Item
        What it must be.
    target : Path
        Written whole or not at all.
    where : str
        The sender, for messages.
    sender : callable
        Opens the stream; raises `Interrupted` where another attempt may help, else SourceError.

    Raises
    ------
    SourceError
        If it cannot be had, or is another file. What came of it is kept when the sender stopped.
    DataError
        If the disk is full.
    """
    part = target.with_name(f"{target.name}.part")
    resumed = _attempts(item, part, where, sender)
    try:
        item.check(part, where)
    except SourceError:
        _remove(part)
        if not resumed:
            raise
        # Its first bytes may have been another file's: once more, from nothing.
        receive(item, target, where, sender)
        return
    part.replace(target)
    _remove(part)


def _attempts(item: Item, part: Path, where: str, sender: Sender) -> bool:
    """Fill the partial file; return whether bytes of an earlier call were joined to it."""
    here = most = _size(part)
    failed = 0
    for attempt in itertools.count():
        try:
            return _append(item, part, where, sender) > 0 and here > 0
        except Interrupted as stop:
            failed = 0 if _size(part) > most else failed + 1
            most = max(most, _size(part))
            if failed > len(WAITS) or (attempt == 0 and isinstance(stop, Unreachable)):
                raise SourceError(stop.reason, stop.advice) from None
            time.sleep(WAITS[max(failed - 1, 0)] if stop.wait is None else stop.wait)
    raise AssertionError  # count() has no end


def _append(item: Item, part: Path, where: str, sender: Sender) -> int:
    """Write what one stream gives; return the position at which it began."""
    known = _version_file(part)
    version = known.read_text(encoding="utf-8") if known.exists() else ""
    with closing(sender(_size(part) if version else 0, version)) as stream:
        if stream.total is not None:
            item.check_size(stream.total, where)
        if stream.start not in (0, _size(part)):
            raise SourceError(f"{where} sends other bytes than it was asked for")
        with _writing(part):
            part.parent.mkdir(parents=True, exist_ok=True)
            if stream.total is not None:
                _make_room(part, stream.total - stream.start)
            if stream.start == 0:
                known.write_text(stream.version, encoding="utf-8")
            with part.open("ab" if stream.start else "wb") as file:
                _write(item, stream, file.write)
    if stream.total is not None and _size(part) != stream.total:
        raise Interrupted(f"{where} ended at byte {_size(part)} of {stream.total}", AGAIN)
    return stream.start


@contextmanager
def _writing(part: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(part, error.strerror or "") from None
        raise DataError(f"{part}: cannot be written: {error.strerror}") from None


def _write(item: Item, stream: Stream, write: Callable[[bytes], int]) -> None:
    total = None if stream.total is None else _megabytes(stream.total)
    with progress(item.name, total) as advance:
        done, shown = stream.start, _megabytes(stream.start) if stream.start else 0
        advance("MB", shown)
        for chunk in stream.chunks:
            write(chunk)
            done += len(chunk)
            if _megabytes(done) > shown:
                advance("MB", _megabytes(done) - shown)
                shown = _megabytes(done)


def _megabytes(size: int) -> int:
    """Megabytes begun, of which the smallest file has one."""
    return max(1, -(-size // MEGABYTE))


def _make_room(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise _full(part, f"{_megabytes(needed)} MB are needed and {free // MEGABYTE} MB are free")


def _full(part: Path, reason: str) -> DataError:
    return DataError(f"{part}: the disk is full: {reason}. Make room, then run it again")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _version_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.version")


def _remove(part: Path) -> None:
    part.unlink(missing_ok=True)
    _version_file(part).unlink(missing_ok=True)
