"""Figures made of images: tiles with captions, and the worst mistakes of a model.

A figure is an SVG, the same bytes each time. Images are JPEG files inside it; captions are text,
which can be searched and read aloud.
"""

import base64
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from ripen.competition.index import Index
from ripen.competition.metrics import DECIMALS
from ripen.core.atomic import write_text
from ripen.core.frames import read_frame, write_frame
from ripen.core.layout import Layout
from ripen.data.card import jpeg
from ripen.data.decode import decode, open_archives
from ripen.judge.scoring import Scored
from ripen.settings.schema import Competition

LARGE = 512  # pixels: a larger image is decoded smaller
WORST, COLUMNS = 24, 8  # mistakes, and how many of them stand side by side
SIDE = 112  # pixels of an image's square
GAP = 8
LINE = 16
FONT = 13
LETTER = 7.2  # pixels of a letter's width, about
HEAD = 28
LEAST = 480  # pixels of a figure's width, for its title


# --- The images of a competition -----------------------------------------------------------------


@dataclass(frozen=True)
class RowImages:
    """The image of each row of the index, and its name."""

    image: Callable[[int], Image.Image]
    name: Callable[[int], str]


@contextmanager
def open_images(
    competition: Competition, layout: Layout, index: Index
) -> Iterator[RowImages | None]:
    """Open a competition's images: those of its archives, or the rows of a table of pixels.

    Yields
    ------
    RowImages or None
        None where rows are not images.
    """
    rows, columns = index.rows, competition.columns
    if "archive" in rows:
        with open_archives(layout.raw) as archives:

            def image(row: int) -> Image.Image:
                archive, name = str(rows.at[row, "archive"]), str(rows.at[row, "name"])
                return decode(archives[archive].read(name), name, (LARGE, LARGE))

            yield RowImages(image, lambda row: str(rows.at[row, "name"]))
    elif columns is not None and columns.shape is not None:
        pixels = read_frame(layout.table).to_numpy(np.float32)
        # (n, pixels) as the table has them -> (n, channels, height, width), from 0 to 1
        levels = pixels.reshape(len(pixels), *columns.shape) / np.float32(columns.scale or 255)

        def drawn(row: int) -> Image.Image:
            return Image.fromarray(np.rint(levels[row][0] * 255).astype(np.uint8))

        yield RowImages(drawn, lambda row: f"id {rows.at[row, 'id']!s}")
    else:
        yield None


# --- The worst mistakes --------------------------------------------------------------------------


def worst(one: Scored, classes: Sequence[str]) -> pd.DataFrame:
    """Return a model's mistakes, the least probability of the right class first.

    Returns
    -------
    DataFrame of at most `WORST` rows
        Columns row, actual, predicted (classes), probability (of the predicted class) and
        probability_of_actual.
    """
    names, rows = np.array(classes), np.arange(len(one.rows))
    labels, predicted = one.labels, one.predicted
    everything = pd.DataFrame(
        {
            "row": one.rows,
            "actual": names[labels],
            "predicted": names[predicted],
            "probability": one.outputs[rows, predicted],
            "probability_of_actual": one.outputs[rows, labels],
        }
    ).round(DECIMALS)
    wrong: pd.DataFrame = everything[predicted != labels]
    return wrong.sort_values(["probability_of_actual", "row"], ignore_index=True).head(WORST)


def draw_mistakes(one: Scored, classes: Sequence[str], images: RowImages, folder: Path) -> None:
    """Write a model's worst mistakes: `mistakes.csv`, and `mistakes.svg` with the images."""
    found = worst(one, classes)
    found.insert(1, "name", [images.name(int(row)) for row in found["row"]])
    write_frame(folder / "mistakes.csv", found)
    tiles = [
        Tile(
            images.image(int(row.row)),  # type: ignore[arg-type]
            (f"true: {row.actual}", f"pred: {row.predicted}", f"p = {row.probability:.1%}"),
            str(row.name),
        )
        for row in found.itertuples()
    ]
    total = int((one.predicted != one.labels).sum())
    title = f"{one.title}: the worst {len(tiles)} of {total} mistakes"
    if total == 0:
        title = f"{one.title}: no mistake among {len(one.rows)}"
    write_text(folder / "mistakes.svg", tile_figure(title, in_rows(tiles, COLUMNS)))


# --- Tiles ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tile:
    """An image and its caption.

    Attributes
    ----------
    image : Image
    lines : tuple of str
        The caption; a long line is shortened, and its whole text is in the image's title.
    name : str
        The title's beginning.
    """

    image: Image.Image
    lines: tuple[str, ...]
    name: str = ""


def tile_figure(title: str, rows: Sequence[Sequence[Tile]], side: int = SIDE) -> str:
    """Return rows of tiles as SVG; `side` is the side of an image's square in pixels."""
    lines = max((len(tile.lines) for row in rows for tile in row), default=0)
    columns = max((len(row) for row in rows), default=1)
    step = side + GAP, side + LINE * lines + GAP
    width = max(GAP + columns * step[0], LEAST)
    height = HEAD + len(rows) * step[1] + GAP
    body = [
        _placed(tile, GAP + x * step[0], HEAD + y * step[1], side)
        for y, row in enumerate(rows)
        for x, tile in enumerate(row)
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="group" aria-label="{escape(title)}">',
            f"<title>{escape(title)}</title>",
            '<rect width="100%" height="100%" fill="white"/>',
            f'<g font-family="sans-serif" font-size="{FONT}">',
            f'<text x="{GAP}" y="{HEAD - 9}" font-weight="bold">{escape(title)}</text>',
            *body,
            "</g>",
            "</svg>\n",
        ]
    )


def in_rows(tiles: Sequence[Tile], columns: int) -> list[Sequence[Tile]]:
    """Arrange tiles in rows of so many columns."""
    return [tiles[i : i + columns] for i in range(0, len(tiles), columns)]


def fitted(image: Image.Image, side: int = SIDE) -> Image.Image:
    """Return an image that fills the square: smoothly, or of a small one by whole pixels."""
    largest = max(image.size)
    if largest > side // 2:
        return ImageOps.contain(image, (side, side), Image.Resampling.BILINEAR)
    times = side // largest
    size = image.width * times, image.height * times
    return image.resize(size, Image.Resampling.NEAREST)


def _placed(tile: Tile, x: int, y: int, side: int) -> str:
    caption = escape(f"{tile.name} {', '.join(filter(None, tile.lines))}".strip())
    image = fitted(tile.image, side)
    data = base64.b64encode(jpeg(image)).decode("ascii")
    left, upper = x + (side - image.width) // 2, y + (side - image.height) // 2
    placed = (
        f'<image x="{left}" y="{upper}" width="{image.width}" height="{image.height}" '
        f'href="data:image/jpeg;base64,{data}"/>'
    )
    lines = [
        f'<text x="{x}" y="{y + side + LINE * (i + 1) - 2}">{escape(_shortened(line, side))}</text>'
        for i, line in enumerate(tile.lines)
    ]
    # A viewer shows an element's title when the pointer rests on it.
    parts = [f"<title>{caption}</title>", placed, *lines]
    return f'<g role="img" aria-label="{caption}">{"".join(parts)}</g>'


def _shortened(line: str, side: int) -> str:
    letters = int(side / LETTER)
    return line if len(line) <= letters else f"{line[: letters - 1]}…"
