"""The index: one row a picture, in the order in which everything of a competition stands."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from ripen.core.archives import Archive
from ripen.core.atomic import replacing
from ripen.core.errors import DataError
from ripen.data.images.duplicates import Duplicates, find
from ripen.data.images.files import File, within
from ripen.data.images.names import Named
from ripen.data.images.scan import Look, scan

PARTS = ("train", "test")
COLUMNS = {
    "id": "str",
    "part": "str",  # "train", "validation" or "test"
    "label": "int64",  # row of the class; -1 where it is not known
    "archive": "str",
    "name": "str",  # in the archive
    "width": "int64",  # of the upright picture; 0 where the file cannot be read
    "height": "int64",
    "mode": "str",
    "format": "str",
    "bytes": "int64",
    "sha256": "str",  # of the file
    "dhash": "str",  # 16 hexadecimal digits
    "brightness": "float64",
    "group": "int64",  # the first row that is the same, or nearly
    "fold": "int64",  # in which it is held out; -1 where it is not learnt from
    "notes": "str",  # what is out of the ordinary and does no harm
    "problem": "str",  # why it is left out
}


@dataclass(frozen=True)
class Found:
    """A picture that was looked at: in which archive, what its name says, what it is."""

    archive: str
    named: Named
    look: Look


def survey(
    archives: Mapping[str, Archive],
    parse: Callable[[str], Named | None],
    min_side: int,
    threads: int,
    advance: Callable[[str], None] = lambda _: None,
) -> Iterator[Found]:
    """Look at every picture of archives, one after the other.

    Parameters
    ----------
    archives : mapping of str to Archive
        As `ripen.data.images.files.opened` gives them.
    parse : callable
        Returns what a file's name says; None for what is no picture.
    min_side : int
        A picture of a smaller width or height has a problem.
    threads : int
        The result does not depend on it.
    advance : callable
        Is told the name of each picture that has been looked at.

    Raises
    ------
    DataError
        If a file has a name that no picture should have.
    """
    for archive_name, archive in archives.items():
        named = {file: what for file in within(archive) if (what := parse(file.name)) is not None}
        looks = scan(named, min_side, threads)
        for what, look in zip(named.values(), looks, strict=True):
            advance(look.name)
            yield Found(archive_name, what, look)


def build(found: Iterable[Found]) -> tuple[pd.DataFrame, Duplicates]:
    """Return the index, training pictures first, by class and number, then test pictures.

    Returns
    -------
    DataFrame, Duplicates
        The index, and which of its rows are the same.

    Raises
    ------
    DataError
        If two pictures have the same id.
    """
    ordered = sorted(found, key=lambda each: (each.named, each.look.name))
    for a, b in zip(ordered, ordered[1:], strict=False):
        if a.named == b.named:
            raise DataError(f"{a.look.name} and {b.look.name} have the same id {a.named.id}")
    duplicates = find([each.look for each in ordered])
    rows = [
        _row(each) | {"group": int(group), "fold": -1}
        for each, group in zip(ordered, duplicates.group, strict=True)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS), duplicates


def _row(found: Found) -> dict[str, Any]:
    look, facts = found.look, found.look.facts
    return {
        "id": found.named.id,
        "part": PARTS[found.named.part],
        "label": found.named.label,
        "archive": found.archive,
        "name": look.name,
        "width": facts.width,
        "height": facts.height,
        "mode": facts.mode,
        "format": facts.format,
        "bytes": look.bytes,
        "sha256": look.sha256,
        "dhash": f"{look.dhash:016x}",
        "brightness": round(look.brightness, 2),
        "notes": " ".join(facts.notes),
        "problem": look.problem,
    }


def write(path: Path, index: pd.DataFrame) -> None:
    """Write the index as CSV, whole or not at all."""
    with replacing(path) as temporary:
        index.to_csv(temporary, index=False, lineterminator="\n")


def files(index: pd.DataFrame, archives: Mapping[str, Archive]) -> list[File]:
    """Return the pictures' files in the order of the index."""
    rows = index[["archive", "name"]].itertuples(index=False)
    return [File(name, partial(archives[archive].read, name)) for archive, name in rows]


def read(path: Path) -> pd.DataFrame:
    """Read what `write` wrote."""
    return pd.read_csv(path, dtype=COLUMNS, keep_default_na=False)


def check_broken(index: pd.DataFrame, max_broken: float) -> None:
    """Make sure that few pictures whose class is known are left out.

    Parameters
    ----------
    index : DataFrame
    max_broken : float in [0, 1]
        The share of them that may have a problem.

    Raises
    ------
    DataError
        If more have, or there is none whose class is known.
    """
    known = index[index.label >= 0]
    broken = known[known.problem != ""]
    if known.empty:
        raise DataError("there is no picture whose class is known: train/<class>.<number>.jpg")
    if len(broken) > max_broken * len(known):
        first = broken.iloc[0]
        raise DataError(
            f"{len(broken)} of {len(known)} labelled pictures are broken, more than max_broken "
            f"{max_broken:g} allows. The first: {first['name']}: {first['problem']}"
        )


def check_classes(index: pd.DataFrame, classes: Sequence[str], at_least: int = 1) -> None:
    """Make sure that each class has whole training pictures.

    Raises
    ------
    DataError
        If one has fewer than `at_least`.
    """
    whole = index[(index.part != "test") & (index.problem == "")]
    counts = whole.label.value_counts()
    for label, name in enumerate(classes):
        if (count := int(counts.get(label, 0))) < at_least:
            raise DataError(
                f"class '{name}' has {count} whole training pictures. Needed: at least {at_least}"
            )


def check_ids(index: pd.DataFrame, ids: Sequence[str], sample: str) -> None:
    """Make sure that the test pictures are those of the sample submission.

    Parameters
    ----------
    index : DataFrame
    ids : sequence of str
        Those that the sample names.
    sample : str
        The sample's file, for the error.

    Raises
    ------
    DataError
        If a picture or a line of the sample is missing: names the lowest id.
    """
    here, wanted = set(index.id[index.part == "test"]), set(ids)
    if missing := sorted(wanted - here, key=_number):
        raise DataError(
            f"{sample} names test id {missing[0]}, and there is no test picture "
            f"{missing[0]}.jpg{_others(missing)}"
        )
    if unknown := sorted(here - wanted, key=_number):
        name = index.loc[(index.part == "test") & (index.id == unknown[0]), "name"].iloc[0]
        raise DataError(f"{name}: {sample} does not name test id {unknown[0]}{_others(unknown)}")


def _number(id: str) -> tuple[int, str]:
    return (int(id) if id.isdecimal() else -1, id)


def _others(ids: Sequence[str]) -> str:
    return f", nor {len(ids) - 1} others" if len(ids) > 1 else ""
