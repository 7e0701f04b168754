"""The files of a competition's pictures, where they are: in archives, and in archives in these."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ripen.core.archives import Archive
from ripen.core.errors import DataError


class File(NamedTuple):
    """A picture's file: its name in its archive, and what reads its bytes."""

    name: str
    read: Callable[[], bytes]


@contextmanager
def opened(folder: Path) -> Iterator[dict[str, Archive]]:
    """Open all zips of a folder, and those in them, for one thread to read from.

    Yields
    ------
    dict of str to Archive
        By name, such as "dogs-vs-cats.zip/train.zip", in the order of names.

    Raises
    ------
    DataError
        If there is none, or one is not what it should be.
    """
    with ExitStack() as stack:
        archives: dict[str, Archive] = {}
        for path in sorted(folder.glob("*.zip")):
            outer = stack.enter_context(Archive(path))
            archives[path.name] = outer
            for member in sorted(m.name for m in outer.members if m.name.lower().endswith(".zip")):
                archives[f"{path.name}/{member}"] = stack.enter_context(outer.inner(member))
        if not archives:
            raise DataError(f"{folder}: there is no archive, *.zip")
        yield archives


def within(archive: Archive) -> list[File]:
    """Return the files of an archive."""
    return [File(member.name, partial(archive.read, member.name)) for member in archive.members]
