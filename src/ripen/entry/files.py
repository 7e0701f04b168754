"""The files of a new competition: its tables, its images, their format."""

import io
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pandas as pd

from ripen.core.archives import Archive
from ripen.core.csv_files import read_text, sniff
from ripen.core.errors import DataError
from ripen.data.labels import is_image, is_junk

TABLES = (".csv", ".tsv")
SHOWN = 10  # names in an error
_SAMPLE = re.compile(r"submi|^sample", re.IGNORECASE)


@dataclass(frozen=True)
class Table:
    """A table, every value as text.

    Attributes
    ----------
    name : str
        File name without folders.
    text : DataFrame of str
    form : dict of str to str
        Its format, where it is not the default: the section `csv` of a competition's settings.
    """

    name: str
    text: pd.DataFrame
    form: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Files:
    """The content of an archive or folder.

    Attributes
    ----------
    where : str
        Its path, for errors.
    tables : dict of str to Table
        By the file's name without folders.
    images : tuple of str
        Names with folders, in a nested archive relative to it.
    smallest : int
        The smallest width or height among the first images, in pixels; 0 without images.
    """

    where: str
    tables: Mapping[str, Table]
    images: Sequence[str] = ()
    smallest: int = 0


def read(path: Path) -> Files:
    """Read a folder or a zip file, archives nested in it included.

    Raises
    ------
    DataError
        If it is missing, is neither, is damaged, or holds no table.
    """
    with opened(path) as members:
        names = [name for name in members if not is_junk(name)]
        images = [name for name in names if is_image(name)]
        tables: dict[str, Table] = {}
        for name in names:
            if name.lower().endswith(TABLES):
                table = read_table(members[name](), PurePosixPath(name).name, f"{path}: {name}")
                tables.setdefault(table.name, table)
        smallest = min((_side(members[name](), name) for name in images[:20]), default=0)
        others = [name for name in names if name not in images]
    if not tables and not images:
        shown = ", ".join(others[:SHOWN]) or "none"
        raise DataError(f"{path}: holds neither a table (*.csv) nor an image. Its files: {shown}")
    return Files(str(path), tables, images, smallest)


@contextmanager
def opened(path: Path) -> Iterator[dict[str, Callable[[], bytes]]]:
    """Yield a reader for each file of a folder or zip, by its name with folders, in order."""
    with ExitStack() as stack:
        if os.path.isdir(path):
            found = {
                file.relative_to(path).as_posix(): file.read_bytes
                for file in sorted(path.rglob("*"))
                if file.is_file() and file.suffix.lower() != ".zip"
            }
            archives = [stack.enter_context(Archive(each)) for each in sorted(path.rglob("*.zip"))]
        elif os.path.isfile(path):
            found, archives = {}, [stack.enter_context(Archive(path))]
        else:
            raise DataError(f"{path}: no such file or folder")
        while archives:
            archive = archives.pop(0)
            for member in archive.members:
                if member.name.lower().endswith(".zip"):
                    archives.append(stack.enter_context(archive.inner(member.name)))
                else:
                    found.setdefault(member.name, _reader(archive, member.name))
        yield found


def _reader(archive: Archive, name: str) -> Callable[[], bytes]:
    return lambda: archive.read(name)


def read_table(content: bytes, name: str, where: str) -> Table:
    """Return a table, whatever its format.

    Raises
    ------
    DataError
        If it is not a table of one header and equal rows.

    >>> read_table("id;size\\n1;2,5\\n".encode(), "train.csv", "").form
    {'separator': ';', 'decimal': ','}
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_bytes(content)
        form = sniff(file)
        try:
            text = read_text(file, form.get("separator", ","), form.get("encoding", "utf-8"))
        except DataError as error:
            raise DataError(str(error).replace(str(file), where)) from None
    return Table(name, text, form)


def _side(content: bytes, name: str) -> int:
    """Return the shorter side of an image in pixels; a large number if it is broken."""
    # Importing Pillow takes a moment, which a competition of tables need not wait.
    from ripen.data.decode import open_image

    try:
        with open_image(io.BytesIO(content), name) as image:
            return min(image.size)
    except Exception:  # Pillow raises errors of any type on damaged files
        return 1 << 30


# --- Which table is which ------------------------------------------------------------------------


def sample_of(files: Files) -> Table | None:
    """Return the sample submission, by its name. Competitions in stages have several: the last."""
    named = [table for name, table in sorted(files.tables.items()) if _SAMPLE.search(name)]
    return named[-1] if named else None


def part_of(files: Files, part: str) -> Table | None:
    """Return the table named ``<part>.csv``, else the first whose name begins or ends with it."""
    stems = {Path(name).stem.lower(): table for name, table in sorted(files.tables.items())}
    if part in stems:
        return stems[part]
    close = [
        table
        for stem, table in stems.items()
        if re.search(rf"(^|[^a-z]){part}(ing)?([^a-z]|$)", stem) and not _SAMPLE.search(stem)
    ]
    return close[0] if close else None
