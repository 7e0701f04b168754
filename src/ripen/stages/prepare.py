"""prepare: read the raw files, deal the folds, and write the index that everything refers to."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ripen.competition import index as indexes
from ripen.competition import own
from ripen.competition.splitters import splitter
from ripen.competition.tasks import TASKS
from ripen.core.atomic import fresh_folder, replacing
from ripen.core.errors import DataError
from ripen.core.layout import Layout
from ripen.data.readers import READERS, Read
from ripen.settings.compose import load_competition
from ripen.settings.schema import Competition

TABLE = "table.parquet"


def run(name: str) -> None:
    """Read `raw/`, write `prepared/`."""
    competition, layout = load_competition(name), Layout(name)
    read = READERS[competition.reader](competition, layout)
    known = read.rows["target"][read.rows["target"] != ""]
    classes = indexes.classes_of(competition, known.tolist(), read.names, str(layout.raw))
    rows, order = dealt(competition, read, list(classes))
    columns = own.features(name, read.columns.iloc[order].reset_index(drop=True))
    with fresh_folder(layout.prepared) as folder:
        indexes.write(folder, rows, classes)
        if len(columns.columns):
            with replacing(folder / TABLE) as temporary:
                columns.to_parquet(temporary, index=False)
        read.write(folder, rows)


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
    if len(train) and (absent := sorted(set(classes) - set(train["target"]))):
        raise DataError(f"class '{absent[0]}' has no labelled row. Correct the data, or classes")
    # A file's own column comes before one of the index of that name.
    others = [name for name in rows if name not in read.columns and name not in read.beside]
    seen = pd.concat([rows[others], read.columns, read.beside], axis=1).iloc[learnable]
    split = splitter(competition.validation).split(seen, targets, competition.seed)
    order = np.arange(len(rows))
    order[learnable] = learnable[split.order]
    fold = np.full(len(rows), -1)
    fold[learnable] = split.fold
    return rows.assign(fold=fold).iloc[order].reset_index(drop=True), order
