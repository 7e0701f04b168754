"""Many small files of a source, as one archive: later stages read archives."""

import io
import shutil
import zipfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

from ripen.core.atomic import replacing
from ripen.core.progress import progress
from ripen.data.sources import SourceName, fetch
from ripen.data.sources.item import Item


def gather(sources: Sequence[SourceName], items: Sequence[Item], target: Path) -> None:
    """Bring files and put them into a zip, whose bytes are the same every time.

    Parameters
    ----------
    sources : sequence of {"mirror", "kaggle", "pypi", "url"}
        As `fetch` takes them.
    items : sequence of Item
        The files.
    target : Path
        The archive, written whole or not at all. What has come is kept in `<target>.parts` until
        then, so that it is gone on with the next time.

    Raises
    ------
    SourceError, DataError
        As `fetch`, of the first file that cannot be had.
    """
    folder = target.with_name(f"{target.name}.parts")
    with progress(target.name, len(items)) as advance:
        for item in items:
            file = folder / item.name
            if file.exists():  # of an earlier call, or put there by somebody
                item.check(file, str(file))
            else:
                # A line for each of them says too much.
                with redirect_stdout(io.StringIO()):
                    fetch(sources, item, file)
            advance(item.name)
    with replacing(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for item in items:
            archive.writestr(member(item.name), (folder / item.name).read_bytes())
    shutil.rmtree(folder)


def member(name: str) -> zipfile.ZipInfo:
    """Return a member that is stored as it is, without a date: with one the archive is another."""
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o644 << 16
    return info
