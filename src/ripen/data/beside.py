"""Columns for the splitter that need not be features: from the tables, or from a file of groups."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ripen.core.csv_files import read_text
from ripen.core.errors import DataError
from ripen.core.layout import Layout
from ripen.data.column_types import convert, detect
from ripen.data.labels import without_suffix
from ripen.settings.schema import Competition

SETTINGS = ("group", "column")  # keys of the section `validation` that name a column


def columns(
    competition: Competition,
    layout: Layout,
    rows: pd.DataFrame,
    tables: Sequence[pd.DataFrame] = (),
    listed: Path | None = None,
) -> pd.DataFrame:
    """Return the columns that the section `validation` names.

    Parameters
    ----------
    competition : Competition
    layout : Layout
    rows : DataFrame of n rows
        Of the index.
    tables : sequence of DataFrame
        Tables of text, whose rows in sequence are those of the index; none for images.
    listed : Path, optional
        A file that lists the images, used if the settings name no file of groups.

    Returns
    -------
    DataFrame of n rows
        Text, "" if unknown, except that the column of a split in time is typed. A column that is
        not found is left out.

    Raises
    ------
    DataError
        If the file of groups lacks a training row.
    """
    found = {}
    named = {key: competition.validation.get(key) for key in SETTINGS}
    several = {key: [name] if isinstance(name, str) else name or [] for key, name in named.items()}
    for key, name in ((key, name) for key, names in several.items() for name in names):
        if any(name in table for table in tables):
            each = [table.get(name, pd.Series("", table.index)) for table in tables]
            found[name] = pd.concat(each, ignore_index=True).set_axis(rows.index)
        elif competition.files.groups is not None or (listed is not None and name not in rows):
            groups = competition.files.groups
            file = layout.raw / groups if groups is not None else listed
            assert file is not None
            found[name] = _from_file(competition, file, name, rows)
        if name in found and competition.validation.get("split") == "time" and key == "column":
            found[name] = _in_time(found[name], competition.csv.decimal)
    return pd.DataFrame(found, index=rows.index)


def _in_time(values: "pd.Series[str]", decimal: str) -> "pd.Series[str]":
    """Return numbers or dates, so that they sort correctly; other text unchanged."""
    kind = detect(values, decimal)
    orders = kind.type in ("number", "date", "ordered")
    typed: pd.Series[str] = convert(values, kind, decimal) if orders else values
    return typed


def _from_file(
    competition: Competition, path: Path, name: str, rows: pd.DataFrame
) -> "pd.Series[str]":
    """Look a column up by id, in the column of the file that holds most of the ids."""
    table = read_text(path, competition.csv.separator, competition.csv.encoding)
    if name not in table:
        raise DataError(
            f"{path}: column '{name}', which validation names, is missing. Found: "
            f"{', '.join(map(str, table))}"
        )
    train = rows.loc[(rows["part"] == "train") & (rows["problem"] == ""), "id"]
    # The file may list images with their suffix.
    wanted, spelled = train.map(without_suffix), table.map(without_suffix)
    held = {str(column): int(wanted.isin(spelled[column]).sum()) for column in table}
    ids = max(held, key=lambda column: held[column])
    known = dict(zip(spelled[ids], table[name], strict=True))
    if lacking := [id for id in train if without_suffix(id) not in known]:
        raise DataError(
            f"{path}: {len(lacking)} of {len(train)} training ids are not in column '{ids}', for "
            f"instance {lacking[0]}"
        )
    found: pd.Series[str] = rows["id"].map(lambda id: known.get(without_suffix(id), ""))
    return found
