"""fetch: bring the competition's files, as Kaggle gives them."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ripen.competition.datasets import DATASETS, PHOTOS, photos_of
from ripen.competition.datasets.photos import Photos
from ripen.core.archives import Archive
from ripen.core.atomic import fresh_folder
from ripen.core.errors import DataError
from ripen.core.layout import Layout
from ripen.data.sources import Item, builtin, fetch
from ripen.settings.schema import CompetitionName, Config
from ripen.settings.schema.photos import SubsetFetch

SAMPLES = ("sample_submission.csv", "sampleSubmission.csv")
"""What Kaggle calls the sample submission."""
PHOTOGRAPHS = "photographs"
"""The archive of those that come one by one."""


def run(config: Config, competition: CompetitionName) -> None:
    """Write `raw/`."""
    settings, layout = getattr(config.competition, competition).fetch, Layout(competition)
    if competition not in PHOTOS:
        with fresh_folder(layout.raw) as folder:
            builtin.fetch(DATASETS[competition], settings, config.seed, folder)
        return
    photos = photos_of(config, competition)
    if isinstance(settings, SubsetFetch):
        classes = dict(zip(photos.chosen, photos.classes, strict=True))
        name = f"{PHOTOGRAPHS}.zip"
        item = Item(name, at={"folder": {"path": settings.images, "classes": classes}})
        with fresh_folder(layout.raw) as folder:
            fetch(["folder"], item, folder / name)
        return
    archive = fetch_archive(photos, settings.sources, layout.download)
    with fresh_folder(layout.raw) as folder, opened(archive) as checked:
        if photos.submitted:
            extract_sample(checked, layout.sample)
        link_or_copy(archive, folder / archive.name)


def fetch_archive(photos: Photos, sources: Sequence[str], folder: Path) -> Path:
    """Bring the archive of all files of one of Kaggle's competitions, or make that of a list.

    One that somebody has put into the folder is taken.
    """
    name = photos.kaggle or PHOTOGRAPHS
    target = folder / f"{name}.zip"
    if target.exists():
        return target
    if photos.kaggle:
        fetch(sources, Item(target.name, at={"kaggle": name}), target)
    else:
        address = {
            "table": str(photos.listed),
            "url": f"{photos.source}/raw/master",
            "sources": sources,
        }
        fetch(["list"], Item(target.name, at={"list": address}), target)
    return target


def link_or_copy(file: Path, target: Path) -> None:
    """Give a file a second place: what was fetched stays, since code changes more often than it."""
    try:
        target.hardlink_to(file)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(file, target)


@contextmanager
def opened(archive: Path) -> Iterator[Archive]:
    """Open what was fetched, or put there.

    Raises
    ------
    DataError
        If it is not what it should be.
    """
    try:
        with Archive(archive) as found:
            yield found
    except DataError as error:
        raise DataError(f"{error} ({archive} is taken as long as it is there: delete it)") from None


def extract_sample(archive: Archive, target: Path) -> None:
    """Take the sample submission, by either of Kaggle's names, out of a competition's archive.

    Raises
    ------
    DataError
        If the archive has none, or it is damaged.
    """
    for member in archive.members:
        if PurePosixPath(member.name).name in SAMPLES:
            archive.extract(member.name, target)
            return
    raise DataError(f"{archive.path}: has no sample submission. Needed: {' or '.join(SAMPLES)}")
