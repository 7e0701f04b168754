"""The data card: counts, origin, licence and problems of a competition's images, and a sample."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from ripen.core.templates import rendered
from ripen.data.scan import Duplicates, Pairs

MEASURES = ("width", "height", "bytes", "brightness")
QUANTILES = {"least": 0.0, "5%": 0.05, "median": 0.5, "95%": 0.95, "most": 1.0}
FEW = 20
"""Up to this many classes, the card lists empty classes and the grid has a row for each class."""
PARTS = ("train", "validation", "test")
GAP = 4
"""Pixels between the images of a montage."""
SIDE = 112
"""Width and height of an image in a montage, in pixels."""
QUALITY = 85


@dataclass(frozen=True)
class Origin:
    """The origin of the images.

    Attributes
    ----------
    title : str
    source : str
        Their address or owner.
    licence : str
    sha256 : mapping of str to str
        Hash of each raw file, by name.
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
        From `ripen.data.image_index.build`.
    duplicates : Duplicates
        Among the rows of the index.
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
        "images": _counts(index, classes),
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
        From `card`.
    grid : str
        Path of the sample's file, for the link.
    """
    return _render("card.md.jinja", values, grid)


def html(values: Mapping[str, Any], grid: bytes) -> str:
    """Return the card as a self-contained page; `grid` is the content of a JPEG file."""
    address = f"data:image/jpeg;base64,{base64.b64encode(grid).decode()}"
    return _render("card.html.jinja", values, address)


def _render(template: str, values: Mapping[str, Any], grid: str) -> str:
    parts = [part for part in PARTS if part in values["images"]]
    file = Path(__file__).with_name(template)
    return rendered(file, card=values, grid=grid, quantiles=list(QUANTILES), parts=parts)


def _counts(index: pd.DataFrame, classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return the numbers of images by part and class, with the keys "unknown" and "excluded"."""
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
        counts[part] = by_class | {"excluded": int((rows["problem"] != "").sum())}
    return counts


def _tally(values: "pd.Series[Any]") -> dict[str, int]:
    """Return the count of each value, the most frequent first, then by name."""
    counts = {str(value): int(count) for value, count in values.value_counts().items()}
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _quantiles(values: "pd.Series[Any]") -> dict[str, float]:
    if values.empty:
        return {}
    # "nearest" takes values of the data: no interpolation, and so no rounding.
    found = np.quantile(values.to_numpy(), list(QUANTILES.values()), method="nearest")
    return dict(zip(QUANTILES, found.tolist(), strict=True))


def _contradictions(index: pd.DataFrame, duplicates: Duplicates) -> Pairs:
    """Return the duplicates and near-duplicates whose classes differ."""
    pairs = np.concatenate([duplicates.exact, duplicates.near])
    label = index["label"].to_numpy()[pairs]
    return np.asarray(pairs[(label[:, 0] != label[:, 1]) & (label >= 0).all(1)], np.int64)


def _named(index: pd.DataFrame, pairs: Pairs) -> list[list[str]]:
    names = index["name"].to_numpy()
    return [[str(names[i]), str(names[j])] for i, j in pairs]


def montage(rows: Sequence[Sequence[Image.Image]], side: int = SIDE) -> Image.Image:
    """Return rows of images as one image, each whole and centred on a white square.

    Parameters
    ----------
    rows : sequence of sequence of Image
        Rows may have different lengths.
    side : int
        Width and height of a square, in pixels.
    """
    columns = max((len(row) for row in rows), default=0)
    step = side + GAP
    size = (max(1, columns * step - GAP), max(1, len(rows) * step - GAP))
    whole = Image.new("RGB", size, "white")
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            square = ImageOps.pad(image, (side, side), Image.Resampling.BILINEAR, "white")
            whole.paste(square, (x * step, y * step))
    return whole


def jpeg(image: Image.Image) -> bytes:
    """Return an image as a JPEG file of reproducible bytes."""
    # Not PNG, whose bytes depend on the build of zlib and on the processor.
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=QUALITY, subsampling=0, optimize=False)
    return stream.getvalue()


def sample_by_class(index: pd.DataFrame, n_classes: int, each: int, seed: int) -> list[list[int]]:
    """Sample good training images of each class.

    Parameters
    ----------
    index : DataFrame
        From `ripen.data.image_index.build`.
    n_classes : int
    each : int
        Number of images of each class, if it has as many.
    seed : int

    Returns
    -------
    list of list of int
        Sorted positions in the index, for each class.
    """
    rng = np.random.default_rng(seed)
    good = (index["part"] == "train") & (index["problem"] == "")
    drawn = []
    for label in range(n_classes):
        rows = np.flatnonzero(good & (index["label"] == label))
        drawn.append(sorted(rng.choice(rows, min(each, len(rows)), replace=False).tolist()))
    return drawn


def sample_any(index: pd.DataFrame, each: int, seed: int) -> list[list[int]]:
    """Sample good images of any class and part, where there are too many classes for a row each.

    Parameters
    ----------
    index : DataFrame
    each : int
        Number of rows, and of images in a row.
    seed : int

    Returns
    -------
    list of list of int
        Sorted positions in the index.
    """
    good = np.flatnonzero(index["problem"] == "")
    rng = np.random.default_rng(seed)
    drawn = sorted(rng.choice(good, min(each**2, len(good)), replace=False).tolist())
    return [drawn[i : i + each] for i in range(0, len(drawn), each)]
