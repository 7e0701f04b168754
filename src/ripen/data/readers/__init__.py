"""Readers: they turn a competition's raw files into rows of the index. One file a reader."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from ripen.core.layout import Layout
from ripen.core.registry import Registry
from ripen.settings.schema import Competition


def nothing(folder: Path, rows: pd.DataFrame) -> None:
    """Write no further files."""


@dataclass(frozen=True)
class Read:
    """The result of a reader.

    Attributes
    ----------
    rows : DataFrame of n rows
        The index without its folds (`ripen.competition.index`).
    columns : DataFrame of n rows
        Typed columns that models may learn from; none for images without a table.
    beside : DataFrame of n rows
        Columns for the splitter alone, as text.
    names : dict of str to str
        Classes listed by the files themselves, value to name, in order; empty if they list none.
    write : callable
        Writes the reader's further files into the prepared folder, given the final index.
    """

    rows: pd.DataFrame
    columns: pd.DataFrame
    beside: pd.DataFrame = field(default_factory=pd.DataFrame)
    names: dict[str, str] = field(default_factory=dict)
    write: Callable[[Path, pd.DataFrame], None] = nothing


Reader = Callable[[Competition, Layout], Read]

READERS: Registry[Reader] = Registry("reader", "ripen.data.readers")
