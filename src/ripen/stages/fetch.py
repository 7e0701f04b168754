"""fetch: bring the competition's files, as they are published."""

import shutil
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

from ripen.competition.own import hook
from ripen.core.archives import Archive
from ripen.core.atomic import fresh_folder
from ripen.core.errors import ConfigError, DataError
from ripen.core.layout import Layout
from ripen.data.sources import Item, fetch
from ripen.settings.compose import as_mapping, load_competition
from ripen.settings.schema import Competition, Files

GENERATE = "generate"
LOCAL = "folder"
ZIP = ".zip"


def run(name: str) -> None:
    """Write `raw/`."""
    bring(name, load_competition(name), Layout(name))


def bring(name: str, competition: Competition, layout: Layout) -> None:
    """Write `raw/`: the archive of all files, and its tables; or what the own code generates.

    Raises
    ------
    SourceError
        If the files are not found.
    DataError
        If they are damaged.
    """
    ((source, settings),) = competition.source.items()
    if source == GENERATE:
        own = hook(name, GENERATE)
        if own is None:
            raise ConfigError(f"source: there is no ripen/competitions/{name} that generates")
        with fresh_folder(layout.raw) as folder:
            own(settings, competition.seed, folder)
        return
    archive = fetch_archive(competition, layout)
    with fresh_folder(layout.raw) as folder:
        try:
            with Archive(archive) as found:
                extract_tables(found, competition, folder)
        except DataError as error:
            raise DataError(
                f"{error} ({archive} is taken as long as it is there: delete it)"
            ) from None
        link_or_copy(archive, folder / archive.name)


def fetch_archive(competition: Competition, layout: Layout) -> Path:
    """Bring the archive of all files; one that is in the download folder is taken as it is.

    A local folder is packed each time: its files may have changed.
    """
    ((source, address),) = competition.source.items()
    slug = address.partition("/")[0] if source == "kaggle" else layout.competition
    target = layout.download / f"{slug}.zip"
    if source == LOCAL:
        if str(address).endswith(".zip"):
            if not Path(address).exists():
                raise DataError(f"{address}: no such file. Correct source.folder")
            return Path(address)
        target.unlink(missing_ok=True)
    if not target.exists():
        item = Item(target.name, at=competition.source)
        fetch(["mirror", source] if source != LOCAL else [source], item, target)
    return target


def extract_tables(archive: Archive, competition: Competition, folder: Path) -> None:
    """Take the competition's tables out of its archive, wherever in it they lie, or zipped there.

    Of several with one name the first is taken, and one that is not zipped before one that is.

    Raises
    ------
    DataError
        If the archive has no sample submission where one is needed, or it is damaged.
    """
    wanted = tables_of(competition.files)
    names = [member.name for member in archive.members]
    take(archive, names, wanted, folder)
    # Kaggle zips a large table by itself: train.csv.zip, train.zip. Archives of images stay closed.
    table = competition.images is None
    for name in names:
        inside = PurePosixPath(name).name.removesuffix(ZIP)
        lacking = {each for each in wanted if not (folder / each).exists()}
        named = lacking | {PurePosixPath(each).stem for each in lacking}
        if name.endswith(ZIP) and (inside in named or (table and lacking)):
            with archive.inner(name) as inner:
                take(inner, [member.name for member in inner.members], lacking, folder)
    sample = competition.files.sample
    if competition.predict and not (folder / sample).exists():
        tables = [name for name in names if name.removesuffix(ZIP).endswith(".csv")]
        raise DataError(
            f"{archive.path}: has no {sample} (files.sample). Its tables: "
            f"{', '.join(tables[:10]) or 'none'}"
        )


def tables_of(files: Files) -> set[str]:
    """Return the names of all tables that the settings name: texts, and lists of them."""
    found = as_mapping(files).values()
    several = [name for each in found if isinstance(each, list) for name in each]
    return {*several, *(each for each in found if isinstance(each, str))}


def take(archive: Archive, names: Sequence[str], wanted: Collection[str], folder: Path) -> None:
    """Take the wanted files out of an archive, by the ends of their paths."""
    ends = [(each, PurePosixPath(each).parts) for each in sorted(wanted)]
    for member in names:
        parts = PurePosixPath(member).parts
        for each, end in ends:
            if parts[-len(end) :] == end and not (folder / each).exists():
                archive.extract(member, folder / each)


def link_or_copy(file: Path, target: Path) -> None:
    """Give a file a second place: what was fetched stays, since code changes more often than it."""
    try:
        target.hardlink_to(file)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(file, target)
