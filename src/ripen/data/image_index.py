"""The index of a competition's images: one row for each, in the order that all tables share."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from ripen.core.archives import Archive
from ripen.core.errors import DataError
from ripen.data.decode import File, files_of
from ripen.data.labels import PARTS, Labelled, Labels, in_archive, natural_key
from ripen.data.scan import Duplicates, Scanned, find_duplicates, scan

COLUMNS = {
    "id": "str",
    "part": "str",  # "train", "validation" or "test"
    "label": "int64",  # row of the class; -1 if unknown
    "archive": "str",
    "name": "str",  # in the archive
    "width": "int64",  # of the upright image; 0 if the file cannot be decoded
    "height": "int64",
    "mode": "str",
    "format": "str",
    "bytes": "int64",
    "sha256": "str",  # of the file
    "dhash": "str",  # 16 hexadecimal digits
    "brightness": "float64",
    "group": "int64",  # first row of the near-duplicates
    "fold": "int64",  # in which the row is held out; -1 for rows outside training
    "notes": "str",  # unusual but harmless properties
    "problem": "str",  # why the image is excluded
}


@dataclass(frozen=True)
class Found:
    """A scanned image: its archive, its label and id, and what the scan found."""

    archive: str
    labelled: Labelled
    scanned: Scanned


def survey(
    archives: Mapping[str, Archive],
    read_labels: Callable[[Sequence[str]], Labels],
    min_side: int,
    threads: int,
    advance: Callable[[str], None] = lambda _: None,
) -> Iterator[Found]:
    """Scan every image of the archives.

    Parameters
    ----------
    archives : mapping of str to Archive
        As `ripen.data.decode.open_archives` yields them.
    read_labels : callable
        A reader of `ripen.data.labels`, bound to what is known of the competition; it is called
        once, with the names of the files of all archives.
    min_side : int
        An image of a smaller width or height has a problem.
    threads : int
        The result does not depend on it.
    advance : callable
        Called with the name of each scanned image.

    Raises
    ------
    DataError
        If the reader cannot parse the name of a file.
    """
    files = [(name, file) for name, archive in archives.items() for file in files_of(archive)]
    # Of an archive "all.zip/train.zip", images may lie in no folder.
    labels = read_labels(
        [in_archive(file.name, name) if "/" in name else file.name for name, file in files]
    )
    images = [
        (archive, file, labelled)
        for (archive, file), labelled in zip(files, labels.images, strict=True)
        if labelled is not None
    ]
    scanned = scan((file for _, file, _ in images), min_side, threads)
    for (archive, _, labelled), each in zip(images, scanned, strict=True):
        advance(each.name)
        yield Found(archive, labelled, each)


def build(found: Iterable[Found]) -> tuple[pd.DataFrame, Duplicates]:
    """Return the index: training images by class and number first, then test images.

    Returns
    -------
    DataFrame, Duplicates
        The index, and the duplicates among its rows.

    Raises
    ------
    DataError
        If two images of one class, or two test images, have the same id.
    """
    ordered = sorted(found, key=_order)
    for a, b in zip(ordered, ordered[1:], strict=False):
        if a.labelled == b.labelled:
            raise DataError(
                f"{a.scanned.name} and {b.scanned.name} have the same id {a.labelled.id}"
            )
    duplicates = find_duplicates([each.scanned for each in ordered])
    rows = [
        _row(each) | {"group": int(group), "fold": -1}
        for each, group in zip(ordered, duplicates.group, strict=True)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS), duplicates


def _order(found: Found) -> tuple[Any, ...]:
    part, label, key, id = found.labelled
    # The file name comes last, so that the order is that of the names and not of the archives.
    return PARTS.index(part), label, key, id, found.scanned.name


def _row(found: Found) -> dict[str, Any]:
    scanned, facts = found.scanned, found.scanned.facts
    return {
        "id": found.labelled.id,
        "part": found.labelled.part,
        "label": found.labelled.label,
        "archive": found.archive,
        "name": scanned.name,
        "width": facts.width,
        "height": facts.height,
        "mode": facts.mode,
        "format": facts.format,
        "bytes": scanned.bytes,
        "sha256": scanned.sha256,
        "dhash": f"{scanned.dhash:016x}",
        "brightness": round(scanned.brightness, 2),
        "notes": " ".join(facts.notes),
        "problem": scanned.problem,
    }


def files(index: pd.DataFrame, archives: Mapping[str, Archive]) -> list[File]:
    """Return the images' files in the order of the index."""
    rows = index[["archive", "name"]].itertuples(index=False)
    return [File(name, partial(archives[archive].read, name)) for archive, name in rows]


def check_broken(index: pd.DataFrame, max_broken: float) -> None:
    """Check that only a few labelled images are excluded.

    Parameters
    ----------
    index : DataFrame
    max_broken : float in [0, 1]
        Share of the labelled images that may have a problem.

    Raises
    ------
    DataError
        If more have one, or no image has a label.
    """
    known = index[index.label >= 0]
    broken = known[known.problem != ""]
    if known.empty:
        raise DataError("no labelled image found")
    if len(broken) > max_broken * len(known):
        first = broken.iloc[0]
        raise DataError(
            f"{len(broken)} of {len(known)} labelled images have a problem, more than max_broken "
            f"{max_broken:g} allows. The first: {first['name']}: {first['problem']}"
        )


def check_ids(index: pd.DataFrame, ids: Sequence[str], sample: str) -> None:
    """Check that the test images are those of the sample submission.

    Parameters
    ----------
    index : DataFrame
    ids : sequence of str
        Ids of the sample.
    sample : str
        Name of the sample's file, for the error.

    Raises
    ------
    DataError
        If an image or a row of the sample is missing: the error names the lowest id.
    """
    here, wanted = set(index.id[index.part == "test"]), set(ids)
    if missing := sorted(wanted - here, key=natural_key):
        raise DataError(
            f"{sample} has test id {missing[0]}, but there is no test image {missing[0]}"
            f"{_others(missing)}"
        )
    if unknown := sorted(here - wanted, key=natural_key):
        name = index.loc[(index.part == "test") & (index.id == unknown[0]), "name"].iloc[0]
        raise DataError(f"{name}: {sample} has no test id {unknown[0]}{_others(unknown)}")


def _others(ids: Sequence[str]) -> str:
    return f", nor {len(ids) - 1} others" if len(ids) > 1 else ""
