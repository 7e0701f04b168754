"""Source `list`: many small files, each fetched by itself and packed into one archive.

Later stages read archives only, so that images need not be unpacked. An address is a mapping:

- `table`: a CSV file with the columns `file` and `sha256`;
- `url`: the address of the folder that has the files;
- `sources`: the sources to try for each file, by default the mirror and then the address.
"""

import csv
import io
import shutil
import zipfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

from ripen.core.atomic import replacing
from ripen.core.errors import DataError, reading, shown
from ripen.core.progress import progress
from ripen.data.sources import source
from ripen.data.sources.source import Item, register

SOURCES = ("mirror", "url")


@register("list")
def fetch(item: Item, target: Path) -> None:
    """Fetch the files of a table and pack them into a zip.

    Raises
    ------
    SourceError
        If the item has no such address, or a file is not found.
    DataError
        If the table is not found or invalid, or the disk is full.
    """
    address = item.address("list")
    gather(
        address.get("sources", SOURCES), read_list(Path(address["table"]), address["url"]), target
    )
    item.check(target, str(target))


def read_list(table: Path, url: str) -> list[Item]:
    """Return the files of a table.

    Raises
    ------
    DataError
        If the table is not found, or has no column `file` or `sha256`.
    """
    with reading(table, "Correct it"), table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        return [
            Item(row["file"], sha256=row["sha256"], at={"url": f"{url.rstrip('/')}/{row['file']}"})
            for row in rows
        ]
    except KeyError as error:
        raise DataError(f"{table}: has no column {error}. Needed: file, sha256") from None


def gather(sources: Sequence[str], items: Sequence[Item], target: Path) -> None:
    """Fetch files and pack them into a zip of reproducible bytes.

    Parameters
    ----------
    sources : sequence of str
        As `ripen.data.sources.fetch` takes them.
    items : sequence of Item
    target : Path
        The archive, written atomically. Fetched files stay in `<target>.parts` until it is
        complete, so that an interrupted call resumes.

    Raises
    ------
    SourceError, DataError
        As `ripen.data.sources.fetch`, for the first file that is not found.
    """
    folder = target.with_name(f"{target.name}.parts")
    with progress(target.name, len(items)) as advance:
        for item in items:
            file = folder / item.name
            if file.exists():  # from an interrupted call, or put there by the user
                item.check(file, str(file))
            else:
                # One progress bar for all files, instead of one line for each.
                with redirect_stdout(io.StringIO()):
                    source.fetch(sources, item, file)
            advance(item.name)
    with replacing(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for item in items:
            archive.writestr(reproducible_member(item.name), (folder / item.name).read_bytes())
    shutil.rmtree(folder)


def reproducible_member(name: str) -> zipfile.ZipInfo:
    """Return a member without compression or date, either of which would vary the bytes.

    Raises
    ------
    DataError
        If the name is not UTF-8.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        raise DataError(f"{shown(name)}: the name is not UTF-8. Rename the file") from None
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o644 << 16
    return info
