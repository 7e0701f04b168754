"""Source `mirror`: a folder that has the files of other sources, named by `RIPEN_MIRROR`.

It needs no address of its own. Each source says where a mirror keeps its files: a URL without its
scheme and branch is a path there, a competition's files on Kaggle are in `kaggle/<competition>/`, a
wheel's in `pypi/<project>/<version>/`.
"""

import os
from collections.abc import Generator, Iterator
from pathlib import Path

from ripen.core.errors import SourceError
from ripen.data.sources.download import Stream, receive
from ripen.data.sources.source import SOURCES, Item, register

VARIABLE = "RIPEN_MIRROR"
CHUNK = 1 << 20


@register("mirror")
def fetch(item: Item, target: Path) -> None:
    """Copy a file from the mirror.

    Raises
    ------
    SourceError
        If there is no mirror, or it does not have the file, or it has other bytes.
    DataError
        If the disk is full.
    """
    folder = os.environ.get(VARIABLE)
    if not folder:
        raise SourceError(f"{VARIABLE} is not set", f"Set {VARIABLE} to a folder that has the file")
    candidates = [Path(folder) / path for path in _paths(item)]
    for source in candidates:
        if source.is_file():
            receive(item, target, str(source), _File(source).open)
            return
    if candidates:
        missing = " and ".join(map(str, candidates))
        raise SourceError(f"{missing} does not exist", f"Put the file at {candidates[0]}")
    raise SourceError(f"{item.name} has no address there")


def _paths(item: Item) -> Iterator[Path]:
    for name, address in item.at.items():
        mirrored = SOURCES[name].mirrored
        if mirrored is not None:
            yield mirrored(address)


class _File:
    """A file of the mirror as a resumable download, because a mirror may be on a slow network."""

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
