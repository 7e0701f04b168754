"""The data card: what a competition's pictures are, whose, and what is wrong with them."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ripen.data.images.duplicates import Duplicates, Pairs

MEASURES = ("width", "height", "bytes", "brightness")
QUANTILES = {"least": 0.0, "5%": 0.05, "median": 0.5, "95%": 0.95, "most": 1.0}
FEW = 20  # classes
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Origin:
    """Where pictures come from.

    Attributes
    ----------
    title : str
    source : str
        An address, or who gave them.
    licence : str
    sha256 : mapping of str to str
        Of each file that came.
    """

    title: str
    source: str
    licence: str
    sha256: Mapping[str, str]


def card(
    index: pd.DataFrame, duplicates: Duplicates, classes: Sequence[str], origin: Origin
) -> dict[str, Any]:
    """Return the data card as plain values, for JSON.

    Parameters
    ----------
    index : DataFrame
        As `ripen.data.images.index` has it.
    duplicates : Duplicates
        Of the index's rows.
    classes : sequence of str
    origin : Origin
    """
    good = index[index["problem"] == ""]
    notes = good["notes"].str.split().explode().dropna()
    bad = index[index["problem"] != ""]
    return {
        "title": origin.title,
        "source": origin.source,
        "licence": origin.licence,
        "sha256": dict(sorted(origin.sha256.items())),
        "pictures": _counts(index, classes),
        "formats": _tally(good["format"]),
        "modes": _tally(good["mode"]),
        "notes": _tally(notes),
        "sizes": {name: _quantiles(good[name]) for name in MEASURES},
        "problems": bad[["name", "part", "problem"]].to_dict("records"),
        "exact_duplicates": _named(index, duplicates.exact),
        "near_duplicates": _named(index, duplicates.near),
        "mirrored": _named(index, duplicates.mirrored),
        "contradictions": _named(index, _contradictions(index, duplicates)),
    }


def markdown(values: Mapping[str, Any], grid: str) -> str:
    """Return the card as Markdown.

    Parameters
    ----------
    values : mapping
        What `card` returned.
    grid : str
        The file of the sample grid, as the text is to name it.
    """
    return _render("card.md.jinja", values, grid)


def html(values: Mapping[str, Any], grid: bytes) -> str:
    """Return the card as a page that holds everything itself; `grid` is a JPEG file."""
    address = f"data:image/jpeg;base64,{base64.b64encode(grid).decode()}"
    return _render("card.html.jinja", values, address)


def _render(template: str, values: Mapping[str, Any], grid: str) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=lambda name: name is not None and name.endswith(".html.jinja"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    quantiles, parts = list(QUANTILES), [p for p in PARTS if p in values["pictures"]]
    return environment.get_template(template).render(
        card=values, grid=grid, quantiles=quantiles, parts=parts
    )


def _counts(index: pd.DataFrame, classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """Pictures by part and class, "unknown" where the class is, and "left out" of them.

    A class of a long list is there if it has a picture.
    """
    counts = {}
    for part in PARTS:
        rows = index[index["part"] == part]
        if rows.empty:
            continue
        labels = rows.loc[rows["problem"] == "", "label"]
        tally = np.bincount(labels[labels >= 0], minlength=len(classes)).tolist()
        known = {name: n for name, n in zip(classes, tally, strict=True) if n or len(tally) <= FEW}
        unknown = int((labels < 0).sum())
        by_class = {"unknown": unknown} if unknown == len(labels) else known
        counts[part] = by_class | {"left out": int((rows["problem"] != "").sum())}
    return counts


def _tally(values: "pd.Series[Any]") -> dict[str, int]:
    """How often each value is there, the most frequent first, then by name."""
    counts = {str(value): int(count) for value, count in values.value_counts().items()}
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _quantiles(values: "pd.Series[Any]") -> dict[str, float]:
    """Values that are really there, so that no rounding makes them."""
    if values.empty:
        return {}
    found = np.quantile(values.to_numpy(), list(QUANTILES.values()), method="nearest")
    return dict(zip(QUANTILES, found.tolist(), strict=True))


def _contradictions(index: pd.DataFrame, duplicates: Duplicates) -> Pairs:
    """The pairs that are the same, or nearly, and have different classes."""
    pairs = np.concatenate([duplicates.exact, duplicates.near])
    label = index["label"].to_numpy()[pairs]
    return np.asarray(pairs[(label[:, 0] != label[:, 1]) & (label >= 0).all(1)], np.int64)


def _named(index: pd.DataFrame, pairs: Pairs) -> list[list[str]]:
    names = index["name"].to_numpy()
    return [[str(names[i]), str(names[j])] for i, j in pairs]
