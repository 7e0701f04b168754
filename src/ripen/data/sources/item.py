"""What is asked of a source: a file, where it may be had, and how to tell that it is the one."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ripen.core.errors import SourceError


@dataclass(frozen=True)
class KaggleFile:
    """A file of a competition on Kaggle; `<competition>.zip` is the archive of all its files."""

    competition: str
    file: str

    @property
    def is_whole_archive(self) -> bool:
        return self.file == f"{self.competition}.zip"


@dataclass(frozen=True)
class WheelFile:
    """A file inside the wheel of a project's version on PyPI."""

    project: str
    version: str
    member: str


@dataclass(frozen=True)
class Item:
    """A file that is wanted.

    Parameters
    ----------
    name : str
        What messages call it.
    size : int or None
        Its bytes, where known.
    sha256, sha1 : str or None
        Hexadecimal, where known.
    url : str or None
        Its public address.
    kaggle : KaggleFile or None
        Where Kaggle has it.
    wheel : WheelFile or None
        Where PyPI has it.
    """

    name: str
    size: int | None = None
    sha256: str | None = None
    sha1: str | None = None
    url: str | None = None
    kaggle: KaggleFile | None = None
    wheel: WheelFile | None = None

    def check(self, file: Path, where: str) -> None:
        """Make sure that a file is this one.

        Parameters
        ----------
        file : Path
        where : str
            Where it came from, for the error.

        Raises
        ------
        SourceError
            If its size or its hash is another.
        """
        self.check_size(file.stat().st_size, where)
        for algorithm, expected in (("sha256", self.sha256), ("sha1", self.sha1)):
            if expected is None:
                continue
            with file.open("rb") as content:
                found = hashlib.file_digest(content, algorithm).hexdigest()
            if found != expected:
                raise SourceError(
                    f"{where} has {algorithm} {found}, and {expected} is needed", _OTHER_BYTES
                )

    def check_size(self, found: int, where: str) -> None:
        """Make sure of the size alone.

        Raises
        ------
        SourceError
            If it is another.
        """
        if self.size is not None and found != self.size:
            raise SourceError(
                f"{where} has {found} bytes, and {self.size} are needed", _OTHER_BYTES
            )


_OTHER_BYTES = "It is another file or a damaged one: mend it there, or take it from elsewhere"
