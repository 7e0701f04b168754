"""The type of a source, the file that it fetches, and the registry of sources.

A source is a function `fetch(item, target)`, registered under a name. It reads its own address from
`item.at[name]`, writes `target` atomically, and raises a SourceError where it does not have the
file, so that the next source is tried.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ripen.core.errors import SourceError
from ripen.core.registry import Registry

Fetch = Callable[["Item", Path], None]
_OTHER_BYTES = "The file is damaged or another one: correct it there, or use another source"


@dataclass(frozen=True)
class Item:
    """A file to fetch.

    Parameters
    ----------
    name : str
        Name of the file in messages.
    size : int or None
        Expected size in bytes, if known.
    sha256, sha1 : str or None
        Expected hash in hexadecimal, if known.
    at : mapping of str to address
        Address of the file by the name of the source, as the source documents it. A string for most
        sources, so that a YAML file can hold it: ``{"url": "https://…", "kaggle": "titanic"}``.
    """

    name: str
    size: int | None = None
    sha256: str | None = None
    sha1: str | None = None
    at: Mapping[str, Any] = field(default_factory=dict)

    def address(self, source: str) -> Any:
        """Return the address for a source.

        Raises
        ------
        SourceError
            If there is none, so that the next source is tried.
        """
        if source not in self.at:
            raise SourceError(f"{self.name} has no address there")
        return self.at[source]

    def check(self, file: Path, where: str) -> None:
        """Check the size and the hashes of a fetched file.

        Parameters
        ----------
        file : Path
        where : str
            Origin of the file, for the error.

        Raises
        ------
        SourceError
            If the size or a hash differs from the expected one.
        """
        self.check_size(file.stat().st_size, where)
        for algorithm, expected in (("sha256", self.sha256), ("sha1", self.sha1)):
            if expected is None:
                continue
            with file.open("rb") as content:
                found = hashlib.file_digest(content, algorithm).hexdigest()
            if found != expected:
                raise SourceError(
                    f"{where} has {algorithm} {found}. Expected: {expected}", _OTHER_BYTES
                )

    def check_size(self, found: int, where: str) -> None:
        """Check the size alone, which a server announces before it sends the file.

        Raises
        ------
        SourceError
            If it differs from the expected one.
        """
        if self.size is not None and found != self.size:
            raise SourceError(f"{where} has {found} bytes. Expected: {self.size}", _OTHER_BYTES)


class Source(NamedTuple):
    """A registered source.

    Attributes
    ----------
    fetch : callable
        Writes an item to a path.
    mirrored : callable or None
        From the source's address to the path of the file in a mirror; None where a mirror cannot
        stand in for the source.
    """

    fetch: Fetch
    mirrored: Callable[[Any], Path] | None


SOURCES: Registry[Source] = Registry("source", "ripen.data.sources")


def register(name: str, mirrored: Callable[[Any], Path] | None = None) -> Callable[[Fetch], Fetch]:
    """Register a function as the source of this name.

    Parameters
    ----------
    name : str
    mirrored : callable, optional
        As `Source` has it.
    """

    def registered(fetch: Fetch) -> Fetch:
        SOURCES.add(name, Source(fetch, mirrored))
        return fetch

    return registered


def fetch(names: Sequence[str], item: Item, target: Path) -> str:
    """Fetch a file from the first source that has it.

    Parameters
    ----------
    names : sequence of str
        Sources in the order to try them, such as ``["mirror", "kaggle"]``.
    item : Item
        The file, with an address for each source that may have it.
    target : Path
        Where to write it, atomically. An interrupted download stays beside it as `<target>.part`,
        and the next call resumes it.

    Returns
    -------
    str
        Name of the source that had it.

    Raises
    ------
    ConfigError
        If there is no source of one of the names.
    SourceError
        If no source has the file: the reason of each, and what to do.
    DataError
        If the disk is full, or local files are invalid.
    """
    sources = {name: SOURCES[name] for name in names}
    failures: dict[str, SourceError] = {}
    for name, source in sources.items():
        try:
            source.fetch(item, target)
            return name
        except SourceError as error:
            failures[name] = error
    tried = "; ".join(f"{name}: {error.reason}" for name, error in failures.items())
    advice = [error.advice for error in failures.values() if error.advice]
    url = item.at.get("url")
    advice.append(f"Put {without_secrets(url) if url else 'the file'} at {target} yourself")
    raise SourceError(f"{item.name} not found. Tried {tried or 'no source'}", "; or: ".join(advice))


def without_secrets(url: str) -> str:
    """Return an address without the parts that may be secret: the user and the query.

    >>> without_secrets("https://me:pw@example.org/x.zip?Signature=abc")
    'https://example.org/x.zip'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
