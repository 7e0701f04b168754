"""fetch: bring the competition's files, as Kaggle gives them."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ripen.archives import Archive
from ripen.atomic import fresh_folder
from ripen.datasets import DATASETS, PHOTOS
from ripen.errors import DataError
from ripen.layout import Layout
from ripen.schema import CompetitionName, Config
from ripen.sources import Item, KaggleFile, SourceName, builtin, fetch

SAMPLES = ("sample_submission.csv", "sampleSubmission.csv")
"""What Kaggle calls the sample submission."""


def run(config: Config, competition: CompetitionName) -> None:
    """Write `raw/`."""
    settings, layout = getattr(config.competition, competition).fetch, Layout(competition)
    if competition in PHOTOS:
        archive = fetch_archive(PHOTOS[competition].kaggle, settings.sources, layout.download)
        with fresh_folder(layout.raw) as folder:
            archive.replace(folder / archive.name)
            extract_sample(folder / archive.name, layout.sample)
    else:
        with fresh_folder(layout.raw) as folder:
            builtin.fetch(DATASETS[competition], settings, config.seed, folder)


def fetch_archive(competition: str, sources: Sequence[SourceName], folder: Path) -> Path:
    """Bring the archive of all files of one of Kaggle's competitions.

    One that somebody has put into the folder is taken.
    """
    file = KaggleFile(competition, f"{competition}.zip")
    target = folder / file.file
    if not target.exists():
        fetch(sources, Item(file.file, kaggle=file), target)
    return target


def extract_sample(archive: Path, target: Path) -> None:
    """Take the sample submission, by either of Kaggle's names, out of a competition's archive.

    Raises
    ------
    DataError
        If the archive has none, or is not what it should be.
    """
    with Archive(archive) as opened:
        for member in opened.members:
            if PurePosixPath(member.name).name in SAMPLES:
                opened.extract(member.name, target)
                return
    raise DataError(f"{archive}: has no sample submission. Needed: {' or '.join(SAMPLES)}")
