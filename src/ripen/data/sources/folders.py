"""Photographs that the user has, a folder or a tar for each class, as one archive."""

import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from ripen.core.atomic import replacing
from ripen.core.errors import DataError
from ripen.core.progress import progress
from ripen.data.images.names import parse_synset
from ripen.data.sources.gathered import member


def collect(images: Path, classes: Mapping[str, str], target: Path) -> None:
    """Put the photographs of some classes into a zip, whose bytes are the same every time.

    One is in memory at a time.

    Parameters
    ----------
    images : Path
        Has ``<synset>/*.JPEG`` or ``<synset>.tar`` for each class, as ImageNet's own tars unpack.
    classes : mapping of str to str
        Name of each class, by synset.
    target : Path
        The archive, written whole or not at all; its members are ``<synset>/<file>``.

    Raises
    ------
    DataError
        If there is neither folder nor tar of a class, or no picture in it; if a file is no
        picture, or a tar is cut short or none.
    """
    with (
        replacing(target) as temporary,
        zipfile.ZipFile(temporary, "w") as archive,
        progress(target.name, len(classes)) as advance,
    ):
        for synset, class_ in classes.items():
            count = 0
            for name, content in _files(images, synset):
                if parse_synset(f"{synset}/{name}", {synset: 0}) is not None:
                    archive.writestr(member(f"{synset}/{name}"), content)
                    count += 1
            if not count:
                raise DataError(f"{images / synset}: there is no picture of {class_}")
            advance(f"{class_}: {count}")


def _files(images: Path, synset: str) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a class, in the order of their names."""
    folder, tar = images / synset, images / f"{synset}.tar"
    if folder.is_dir():
        files = sorted(path for path in folder.iterdir() if path.is_file())
        yield from ((path.name, path.read_bytes()) for path in files)
    elif tar.is_file():
        yield from _of_tar(tar)
    else:
        raise DataError(
            f"{images}: has neither a folder {synset} nor {tar.name}. Put the photographs there, "
            "or name the folder that has them: competition.imagenet_subset.fetch.images"
        )


def _of_tar(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a tar, which is not unpacked: where a name would lead is all the same."""
    try:
        with tarfile.open(path, "r:") as archive:
            files = {PurePosixPath(info.name).name: info for info in archive if info.isfile()}
            for name in sorted(files):
                content = archive.extractfile(files[name])
                assert content is not None  # of a file
                yield name, content.read()
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"{path}: is no tar, or is cut short: {error}") from None
