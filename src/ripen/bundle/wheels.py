"""Wheels of installed distributions: the very files that a program has run with, no index asked."""

import base64
import hashlib
import importlib.util
import zipfile
from collections.abc import Iterable, Iterator
from importlib import metadata
from importlib.metadata import Distribution
from pathlib import Path, PurePosixPath

from packaging.tags import Tag, parse_tag
from packaging.utils import canonicalize_name

OWN = {"ripen-pipeline": "ripen", "ripen-caffe": "caffe"}
"""Our distributions, of one package each, which may be installed as editable."""
OF_INSTALLING = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
QUICK = 1  # level of compression: the best one takes minutes for a few percent
FIRST = (1980, 1, 1, 0, 0, 0)  # the time of a zip's members, the same each time


def needed(modules: Iterable[tuple[str, str]]) -> list[Distribution]:
    """Return the distributions of imported modules, in order of their names.

    Parameters
    ----------
    modules : iterable of (str, str)
        A module's full name and its file. Modules of Python's own are left out.
    """
    owners, found = metadata.packages_distributions(), set()
    ours = {package: name for name, package in OWN.items()}
    for name, file in modules:
        package = name.partition(".")[0]
        candidates = set(owners.get(package, ()))
        if package in ours:
            candidates = {ours[package]}
        if len(candidates) > 1:  # a namespace that several share
            candidates = {each for each in candidates if _owns(each, file)}
        found |= candidates
    return [metadata.distribution(name) for name in sorted(found)]


def _owns(name: str, file: str) -> bool:
    files = metadata.distribution(name).files or []
    return any(str(each.locate()) == file for each in files)


def pack(distribution: Distribution, folder: Path) -> Path:
    """Write an installed distribution as a wheel, without its scripts' files; return its path.

    pip makes the scripts of entry points again.
    """
    name = canonicalize_name(distribution.name).replace("-", "_")
    stem, tags = f"{name}-{distribution.version}", _tags(distribution)
    wheel = folder / f"{stem}-{tags}.whl"
    records = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for place, content in _members(distribution, f"{stem}.dist-info"):
            _write(archive, place, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            records.append(f"{place},sha256={digest.decode()},{len(content)}")
        record = f"{stem}.dist-info/RECORD"
        _write(archive, record, "\n".join([*records, f"{record},,", ""]).encode())
    return wheel


def _write(archive: zipfile.ZipFile, place: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(place, FIRST), content, zipfile.ZIP_DEFLATED, QUICK)


def _tags(distribution: Distribution) -> str:
    """Return the compressed tags of a wheel's name, such as `cp311-cp311-manylinux_2_28_x86_64`."""
    lines = (distribution.read_text("WHEEL") or "").splitlines()
    tags: set[Tag] = set()
    for line in lines:
        if line.startswith("Tag:"):
            tags |= parse_tag(line.removeprefix("Tag:").strip())
    each = zip(*((tag.interpreter, tag.abi, tag.platform) for tag in tags), strict=True)
    return "-".join(".".join(sorted(set(kind))) for kind in each)


def _members(distribution: Distribution, info: str) -> Iterator[tuple[str, bytes]]:
    """Yield the places and contents of a wheel's files, but its RECORD."""
    if distribution.name in OWN:
        spec = importlib.util.find_spec(OWN[distribution.name])
        root = Path(str(spec and spec.origin)).parent
        for file in sorted(root.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                yield f"{root.name}/{file.relative_to(root).as_posix()}", file.read_bytes()
        for name in ("METADATA", "WHEEL", "entry_points.txt"):
            if (text := distribution.read_text(name)) is not None:
                yield f"{info}/{name}", text.encode()
        return
    for listed in sorted(distribution.files or [], key=str):
        place = PurePosixPath(listed)
        # Files outside of the folder of packages are scripts and manual pages.
        if place.parts[0] == ".." or "__pycache__" in place.parts:
            continue
        if place.parts[0].endswith(".dist-info"):
            if place.name in OF_INSTALLING:
                continue
            place = PurePosixPath(info, *place.parts[1:])
        yield place.as_posix(), Path(str(listed.locate())).read_bytes()
