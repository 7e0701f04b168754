"""prepare: read the raw files, deal the folds, and write the index for all later stages."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ripen.competition import index as indexes
from ripen.competition import own, submission
from ripen.competition.index import Index
from ripen.competition.splitters import splitter
from ripen.competition.tasks import TASKS
from ripen.core.atomic import fresh_folder, replacing
from ripen.core.errors import DataError
from ripen.core.layout import Layout
from ripen.data.readers import READERS, Read
from ripen.settings.compose import load_competition
from ripen.settings.schema import Competition


def run(name: str) -> None:
    """Read `raw/`, write `prepared/`."""
    competition, layout = load_competition(name), Layout(name)
    read, classes, rows, order = indexed(competition, layout)
    columns = own.features(name, read.columns.iloc[order].reset_index(drop=True))
    with fresh_folder(layout.prepared) as folder:
        indexes.write(folder, rows, classes)
        if len(columns.columns):
            with replacing(folder / layout.table.name) as temporary:
                columns.to_parquet(temporary, index=False)
        read.write(folder, rows)


def indexed(
    competition: Competition, layout: Layout
) -> tuple[Read, dict[str, str], pd.DataFrame, NDArray[np.int64]]:
    """Read the raw files, and deal their rows to folds.

    Returns
    -------
    Read, dict of str to str, DataFrame, int64 ndarray
        What the reader found, the classes and their names, the index in its final order, and that
        order as numbers of the reader's rows.

    Raises
    ------
    DataError
        If the files do not fit the settings or the sample, or the rows cannot be dealt.
    """
    read = READERS[competition.reader](competition, layout)
    known = read.rows["target"][read.rows["target"] != ""]
    classes = indexes.classes_of(competition, known.tolist(), read.names, str(layout.raw))
    check_sample(competition, layout, read.rows, classes)
    return read, classes, *dealt(competition, read, list(classes))


def check_sample(
    competition: Competition, layout: Layout, rows: pd.DataFrame, classes: dict[str, str]
) -> None:
    """Make sure that the test rows are those of the sample, before anything is fitted.

    Raises
    ------
    DataError
        If they are not.
    """
    file = layout.raw / competition.files.sample
    if not file.exists() or not (rows["part"] == "test").any():
        return
    index = Index(rows, TASKS[competition.task], tuple(classes), tuple(classes.values()))
    sample = submission.read_sample(file, competition.id, competition.csv)
    submission.placed(sample, file, competition, index)


def dealt(
    competition: Competition, read: Read, classes: list[str]
) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Deal the labelled rows to folds.

    Returns
    -------
    DataFrame, int64 ndarray
        The index in its final order, and that order as numbers of the given rows.

    Raises
    ------
    DataError
        If there are too few rows, a class has none, or a row has no target.
    """
    rows = read.rows
    learnable = np.flatnonzero(((rows["part"] == "train") & (rows["problem"] == "")).to_numpy())
    train = rows.iloc[learnable]
    if blank := int((train["target"] == "").sum()):
        first = train.index[train["target"] == ""][0]
        raise DataError(f"{blank} training rows have no target; the first has id {rows.id[first]}")
    task = TASKS[competition.task]
    targets = task.encode(train["target"], classes)
    if task.classifies and len(train) and (absent := sorted(set(classes) - set(train["target"]))):
        raise DataError(f"class '{absent[0]}' has no labelled row. Correct the data, or classes")
    # A file's own column comes before one of the index of that name, and a typed one before text.
    beside = read.beside.drop(columns=[name for name in read.beside if name in read.columns])
    others = [name for name in rows if name not in read.columns and name not in beside]
    seen = pd.concat([rows[others], read.columns, beside], axis=1).iloc[learnable]
    splits = splitter(competition.validation).splits(seen, targets, competition.seed)
    order = np.arange(len(rows))
    order[learnable] = learnable[splits[0].order]
    found = rows.copy()
    if (group := splits[0].group) is not None:
        found.loc[found.index[learnable], "group"] = pd.array(group).astype("str")
    for number, split in enumerate(splits, start=1):
        fold = np.full(len(rows), -1)
        fold[learnable] = split.fold
        found["fold" if number == 1 else f"fold_{number}"] = fold
    return found.iloc[order].reset_index(drop=True), order
