"""Pictures in rows, each with what is said of it as text: an SVG page, the same bytes each time.

The pictures are JPEG files within it; the text is text, for search and for a screen reader.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from PIL import Image, ImageOps

from ripen.data.card import jpeg

SIDE = 112  # pixels of a picture's square
GAP = 8
LINE = 13
FONT = 11
LETTER = 6.2  # pixels of a letter's width, about
HEAD = 24
LEAST = 480  # pixels of a page's width, for its title


@dataclass(frozen=True)
class Tile:
    """A picture and what is said of it.

    Attributes
    ----------
    picture : Image
    lines : tuple of str
        Are cut where they are too long; the whole is in the picture's title.
    name : str
        Begins the title.
    """

    picture: Image.Image
    lines: tuple[str, ...]
    name: str = ""


def sheet(title: str, rows: Sequence[Sequence[Tile]], side: int = SIDE) -> str:
    """Return a page of rows of tiles, as SVG; `side` pixels are a picture's square."""
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


def dealt(tiles: Sequence[Tile], columns: int) -> list[Sequence[Tile]]:
    """Deal tiles to rows of as many columns."""
    return [tiles[i : i + columns] for i in range(0, len(tiles), columns)]


def fitted(picture: Image.Image, side: int = SIDE) -> Image.Image:
    """Return a picture as large as the square allows; of a small one each pixel is a square."""
    largest = max(picture.size)
    if largest >= side:
        return ImageOps.contain(picture, (side, side), Image.Resampling.BILINEAR)
    times = side // largest
    size = picture.width * times, picture.height * times
    return picture.resize(size, Image.Resampling.NEAREST)


def _placed(tile: Tile, x: int, y: int, side: int) -> str:
    said = escape(f"{tile.name} {', '.join(filter(None, tile.lines))}".strip())
    picture = fitted(tile.picture, side)
    data = base64.b64encode(jpeg(picture)).decode("ascii")
    left, upper = x + (side - picture.width) // 2, y + (side - picture.height) // 2
    image = (
        f'<image x="{left}" y="{upper}" width="{picture.width}" height="{picture.height}" '
        f'href="data:image/jpeg;base64,{data}"/>'
    )
    lines = [
        f'<text x="{x}" y="{y + side + LINE * (i + 1) - 2}">{escape(_cut(line, side))}</text>'
        for i, line in enumerate(tile.lines)
    ]
    parts = [f"<title>{said}</title>", image, *lines]
    return f'<g role="img" aria-label="{said}">{"".join(parts)}</g>'


def _cut(line: str, side: int) -> str:
    letters = int(side / LETTER)
    return line if len(line) <= letters else f"{line[: letters - 1]}…"
