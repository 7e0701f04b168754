"""Untrusted zip archives, validated on opening and read member by member.

Kaggle nests archives. A nested archive that is stored uncompressed is read through a window into
the outer file; one that is compressed is unpacked to a temporary file first.
"""

import io
import lzma
import re
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ripen.core.atomic import FULL, check_free, fresh_folder, replacing
from ripen.core.errors import DataError, shown

CHUNK = 1 << 20
MEGABYTE = 1_000_000
_START = b"PK\x03\x04"
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    LookupError,
    ArithmeticError,
    lzma.LZMAError,
    MemoryError,  # of a dictionary that LZMA announces
)
"""Everything that `zipfile` raises on damaged bytes, besides OSError."""


@dataclass(frozen=True)
class Limits:
    """Upper limits on an archive, far above those of any real competition.

    Attributes
    ----------
    members : int
        Number of members.
    total : int
        Bytes of all members, uncompressed.
    ratio : float
        Size of a member over its compressed size, and of all members over the archive's.
    small : int
        What has fewer bytes may have any ratio: a table of zeros is not a bomb.
    name : int
        Characters of a member's name, its folders included.
    depth : int
        Archives within archives.
    at_once : int
        Bytes of one member that `Archive.read` may hold in memory.
    """

    members: int = 1_000_000
    total: int = 100_000 * MEGABYTE
    ratio: float = 200
    small: int = 10 * MEGABYTE
    name: int = 1000
    depth: int = 4
    at_once: int = 500 * MEGABYTE


@dataclass(frozen=True)
class Member:
    """A file in an archive: its name, with forward slashes, and its size in bytes."""

    name: str
    size: int


class Archive(AbstractContextManager["Archive"]):
    """A zip file open for reading, every member name and size checked.

    Parameters
    ----------
    path : Path
        The file.
    limits : Limits
        Largest archive to accept.
    file : file object or None
        An open file to read in place of `path`, which then only appears in messages.
    depth : int
        Number of archives that this one is nested in.

    Raises
    ------
    DataError
        If the file is missing or truncated, or has a member that is encrypted, duplicated, a zip
        bomb, not a regular file, or outside the archive.
    """

    def __init__(
        self,
        path: Path,
        limits: Limits = Limits(),
        file: IO[bytes] | None = None,
        depth: int = 0,
    ) -> None:
        self.path, self._limits, self._depth = path, limits, depth
        try:
            self._file = file or path.open("rb")
        except OSError as error:
            raise DataError(f"{shown(path)}: cannot be read: {error.strerror}") from None
        except ValueError as error:  # a path that contains NUL
            raise DataError(f"{shown(path)}: cannot be read: {error}") from None
        try:
            self._zip = _directory(path, self._file)
            size = self._file.seek(0, io.SEEK_END)
            self._infos = _checked(path, self._zip.infolist(), limits, size)
        except BaseException:
            self._file.close()
            raise

    def __exit__(self, *_: object) -> None:
        self._zip.close()
        self._file.close()

    @property
    def members(self) -> list[Member]:
        """The files, in the archive's order; folders are not members."""
        return [Member(name, info.file_size) for name, info in self._infos.items()]

    def __contains__(self, name: str) -> bool:
        return name in self._infos

    def read(self, name: str) -> bytes:
        """Return the bytes of a member.

        Raises
        ------
        DataError
            If the member is missing, damaged, or larger than `Limits.at_once`.
        """
        size = self._info(name).file_size
        if size > self._limits.at_once:
            raise DataError(
                f"{self.path}: member {name!r} has {size // MEGABYTE} MB. Allowed at once: "
                f"{self._limits.at_once // MEGABYTE} MB"
            )
        return b"".join(self._chunks(name))

    def extract(self, name: str, target: Path) -> None:
        """Write a member to a file, atomically.

        Raises
        ------
        DataError
            If the member is missing or damaged, or the disk is full.
        """
        with (
            replacing(target) as temporary,
            self._writing(name, target),
            temporary.open("wb") as file,
        ):
            self._copy(name, file)

    def unpack(self, folder: Path) -> None:
        """Write all members to a folder, which is replaced; on an error no folder is left.

        Raises
        ------
        DataError
            If a member is damaged, or the disk is full.
        """
        with self._writing("", folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            check_free(folder.parent, sum(info.file_size for info in self._infos.values()))
            with fresh_folder(folder):
                for name in self._infos:
                    self._write(name, folder / name)

    @contextmanager
    def inner(self, name: str, scratch: Path | None = None) -> Iterator["Archive"]:
        """Open a nested archive.

        Parameters
        ----------
        name : str
            Member to open.
        scratch : Path or None
            Folder for the temporary file of a compressed member, by default the system's. The file
            is unlinked while it is open, so that a killed process leaves nothing behind.

        Raises
        ------
        DataError
            As the constructor.
        """
        info, path = self._info(name), Path(f"{self.path}: {name}")
        if self._depth >= self._limits.depth:
            raise DataError(
                f"{shown(path)}: is nested {self._depth + 1} archives deep: a zip bomb. Allowed: "
                f"{self._limits.depth}"
            )
        if info.compress_type == zipfile.ZIP_STORED:
            window = _Window(self._file, self._start(info), info.compress_size)
            file: IO[bytes] = io.BufferedReader(window)
        else:
            file = self._unpacked(name, scratch)
        with Archive(path, self._limits, file, self._depth + 1) as archive:
            yield archive

    def _info(self, name: str) -> zipfile.ZipInfo:
        if name not in self._infos:
            raise DataError(f"{self.path}: has no member {name!r}")
        return self._infos[name]

    def _chunks(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a member; `zipfile` checks the CRC at the end."""
        with self._opened(self._info(name)) as member:
            while chunk := member.read(CHUNK):
                yield chunk

    @contextmanager
    def _opened(self, info: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
        try:
            with self._zip.open(info) as member:
                yield member
        except (*_BROKEN, OSError) as error:
            raise DataError(
                f"{self.path}: member '{shown(info.filename)}' is damaged: {_words(error)}. "
                "Fetch the archive again"
            ) from None

    def _copy(self, name: str, file: IO[bytes]) -> None:
        for chunk in self._chunks(name):
            file.write(chunk)
        file.flush()

    def _write(self, name: str, target: Path) -> None:
        with self._writing(name, target):
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                self._copy(name, file)

    def _unpacked(self, name: str, scratch: Path | None) -> IO[bytes]:
        with self._writing(name, scratch or Path(tempfile.gettempdir())):
            file = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 # the caller closes it
            try:
                self._copy(name, file)
            except BaseException:
                file.close()
                raise
        return file

    @contextmanager
    def _writing(self, name: str, target: Path) -> Iterator[None]:
        """Turn an OSError while writing into a DataError of one line."""
        try:
            yield
        except OSError as error:
            what = f"member {name!r}" if name else "it"
            full = error.errno in FULL
            advice = ". Free some space, then run it again" if full else ""
            raise DataError(
                f"{self.path}: {what} cannot be written to {target}: {error.strerror}{advice}"
            ) from None

    def _start(self, info: zipfile.ZipInfo) -> int:
        """Return the offset of a stored member's bytes, behind its local header."""
        # Opening makes zipfile compare the local header with the central directory.
        with self._opened(info):
            pass
        # The local header's extra field may be longer than the directory's: read its own lengths.
        self._file.seek(info.header_offset + 26)
        name, extra = struct.unpack("<HH", self._file.read(4))
        return int(info.header_offset + 30 + name + extra)


class _Window(io.RawIOBase):
    """Bytes `start` to `start + size` of an open file, as a file of their own.

    Every read seeks first, because the outer archive and other windows move the same file position.
    """

    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        self._file, self._start, self._size, self._at = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        self._file.seek(self._start + self._at)
        found = self._file.read(max(0, min(len(buffer), self._size - self._at)))
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)


def _directory(path: Path, file: IO[bytes]) -> zipfile.ZipFile:
    file.seek(0)
    begins_as_zip = file.read(len(_START)) == _START
    truncated = DataError(f"{path}: the zip is truncated. Fetch it again")
    try:
        directory = zipfile.ZipFile(file)
    except (*_BROKEN, OSError) as error:
        if begins_as_zip:
            raise truncated from None
        raise DataError(f"{path}: is not a zip: {_words(error)}") from None
    # zipfile searches the end of the file for a directory. In a truncated outer archive it may find
    # the directory of a nested one, whose first member then does not start at byte 0.
    if begins_as_zip and min((info.header_offset for info in directory.infolist()), default=0):
        raise truncated
    return directory


def _checked(
    path: Path, infos: list[zipfile.ZipInfo], limits: Limits, size: int
) -> dict[str, zipfile.ZipInfo]:
    """Return the files of an archive by name, or raise for the first invalid member."""
    if len(infos) > limits.members:
        raise DataError(f"{path}: has {len(infos)} members. Allowed: {limits.members}")
    files: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        if problem := _problem(info, limits):
            raise DataError(f"{path}: member '{shown(info.filename)}' {problem}")
        # Compare normalized names: `a//x` and `./a/x` would overwrite `a/x` when unpacked.
        plain = str(PurePosixPath(info.filename))
        if plain in files:
            raise DataError(f"{path}: member '{shown(info.filename)}' is duplicated")
        if not info.is_dir():
            files[plain] = info
    if (total := sum(info.file_size for info in infos)) > limits.total:
        raise DataError(
            f"{path}: unpacks to {total // MEGABYTE} MB: a zip bomb. Allowed: "
            f"{limits.total // MEGABYTE} MB"
        )
    if total > max(limits.ratio * size, limits.small):
        raise DataError(
            f"{path}: unpacks to {total / size:.0f} times its size: a zip bomb. Allowed: "
            f"{limits.ratio:g}"
        )
    if sum(info.compress_size for info in infos) > size:
        # Only possible when several directory entries share the same compressed bytes.
        raise DataError(f"{path}: its members overlap: a zip bomb")
    # Where "/" sorts before every other character, what is in a folder follows the folder's name.
    ordered = sorted(files, key=lambda name: name.replace("/", "\0"))
    for above, below in pairwise(ordered):
        if below.startswith(f"{above}/"):
            raise DataError(f"{path}: member '{shown(above)}' is a file and a folder")
    return files


def _problem(info: zipfile.ZipInfo, limits: Limits) -> str | None:
    """Return why a member is refused, or None."""
    # orig_filename keeps everything from a null character on, which zipfile strips from filename.
    name, kind = info.orig_filename, stat.S_IFMT(info.external_attr >> 16)
    if len(name) > limits.name:
        return f"has a name of {len(name)} characters. Allowed: {limits.name}"
    if not name.strip("/.") or "\0" in name or "\\" in name:
        return "has a name that is not portable"
    if name.startswith("/") or re.match("[A-Za-z]:", name) or ".." in name.split("/"):
        return "has a path outside the archive"
    if kind == stat.S_IFLNK:
        return "is a symbolic link"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is neither a file nor a folder"
    if info.flag_bits & 0x1:
        return "is encrypted"
    if info.compress_type not in _METHODS:
        return f"has an unsupported compression method ({info.compress_type})"
    ratio = info.file_size / max(info.compress_size, 1)
    if ratio > limits.ratio and info.file_size > limits.small:
        return f"unpacks to {ratio:.0f} times its size: a zip bomb. Allowed: {limits.ratio:g}"
    return None


def _words(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
