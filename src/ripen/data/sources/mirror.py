"""A folder that serves the same bytes by the same names: `RIPEN_MIRROR`.

An address, less its scheme and its branch, is a path there; a competition's files on Kaggle are in
`kaggle/<competition>/`, those of a wheel in `pypi/<project>/<version>/`.
"""

import os
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from ripen.core.errors import SourceError
from ripen.data.sources.item import Item
from ripen.data.sources.partial import Stream, receive

VARIABLE = "RIPEN_MIRROR"
CHUNK = 1 << 20


def path(url: str) -> Path:
    """Return where the mirror has an address.

    >>> path("https://github.com/owner/name/raw/master/folder/file").as_posix()
    'github.com/owner/name/folder/file'
    """
    parts = urlsplit(url)
    bare = parts.netloc.rpartition("@")[2] + parts.path
    return Path(re.sub(r"/(raw|blob)/[^/]+/", "/", bare, count=1))


def fetch(item: Item, target: Path) -> None:
    """Copy a file from the mirror.

    Parameters
    ----------
    item : Item
    target : Path
        Written whole or not at all.

    Raises
    ------
    SourceError
        If there is no mirror, the mirror has no such file, or other bytes.
    DataError
        If the disk is full.
    """
    folder = os.environ.get(VARIABLE)
    if not folder:
        raise SourceError(f"{VARIABLE} is not set", f"Set {VARIABLE} to a folder that has the file")
    candidates = [Path(folder) / place for place in _places(item)]
    for source in candidates:
        if source.is_file():
            receive(item, target, str(source), _File(source).open)
            return
    if candidates:
        missing = " and ".join(map(str, candidates))
        raise SourceError(f"{missing} does not exist", f"Put the file at {candidates[0]}")
    raise SourceError("the file has no address there")


def _places(item: Item) -> Iterator[Path]:
    if item.kaggle is not None:
        yield Path("kaggle", item.kaggle.competition, item.kaggle.file)
    if item.wheel is not None:
        yield Path("pypi", item.wheel.project, item.wheel.version, item.wheel.member)
    if item.url is not None:
        yield path(item.url)


class _File:
    """A file as a sender, since a mirror may be far and slow."""

    def __init__(self, source: Path) -> None:
        self._source = source

    def open(self, offset: int, version: str) -> Stream:
        state = self._source.stat()
        current = f"{self._source} {state.st_mtime_ns} {state.st_size}"
        start = offset if version == current and offset <= state.st_size else 0
        chunks = self._chunks(start)
        return Stream(start, state.st_size, current, chunks, chunks.close)

    def _chunks(self, start: int) -> Generator[bytes, None, None]:
        try:
            with self._source.open("rb") as file:
                file.seek(start)
                while chunk := file.read(CHUNK):
                    yield chunk
        except OSError as error:
            raise SourceError(f"{self._source} cannot be read: {error.strerror}") from None
