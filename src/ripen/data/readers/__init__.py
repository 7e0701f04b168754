"""Readers: what turns a competition's raw files into rows of the index. One file a reader."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from ripen.core.layout import Layout
from ripen.core.registry import Registry
from ripen.settings.schema import Competition


def nothing(folder: Path, rows: pd.DataFrame) -> None:
    """Write nothing beside the index."""


@dataclass(frozen=True)
class Read:
    """What a reader found.

    Attributes
    ----------
    rows : DataFrame of n rows
        The index, as `ripen.competition.index` has it, but for the folds.
    columns : DataFrame of n rows
        What models may learn from beside images: typed columns; none of them for images alone.
    beside : DataFrame of n rows
        Columns that only a splitter may read, as text.
    names : dict of str to str
        Classes that the files themselves list, value to name, in order; empty where they do not.
    write : callable
        Writes what else the reader has to say, into the prepared folder, given the final index.
    """

    rows: pd.DataFrame
    columns: pd.DataFrame
    beside: pd.DataFrame = field(default_factory=pd.DataFrame)
    names: dict[str, str] = field(default_factory=dict)
    write: Callable[[Path, pd.DataFrame], None] = nothing


Reader = Callable[[Competition, Layout], Read]

READERS: Registry[Reader] = Registry("reader", "ripen.data.readers")
