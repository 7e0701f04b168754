"""The files of a new competition: its tables, its images, their format."""

import io
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import pandas as pd

from ripen.core import json_tables
from ripen.core.archives import Archive
from ripen.core.csv_files import read_text, sniff
from ripen.core.errors import DataError
from ripen.data.labels import in_archive, is_image, is_junk, is_mask
from ripen.data.raw_rows import parted

TABLES = (".csv", ".tsv", ".json", ".parquet", ".feather", ".csv.gz", ".tsv.gz")
UNOPENED = (".7z", ".rar", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
TEXTS = (".md", ".txt", ".html")
READ = 1 << 18  # bytes of a text about the competition
FEW = 10  # texts, that may all be about it
SHOWN, NAMED = 4, 10  # names in an error: of other files, of tables
_SAMPLE = re.compile(r"submi|^sample|^example|benchmark|template", re.IGNORECASE)
_PART = re.compile(rf"train|test|{_SAMPLE.pattern}", re.IGNORECASE)
_NUMBER = re.compile(r"\d+")
_TARGETS = re.compile(r"label|target|(^|[^a-z])y([^a-z]|$)|answer|solution|outcome", re.IGNORECASE)
_WORDS = re.compile(r"descri|readme|overview|evaluat|metric|about", re.IGNORECASE)


@dataclass(frozen=True)
class Table:
    """A table, every value as text.

    Attributes
    ----------
    name : str
        File name, without folders unless several tables have it.
    text : DataFrame of str
    form : dict of str to str
        Its format, where it is not the default: the section `csv` of a competition's settings.
    """

    name: str
    text: pd.DataFrame
    form: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Files:
    """The content of an archive or folder.

    Attributes
    ----------
    where : str
        Its path, for errors.
    tables : dict of str to Table
        By their names.
    images : tuple of str
        Names with folders, in a nested archive relative to it.
    smallest : int
        The smallest width or height among the first images, in pixels; 0 without images.
    texts : dict of str to str
        What describes the competition, by the file's name without folders.
    unread : tuple of str
        Other files, which ripen does not read.
    """

    where: str
    tables: Mapping[str, Table]
    images: Sequence[str] = ()
    smallest: int = 0
    texts: Mapping[str, str] = field(default_factory=dict)
    unread: Sequence[str] = ()

    @property
    def shown(self) -> str:
        """What there is, for an error: "Its tables: a.csv. Not read: b.json"."""
        unread = f". Not read: {_some(self.unread, SHOWN)}" if self.unread else ""
        if packed := [name for name in self.unread if name.lower().endswith(UNOPENED)]:
            unread += f". Unpack {packed[0]} first: of archives ripen opens zip alone"
        return f"Its tables: {_some(sorted(self.tables), NAMED) or 'none'}{unread}"


def _some(names: Sequence[str], most: int) -> str:
    return ", ".join(names[:most]) + ", …" * (len(names) > most)


def read(path: Path) -> Files:
    """Read a folder or a zip file, archives nested in it included.

    Raises
    ------
    DataError
        If it is missing, is neither, is damaged, or holds no table.
    """
    with opened(path) as members:
        names = [name for name in members if not is_junk(name)]
        images = [name for name in names if is_image(name) and not is_mask(name)]
        tables: dict[str, Table] = {}
        for name, shown in _shown([name for name in names if name.lower().endswith(TABLES)]):
            if shown not in tables:
                table = _table(members[name](), name, path)
                if table is not None:
                    tables[shown] = replace(table, name=shown)
        texts = {
            PurePosixPath(name).name: members[name]()[:READ].decode("utf-8", errors="replace")
            for name in _about([name for name in names if name.lower().endswith(TEXTS)])
        }
        smallest = min((_side(members[name](), name) for name in images[:20]), default=0)
        others = [name for name in names if not is_image(name)]
    if not tables and not images:
        shown = ", ".join(others[:SHOWN]) or "none"
        raise DataError(f"{path}: holds neither a table (*.csv) nor an image. Its files: {shown}")
    known = [name for name in others if not {name, PurePosixPath(name).name} & set(tables)]
    unread = [name for name in known if not name.lower().endswith(TEXTS)]
    return Files(str(path), tables, images, smallest, texts, unread)


def _about(names: Sequence[str]) -> list[str]:
    """Return the texts about the competition, first those named so; many others are its data."""
    found = [name for name in names if _WORDS.search(PurePosixPath(name).name)]
    return found + [name for name in names if name not in found and len(names) <= FEW]


def _shown(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return each table with the name it goes by: without folders, unless these tell it apart.

    >>> _shown(["train/data.csv", "test/data.csv", "old/train.csv", "train.csv"])[1:3]
    [('test/data.csv', 'test/data.csv'), ('old/train.csv', 'train.csv')]
    """
    files = [(name, PurePosixPath(name).name) for name in names]
    count = Counter(file for _, file in files)
    return [(n, n if count[file] > 1 and not _PART.search(file) else file) for n, file in files]


@contextmanager
def opened(path: Path) -> Iterator[dict[str, Callable[[], bytes]]]:
    """Yield a reader for each file of a folder or zip, by its name with folders, in order."""
    with ExitStack() as stack:
        if os.path.isdir(path):
            found = {
                file.relative_to(path).as_posix(): file.read_bytes
                for file in sorted(path.rglob("*"))
                if file.is_file() and file.suffix.lower() != ".zip"
            }
            archives = [
                (each.name, stack.enter_context(Archive(each)))
                for each in sorted(path.rglob("*.zip"))
            ]
        elif os.path.isfile(path):
            found, archives = {}, [("", stack.enter_context(Archive(path)))]
        else:
            raise DataError(f"{path}: no such file or folder")
        while archives:
            outer, archive = archives.pop(0)
            for member in archive.members:
                name = in_archive(member.name, outer) if outer else member.name
                if name.lower().endswith(".zip"):
                    inner = stack.enter_context(archive.inner(member.name))
                    archives.append((member.name, inner))
                else:
                    found.setdefault(name, _reader(archive, member.name))
        yield found


def _reader(archive: Archive, name: str) -> Callable[[], bytes]:
    return lambda: archive.read(name)


def _table(content: bytes, name: str, path: Path) -> Table | None:
    """Return a table; None for JSON that is none, such as a list of the classes' names."""
    try:
        return read_table(content, PurePosixPath(name).name, f"{path}: {name}")
    except DataError:
        if name.lower().endswith(json_tables.SUFFIX):
            return None
        raise


def read_table(content: bytes, name: str, where: str) -> Table:
    """Return a table, whatever its format.

    Raises
    ------
    DataError
        If it is not a table of one header and equal rows.

    >>> read_table("id;size\\n1;2,5\\n".encode(), "train.csv", "").form
    {'separator': ';', 'decimal': ','}
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_bytes(content)
        form = sniff(file)
        try:
            text = read_text(file, form.get("separator", ","), form.get("encoding", "utf-8"))
        except DataError as error:
            raise DataError(str(error).replace(str(file), where)) from None
    return Table(name, text, form)


def _side(content: bytes, name: str) -> int:
    """Return the shorter side of an image in pixels; a large number if it is broken."""
    # Importing Pillow takes a moment, which a competition of tables need not wait.
    from ripen.data.decode import open_image

    try:
        with open_image(io.BytesIO(content), name) as image:
            return min(image.size)
    except Exception:  # Pillow raises errors of any type on damaged files
        return 1 << 30


# --- Which table is which ------------------------------------------------------------------------


@dataclass(frozen=True)
class Parts:
    """Which table is which.

    Attributes
    ----------
    sample : Table
    train, test, labels : Table, optional
        `labels` has the targets of the training rows, if `train` lacks them. Where ids have several
        rows, `train` is the table of labels and `test` the ids of the sample.
    further : tuple of str
        Names of tables whose rows are in `train` too.
    """

    sample: Table
    train: Table | None
    test: Table | None
    labels: Table | None = None
    further: tuple[str, ...] = ()


def parts_of(files: Files) -> Parts:
    """Tell the tables apart: by their names, or else by their ids and columns.

    The test table has the sample's ids; the training table shares the most columns with it.

    Raises
    ------
    DataError
        If there is no sample submission.
    """
    sample = sample_of(files)
    if sample is None:
        raise DataError(
            f"{files.where}: no sample submission found. {files.shown}. Name it "
            "sample_submission.csv"
        )
    others = [files.tables[name] for name in sorted(files.tables) if name != sample.name]
    wanted = set(sample.text.iloc[:, 0])

    def asked(table: Table) -> bool:
        return any(set(table.text[column]) == wanted for column in table.text)

    def alike(table: Table) -> int:
        return len(set(table.text) & set(test.text)) if test else 0

    by_name = _named(others, "test")
    # Of several with its ids (test_numeric.csv) the one whose twin of the training part has labels.
    targets, twins = set(sample.text.columns[1:]), {_twin(each.name): each for each in by_name}
    labelled = [
        twins[twin]
        for each in others
        if targets & set(each.text)
        if (twin := _twin(each.name)) in twins
    ]
    test = next((each for each in [*labelled, *by_name] if asked(each)), next(iter(by_name), None))
    test = test or next((each for each in others if asked(each)), None)
    rest = [each for each in others if each is not test and each not in by_name]
    # A table of the labels alone may be named like the training table.
    train = max(_named(rest, "train"), key=alike, default=None)
    if train is None:
        train = max((each for each in rest if alike(each) > 1), key=alike, default=None)
    if train is None and test is None:
        train, test = _of_one(others, sample)
    # Of several tables of labels the one that has the sample's columns (Mechanisms of Action).
    asks = set(sample.text)
    others = sorted(rest, key=lambda each: -len(asks & set(each.text)))
    others = [each for each in others if each is not train]
    if train and test and (known := _entities(sample, train, test, others)):
        return Parts(sample, known, replace(sample, text=sample.text.iloc[:, :1]))
    further = [each for each in others if train and test and _continues(each, train, test)]
    if train and further:
        whole = pd.concat([train.text, *(each.text for each in further)], ignore_index=True)
        train = replace(train, text=whole)
    labels = _labels(train, test, others, sample)
    return Parts(sample, train, test, labels, tuple(each.name for each in further))


def _twin(name: str) -> str:
    """Return what a training and a test table are both named.

    >>> _twin("train_numeric.csv") == _twin("test_numeric.csv")
    True
    """
    return _PART.sub("", name.lower())


def _continues(table: Table, train: Table, test: Table) -> bool:
    """Whether a table has further training rows: train_2.csv beside train_1.csv."""
    named = _NUMBER.sub("", table.name.lower()) == _NUMBER.sub("", train.name.lower())
    return named and list(table.text) == list(train.text) and bool(set(train.text) - set(test.text))


def _entities(sample: Table, train: Table, test: Table, others: Sequence[Table]) -> Table | None:
    """Return the table of labels, if each of its ids has several rows in the training table.

    The rows are then its own and the sample's, and the other two tables their histories.
    """
    id, *targets = map(str, sample.text)
    if id not in train.text or id not in test.text or test.text[id].is_unique:
        return None
    for table in others:
        if {id, *targets} <= set(table.text) and table.text[id].is_unique:
            same = set(table.text[id]) == set(train.text[id])
            if same and set(test.text[id]) == set(sample.text[id]):
                return table
    return None


def _of_one(others: Sequence[Table], sample: Table) -> tuple[Table | None, Table | None]:
    """Return the parts of the table that holds both: the rows of the sample have no target."""
    for table in others:
        for target in (str(name) for name in sample.text if name in table.text):
            train, test = parted(table.text, target)
            asked = any(
                set(test[name]) == set(sample.text[name]) for name in test if name in sample.text
            )
            if len(train) and asked:
                return replace(table, text=train), replace(table, text=test)
    return None, None


def sample_of(files: Files) -> Table | None:
    """Return the sample submission, by its name. Competitions in stages have several: the last.

    Else the table that has the ids of another one, few columns, and none of the test's.
    """
    named = [table for name, table in sorted(files.tables.items()) if _SAMPLE.search(name)]
    if named:
        return named[-1]
    tests = _named(list(files.tables.values()), "test")
    for test in tests[:1]:
        ids = [set(test.text[column]) for column in test.text]
        for _, table in sorted(files.tables.items()):
            first, *more = map(str, table.text)
            asks = more and not set(more) & set(test.text)
            if table is not test and asks and set(table.text[first]) in ids:
                return table
    return None


def _named(tables: Sequence[Table], part: str) -> list[Table]:
    """Return the tables named ``<part>.csv``, or else with a word that begins or ends with it.

    A folder's name counts as the file's.
    """
    words = [(PurePosixPath(table.name.lower()).with_suffix("").parts, table) for table in tables]
    for form in (part, rf"(.*[^a-z])?{part}(ing)?([^a-z].*)?", rf"{part}.*|.*{part}"):
        found = [table for each, table in words if any(re.fullmatch(form, word) for word in each)]
        found = [table for table in found if not _SAMPLE.search(table.name)]
        if found:
            return found
    return []


def _labels(
    train: Table | None, test: Table | None, others: Sequence[Table], sample: Table
) -> Table | None:
    """Return the table of the training rows' targets, if the training table has none itself.

    Without ids it has a row for each training row, and the sample's columns but for its ids.
    """
    if train is None or test is None or set(train.text) - set(test.text):
        return None
    keys = [str(name) for name in train.text if train.text[name].is_unique]
    for table in others:
        shared = [name for name in keys if name in table.text]
        matched = any(set(table.text[name]) == set(train.text[name]) for name in shared)
        if matched and set(table.text) - set(train.text):
            return table
    for table in others:
        in_order = table.text.shape == (len(train.text), sample.text.shape[1] - 1)
        if in_order and _TARGETS.search(PurePosixPath(table.name).stem):
            return replace(table, text=table.text.set_axis([*sample.text.columns[1:]], axis=1))
    return None
