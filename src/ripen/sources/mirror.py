"""A folder that serves the same bytes by the same names: `RIPEN_MIRROR`.

An address, less its scheme and its branch, is a path there.
"""

import os
import re
import shutil
from pathlib import Path

import pooch

from ripen.atomic import replacing
from ripen.errors import SourceError

VARIABLE = "RIPEN_MIRROR"


def path(url: str) -> Path:
    """Return where the mirror has an address.

    >>> path("https://github.com/owner/name/raw/master/folder/file").as_posix()
    'github.com/owner/name/folder/file'
    """
    bare = re.sub(r"^[a-z]+://", "", url)
    return Path(re.sub(r"/(raw|blob)/[^/]+/", "/", bare, count=1))


def fetch(url: str, known_hash: str, target: Path) -> None:
    """Copy a file from the mirror.

    Parameters
    ----------
    url : str
        Its address.
    known_hash : str
        ``algorithm:hexadecimal``, which its bytes must have.
    target : Path
        Written whole or not at all.

    Raises
    ------
    SourceError
        If there is no mirror, the mirror has no such file, or other bytes.
    """
    folder = os.environ.get(VARIABLE)
    if not folder:
        raise SourceError(f"{VARIABLE} is not set")
    source = Path(folder) / path(url)
    if not source.is_file():
        raise SourceError(f"{source} does not exist")
    algorithm, _, expected = known_hash.partition(":")
    found = pooch.file_hash(str(source), alg=algorithm)
    if found != expected:
        raise SourceError(f"{source} has {algorithm} {found}, and {expected} is needed")
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)
