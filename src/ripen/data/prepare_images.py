"""Stage `prepare` for images: scan them, exclude the broken ones, assign folds, write the card."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ripen.competition.datasets.photos import Photos
from ripen.competition.datasets.tabular import read_sample
from ripen.core.archives import Archive
from ripen.core.atomic import fresh_folder, replacing, write_text
from ripen.core.layout import Layout
from ripen.core.progress import progress
from ripen.data import card, image_index
from ripen.data.decode import decode, open_archives
from ripen.data.folds import folds
from ripen.data.scan import Duplicates
from ripen.settings.schema import CompetitionName, Config

GRID = "grid.jpg"
EACH = 8
"""Images of a class on the grid."""
NAMED = 3
"""Excluded images to print; the card lists them all."""


def run(config: Config, competition: CompetitionName, photos: Photos) -> None:
    """Read the archives of `raw/`; write the index, the data card and the sample grid."""
    layout, own = Layout(competition), getattr(config.competition, competition)
    with open_archives(layout.raw) as archives:
        index, duplicates = survey(archives, photos, own.prepare.min_side, own.compute.threads)
        image_index.check_broken(index, own.prepare.max_broken)
        if photos.learns:
            check(index, photos, own.prepare.folds, layout.sample)
            index["fold"] = assign_folds(index, own.prepare.folds, config.seed)
        grid = sample_grid(archives, index, photos, config.seed)
    print_excluded(index)
    with fresh_folder(layout.prepared) as folder:
        image_index.write(folder / "index.csv", index)
        write_card(folder, index, duplicates, photos, hashes(layout.raw), grid)


def survey(
    archives: Mapping[str, Archive], photos: Photos, min_side: int, threads: int
) -> tuple[pd.DataFrame, Duplicates]:
    """Return the index of all images and their duplicates; show progress."""
    with progress("prepare", None) as advance:
        return image_index.build(
            image_index.survey(archives, photos.read_labels, min_side, threads, advance)
        )


def check(index: pd.DataFrame, photos: Photos, k: int, sample: Path) -> None:
    """Check that each class has an image for each fold, and that the test ids are the sample's.

    A competition without a submission has no sample.

    Raises
    ------
    DataError
        If a class has too few good images, or a test image is missing.
    """
    image_index.check_classes(index, photos.classes, k)
    if photos.submitted:
        ids = read_sample(sample, photos)[photos.id].astype(str).tolist()
        image_index.check_ids(index, ids, str(sample))


def assign_folds(index: pd.DataFrame, k: int, seed: int) -> pd.Series:
    """Return the fold of each image, from 0 to k - 1, near-duplicates in one fold.

    Test images and excluded ones have fold -1.
    """
    good = (index["part"] == "train") & (index["problem"] == "")
    rows = index[good]
    fold = pd.Series(-1, index.index, np.int64)
    fold[good] = folds(rows["label"].to_numpy(), rows["group"].to_numpy(), k, seed)
    return fold


def sample_grid(
    archives: Mapping[str, Archive], index: pd.DataFrame, photos: Photos, seed: int
) -> bytes:
    """Return a JPEG file of sample images, with a row for each class where there are few."""
    n = len(photos.classes)
    drawn = (
        card.sample_by_class(index, n, EACH, seed)
        if n <= card.FEW
        else card.sample_any(index, EACH, seed)
    )
    rows = [
        [
            decode(archives[archive].read(name), name, (card.SIDE, card.SIDE))
            for archive, name in index.loc[row, ["archive", "name"]].itertuples(index=False)
        ]
        for row in drawn
    ]
    return card.jpeg(card.montage(rows))


def hashes(raw: Path) -> dict[str, str]:
    """Return the SHA-256 of each raw file."""
    found = {}
    for path in sorted(raw.iterdir()):
        with path.open("rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def write_card(
    folder: Path,
    index: pd.DataFrame,
    duplicates: Duplicates,
    photos: Photos,
    sha256: Mapping[str, str],
    grid: bytes,
) -> None:
    """Write the data card as JSON, Markdown and HTML, and the grid."""
    origin = card.Origin(photos.title, photos.source, photos.licence, sha256)
    values = card.card(index, duplicates, photos.classes, origin)
    with replacing(folder / GRID) as temporary:
        temporary.write_bytes(grid)
    write_text(folder / "card.json", json.dumps(values, indent=2, ensure_ascii=False) + "\n")
    write_text(folder / "card.md", card.markdown(values, GRID))
    write_text(folder / "card.html", card.html(values, grid))


def print_excluded(index: pd.DataFrame) -> None:
    """Print the first excluded images and the number of the others."""
    bad = index[index["problem"] != ""]
    for row in bad.head(NAMED).itertuples():
        print(f"prepare: excluded: {row.name}: {row.problem}")
    if len(bad) > NAMED:
        print(f"prepare: excluded: {len(bad) - NAMED} more, listed in card.md")
