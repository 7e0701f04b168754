"""prepare for photographs: look at every one, leave out what is broken, deal the folds."""

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
from ripen.data.images import card, grid
from ripen.data.images import index as indexes
from ripen.data.images.decode import read
from ripen.data.images.duplicates import Duplicates
from ripen.data.images.files import opened
from ripen.data.images.split import folds
from ripen.settings.schema import CompetitionName, Config

GRID = "grid.jpg"
EACH = 8  # pictures of a class on the grid
NAMED = 3  # of the pictures that are left out, on the terminal; the card has all


def run(config: Config, competition: CompetitionName, photos: Photos) -> None:
    """Read the archives of `raw/`, write `prepared/`: the index, the data card, the sample grid."""
    layout, own = Layout(competition), getattr(config.competition, competition)
    with opened(layout.raw) as archives:
        index, duplicates = survey(archives, photos, own.prepare.min_side, own.compute.threads)
        indexes.check_broken(index, own.prepare.max_broken)
        if photos.learns:
            check(index, photos, own.prepare.folds, layout.sample)
            index["fold"] = dealt(index, own.prepare.folds, config.seed)
        pictures = sample_grid(archives, index, photos, config.seed)
    tell_left_out(index)
    with fresh_folder(layout.prepared) as folder:
        indexes.write(folder / "index.csv", index)
        write_card(folder, index, duplicates, photos, hashes(layout.raw), pictures)


def survey(
    archives: Mapping[str, Archive], photos: Photos, min_side: int, threads: int
) -> tuple[pd.DataFrame, Duplicates]:
    """Return the index of all pictures, and which are the same, and show how far it has come."""
    with progress("prepare", None) as advance:
        return indexes.build(indexes.survey(archives, photos.parse, min_side, threads, advance))


def check(index: pd.DataFrame, photos: Photos, k: int, sample: Path) -> None:
    """Make sure that there is a picture of each class a fold, and that the test is the sample's.

    The sample is not there where nothing is submitted.

    Raises
    ------
    DataError
        If a class has too few whole pictures, or a test picture is missing.
    """
    indexes.check_classes(index, photos.classes, k)
    if photos.submitted:
        ids = read_sample(sample, photos)[photos.id].astype(str).tolist()
        indexes.check_ids(index, ids, str(sample))


def dealt(index: pd.DataFrame, k: int, seed: int) -> pd.Series:
    """Return each picture's fold, from 0 to k - 1, near-duplicates together.

    It is -1 for what is not learnt from: test pictures, and those that are left out.
    """
    good = (index["part"] == "train") & (index["problem"] == "")
    rows = index[good]
    fold = pd.Series(-1, index.index, np.int64)
    fold[good] = folds(rows["label"].to_numpy(), rows["group"].to_numpy(), k, seed)
    return fold


def sample_grid(
    archives: Mapping[str, Archive], index: pd.DataFrame, photos: Photos, seed: int
) -> bytes:
    """Return a JPEG file of some pictures: of each class, one class a row, where they are few."""
    n = len(photos.classes)
    drawn = grid.sample(index, n, EACH, seed) if n <= card.FEW else grid.mixed(index, EACH, seed)
    rows = [
        [
            read(archives[archive].read(name), name, (grid.SIDE, grid.SIDE))
            for archive, name in index.loc[row, ["archive", "name"]].itertuples(index=False)
        ]
        for row in drawn
    ]
    return grid.jpeg(grid.montage(rows))


def hashes(raw: Path) -> dict[str, str]:
    """Return the SHA-256 of each file that came."""
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
    pictures: bytes,
) -> None:
    """Write the data card in its three forms, and the grid."""
    origin = card.Origin(photos.title, photos.source, photos.licence, sha256)
    values = card.card(index, duplicates, photos.classes, origin)
    with replacing(folder / GRID) as temporary:
        temporary.write_bytes(pictures)
    write_text(folder / "card.json", json.dumps(values, indent=2, ensure_ascii=False) + "\n")
    write_text(folder / "card.md", card.markdown(values, GRID))
    write_text(folder / "card.html", card.html(values, pictures))


def tell_left_out(index: pd.DataFrame) -> None:
    """Print what is left out: a line for each of the first, and how many there are."""
    bad = index[index["problem"] != ""]
    for row in bad.head(NAMED).itertuples():
        print(f"prepare: left out: {row.name}: {row.problem}")
    if len(bad) > NAMED:
        print(f"prepare: left out: {len(bad) - NAMED} more, listed in card.md")
