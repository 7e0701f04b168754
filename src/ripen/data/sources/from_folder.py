"""Source `folder`: a local folder as one archive, of reproducible bytes.

An address is the path of the folder, or a mapping with `path` and, if wanted, `classes`. Files keep
their paths relative to the folder; the members of a tar are read without unpacking it, as if they
were in a folder of the tar's name (`n02123045.tar`, as ImageNet distributes its classes). `classes`
limits the archive to some of the sub-folders or tars, all of which must have images: a mapping from
the sub-folder to the class's name in messages, or a list.
"""

import os
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from ripen.core.archives import Limits
from ripen.core.atomic import replacing
from ripen.core.errors import DataError, shown
from ripen.core.progress import progress
from ripen.data.labels import is_image, is_junk
from ripen.data.sources.from_list import reproducible_member
from ripen.data.sources.source import Item, register
from ripen.settings.compose import check
from ripen.settings.typed import typed

File = tuple[str, bytes]
_DAMAGED = (
    tarfile.TarError,
    EOFError,
    ValueError,
    ArithmeticError,
    RecursionError,
    MemoryError,  # of a header of as many bytes as it announces
)


@typed
class Folder:
    """An address: a folder, all of it or some of its classes."""

    path: str
    classes: list[str] | dict[str, str] | None = None


@register("folder")
def fetch(item: Item, target: Path) -> None:
    """Pack a local folder into a zip.

    Raises
    ------
    SourceError
        If the item has no such address.
    ConfigError
        If the address has other keys.
    DataError
        If the folder is not found or empty, a class has no image, or a tar is damaged.
    """
    address = item.address("folder")
    given = address if isinstance(address, Mapping) else {"path": str(address)}
    folder = check(given, Folder, "source.folder")
    if folder.classes is None:
        pack(Path(folder.path), target)
    else:
        named = folder.classes
        named = named if isinstance(named, dict) else {name: name for name in named}
        pack_classes(Path(folder.path), named, target)
    item.check(target, str(target))


def pack(folder: Path, target: Path) -> None:
    """Pack all files of a folder; one file at a time is in memory.

    Raises
    ------
    DataError
        If the folder is not found or has no file, or a tar is damaged.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder. Correct its path in the settings")
    count = 0
    with (
        replacing(target) as temporary,
        zipfile.ZipFile(temporary, "w") as archive,
        progress(target.name, None) as advance,
    ):
        for name, content in _all_files(folder):
            archive.writestr(reproducible_member(name), content)
            advance(name)
            count += 1
        if not count:
            raise DataError(f"{folder}: the folder has no file")


def pack_classes(folder: Path, classes: Mapping[str, str], target: Path) -> None:
    """Pack the images of some classes; one image at a time is in memory.

    Parameters
    ----------
    folder : Path
        Has ``<class>/*.jpg`` or ``<class>.tar`` for each class.
    classes : mapping of str to str
        Name of each class in messages, by its folder.
    target : Path
        The archive, written atomically; its members are ``<class>/<file>``.

    Raises
    ------
    DataError
        If a class has neither folder nor tar, or no image; if it has another kind of file; if a tar
        is damaged.
    """
    with (
        replacing(target) as temporary,
        zipfile.ZipFile(temporary, "w") as archive,
        progress(target.name, len(classes)) as advance,
    ):
        for class_folder, class_name in classes.items():
            count = 0
            for name, content in _files_of_class(folder, class_folder):
                if is_junk(name):
                    continue
                if not is_image(name):
                    raise DataError(f"{name}: is not an image's name. Remove it from {folder}")
                archive.writestr(reproducible_member(name), content)
                count += 1
            if not count:
                raise DataError(f"{folder / class_folder}: no image of {class_name} found")
            advance(f"{class_name}: {count}")


def _all_files(folder: Path) -> Iterator[File]:
    # os.walk's order is the file system's: sort, so that the archive's bytes do not depend on it.
    for where, below, names in os.walk(folder):
        below.sort()
        for name in sorted(names):
            path = Path(where, name)
            relative = path.relative_to(folder)
            if is_junk(relative.as_posix()):
                continue
            if path.suffix == ".tar":
                yield from _files_of_tar(path, relative.with_suffix("").as_posix())
            elif path.is_file():
                yield relative.as_posix(), path.read_bytes()


def _files_of_class(folder: Path, name: str) -> Iterator[File]:
    """Yield the files of a class in the order of their names."""
    own, tar = folder / name, folder / f"{name}.tar"
    if own.is_dir():
        files = sorted(path for path in own.iterdir() if path.is_file())
        yield from ((f"{name}/{path.name}", path.read_bytes()) for path in files)
    elif tar.is_file():
        yield from _files_of_tar(tar, name)
    else:
        raise DataError(
            f"{folder}: has neither a folder {name} nor {tar.name}. Put the images there, or "
            "change the folder in the settings"
        )


def _files_of_tar(path: Path, folder: str) -> Iterator[File]:
    """Yield the files of a tar in the order of their names.

    Only the last part of a member's name is used, so that a path outside the tar does no harm.
    Links are left out.
    """
    try:
        size = path.stat().st_size
        with tarfile.open(path, "r:") as archive:
            files = {PurePosixPath(info.name).name: info for info in archive if info.isfile()}
            for name in sorted(files):
                yield f"{folder}/{name}", _content(path, archive, files[name], size)
    except DataError:
        raise
    except _DAMAGED as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"{shown(path)}: is not a tar, or is truncated: {reason}") from None
    except OSError as error:
        raise DataError(f"{shown(path)}: cannot be read: {error.strerror or error}") from None


def _content(path: Path, archive: tarfile.TarFile, info: tarfile.TarInfo, size: int) -> bytes:
    """Return a member's bytes. A sparse member may announce more than there are."""
    allowed = min(size, Limits().at_once)
    if info.size > allowed:
        raise DataError(
            f"{shown(path)}: member '{shown(info.name)}' has {info.size} bytes. Allowed: {allowed}"
        )
    file = archive.extractfile(info)
    assert file is not None  # the member is a regular file
    return file.read()
