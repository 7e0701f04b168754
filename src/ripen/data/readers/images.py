"""A competition of images in archives. Classes come from names, folders or a table."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import pandas as pd

from ripen.competition.submission import csv_of
from ripen.competition.tasks import TASKS
from ripen.core.archives import Archive
from ripen.core.atomic import replacing, write_text
from ripen.core.csv_files import read_text
from ripen.core.errors import ConfigError, DataError
from ripen.core.json_files import write_json
from ripen.core.layout import Layout
from ripen.core.progress import progress
from ripen.data import beside, card, image_index, raw_rows, tables
from ripen.data.decode import decode, open_archives
from ripen.data.labels import LABELS, Known, Labels, Reader, without_suffix
from ripen.data.labels.listed import labels_in
from ripen.data.readers import READERS, Read
from ripen.data.readers.table import expected, features_of, joined, learnable, together
from ripen.data.scan import Duplicates
from ripen.data.tables import identifier
from ripen.settings.compose import check
from ripen.settings.schema import Competition
from ripen.settings.typed import typed

GRID = "grid.jpg"
LABELLED = "labelled"  # placeholder for a class if targets are numbers, or several labels
EACH = 8  # images of a class in the grid
NAMED = 3  # excluded images listed on the terminal; the card has all


@typed
class LabelSettings:
    """The section `images.labels`.

    `read` names the label reader. `table` is a CSV file. For "csv" it is one of the competition's,
    with the columns `id` and `label`; if targets are not classes, the target columns replace
    `label`. For "synset" it is one of the repository's that lists all synsets, and all images
    belong to `part`.
    """

    read: str
    table: str | None = None
    id: str = "id"
    label: str = "label"
    part: Literal["train", "test"] = "train"


@READERS.register("images")
def read(competition: Competition, layout: Layout) -> Read:
    """Scan every image of a competition's archives.

    Broken images are excluded, each with its problem; near-duplicates form a group.

    Raises
    ------
    DataError
        If a file name cannot be parsed, too many images are broken, two have the same id, or the
        test images are not those of the sample submission.
    """
    assert competition.images is not None
    settings = check(competition.images.labels, LabelSettings, "images.labels")
    sample = layout.raw / competition.files.sample
    ids = sample_ids(sample, competition) if sample.exists() else []
    known, names = _known(settings, competition, layout, ids)
    labels = LABELS[settings.read]
    values = _values(settings, competition, layout)
    found: list[Labels] = []
    with open_archives(layout.raw) as archives, progress("prepare", None) as advance:
        index, duplicates = image_index.build(
            image_index.survey(
                archives,
                partial(_remembered, labels, known, found),
                competition.images.min_side,
                competition.threads,
                advance,
            )
        )
        image_index.check_broken(index, competition.images.max_broken)
        if ids:
            image_index.check_ids(index, ids, str(sample))
        classes = found[0].classes
        grid = sample_grid(archives, index, classes, competition.seed)
    print_excluded(index)
    by_name = {name: value for value, name in names.items()}
    targets = [by_name.get(classes[k], classes[k]) if k >= 0 else "" for k in index["label"]]
    if values:
        labelled = index["label"] >= 0
        targets = index["id"].map(values).where(labelled, "").tolist()
    rows = index.drop(columns="label").assign(target=targets, group=index["group"].astype(str))
    table = layout.raw / (settings.table or competition.files.train)
    listed = table if settings.read == "csv" else None

    def write(folder: Path, final: pd.DataFrame) -> None:
        write_card(folder, index, duplicates, competition, classes, hashes(layout.raw), grid)

    return Read(
        rows,
        _columns(settings, competition, layout, rows),
        beside.columns(competition, layout, rows, listed=listed),
        names,
        write,
    )


def _remembered(labels: Reader, known: Known, found: list[Labels], names: Sequence[str]) -> Labels:
    """Read labels, and remember the classes."""
    found.append(labels(names, known))
    return found[0]


def _known(
    settings: LabelSettings, competition: Competition, layout: Layout, ids: Sequence[str]
) -> tuple[Known, dict[str, str]]:
    """Return the facts that a label reader needs, and the classes' display names."""
    declared = tuple(competition.classes or ())
    if settings.read == "csv":
        file = layout.raw / (settings.table or competition.files.train)
        csv = competition.csv
        first = competition.columns.tags or competition.targets[0]
        label = settings.label if _in_one(competition) else first
        text = read_text(file, csv.separator, csv.encoding)
        learnt = learnable(competition, text, file)
        table = labels_in(learnt, str(file), settings.id, label)
        for id in text[settings.id].drop(learnt.index):
            table.setdefault(id, "")
        if not _in_one(competition):  # only which images have targets matters here
            table, declared = {id: each and LABELLED for id, each in table.items()}, (LABELLED,)
        return Known(classes=declared, ids=ids, table=table), {}
    if settings.table is None:
        return Known(classes=declared, ids=ids), {}
    listed = read_text(Path(settings.table))
    titles = dict(zip(listed["synset"], listed["name"].str.partition(",")[0], strict=True))
    if unknown := sorted(set(declared) - set(titles)):
        raise DataError(
            f"classes: {unknown[0]} is not one of the {len(titles)} of {settings.table}"
        )
    # Some of the 1,000 classes share a name: add the synset.
    names = {synset: f"{titles[synset]} ({synset})" for synset in declared or titles}
    return Known(classes=tuple(names.values()), ids=ids, part=settings.part), names


def _in_one(competition: Competition) -> bool:
    """Whether an image's target is the name of its class."""
    return TASKS[competition.task].classifies and not competition.one_hot


def _values(settings: LabelSettings, competition: Competition, layout: Layout) -> dict[str, str]:
    """Return the targets of each training image by its id, if they are not classes.

    Raises
    ------
    DataError
        If the task does not allow a value.
    ConfigError
        If no table has them.
    """
    if _in_one(competition):
        return {}
    if settings.read != "csv":
        raise ConfigError(
            f"images.labels.read is '{settings.read}', and the targets of task "
            f"'{competition.task}' are in a table: set it to csv"
        )
    csv = competition.csv
    file = layout.raw / (settings.table or competition.files.train)
    text = read_text(file, csv.separator, csv.encoding)
    if (tags := competition.columns.tags) is not None:
        text = raw_rows.with_tags(text, tags, competition.targets, file)
    text = learnable(competition, text, file)
    wanted = {settings.id: identifier()}
    wanted |= {name: expected(competition) for name in competition.targets}
    table = tables.read_table(file, text, wanted, map(str, text), csv.decimal)
    return dict(zip(text[settings.id], joined(competition, table, text), strict=True))


def _columns(
    settings: LabelSettings, competition: Competition, layout: Layout, rows: pd.DataFrame
) -> pd.DataFrame:
    """Return the columns that both tables have of each image; none without two tables.

    Raises
    ------
    DataError
        If a value does not fit its column.
    """
    none, csv, files = pd.DataFrame(index=rows.index), competition.csv, competition.files
    paths = {"train": layout.raw / files.train, "test": layout.raw / files.test}
    if settings.read != "csv" or not all(path.exists() for path in paths.values()):
        return none
    texts = {part: read_text(path, csv.separator, csv.encoding) for part, path in paths.items()}
    ids = {"train": settings.id, "test": competition.id}
    ids = {part: id if id in texts[part] else settings.id for part, id in ids.items()}
    left_out = {*ids.values(), *competition.targets, *competition.columns.drop, settings.label}
    named = [name for name in map(str, texts["train"]) if name in texts["test"]]
    features = features_of(competition, [name for name in named if name not in left_out], texts)
    if not features or any(ids[part] not in text for part, text in texts.items()):
        return none
    read = {
        part: tables.read_table(paths[part], text, features, map(str, text), csv.decimal)
        for part, text in texts.items()
    }
    both = together(list(read.values()), features)
    keys = [part + without_suffix(id) for part in texts for id in texts[part][ids[part]]]
    wanted = rows["part"] + rows["id"].map(without_suffix)
    return both.set_axis(keys).reindex(wanted).set_axis(rows.index)


def sample_ids(path: Path, competition: Competition) -> list[str]:
    """Return the distinct ids of the sample submission, which several targets may repeat."""
    csv = csv_of(path, competition.csv)
    sample = read_text(path, csv.separator, csv.encoding)
    ids = sample[competition.id if competition.id in sample else sample.columns[0]]
    ends = tuple(f"_{name}" for name in TASKS[competition.task].named(competition.targets))
    if ends and ids.str.endswith(ends).all():
        found = [next(id.removesuffix(end) for end in ends if id.endswith(end)) for id in ids]
        return list(dict.fromkeys(found))
    return [str(each) for each in ids]


def sample_grid(
    archives: Mapping[str, Archive], index: pd.DataFrame, classes: Sequence[str], seed: int
) -> bytes:
    """Return a JPEG file of some images, with a row for each class if there are few."""
    n = len(classes)
    few = n <= card.FEW and (index["label"] >= 0).any()
    drawn = (
        card.sample_by_class(index, n, EACH, seed) if few else card.sample_any(index, EACH, seed)
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
    """Return the SHA-256 of each downloaded file."""
    found = {}
    for path in sorted(path for path in raw.iterdir() if path.is_file()):
        with path.open("rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def write_card(
    folder: Path,
    index: pd.DataFrame,
    duplicates: Duplicates,
    competition: Competition,
    classes: Sequence[str],
    sha256: Mapping[str, str],
    grid: bytes,
) -> None:
    """Write the data card in its three forms, and the grid."""
    about = competition.about
    origin = card.Origin(about.title, about.source, about.licence, sha256)
    values = card.card(index, duplicates, classes, origin)
    with replacing(folder / GRID) as temporary:
        temporary.write_bytes(grid)
    write_json(folder / "card.json", values)
    write_text(folder / "card.md", card.markdown(values, GRID))
    write_text(folder / "card.html", card.html(values, grid))


def print_excluded(index: pd.DataFrame) -> None:
    """Print the first excluded images, a line each, and the number of the others."""
    bad = index[index["problem"] != ""]
    for row in bad.head(NAMED).itertuples():
        print(f"prepare: excluded: {row.name}: {row.problem}")
    if len(bad) > NAMED:
        print(f"prepare: excluded: {len(bad) - NAMED} more, listed in card.md")
