"""A competition's images by the rows of the index."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
from PIL import Image

from ripen.competition.index import Index
from ripen.core.layout import Layout
from ripen.data.decode import decode as read
from ripen.data.decode import open_archives as opened_archives
from ripen.learn.inputs import TABLE
from ripen.settings.schema import Competition

LARGE = 512  # pixels: a larger image is decoded smaller


@dataclass(frozen=True)
class Gallery:
    """What gives the image of a row, and its name."""

    image: Callable[[int], Image.Image]
    name: Callable[[int], str]


@contextmanager
def opened(competition: Competition, layout: Layout, index: Index) -> Iterator[Gallery | None]:
    """Open a competition's images: those of its archives, or the rows of a table of pixels.

    Yields
    ------
    Gallery or None
        None where rows are no images.
    """
    rows, columns = index.rows, competition.columns
    if "archive" in rows:
        with opened_archives(layout.raw) as archives:

            def image(row: int) -> Image.Image:
                archive, name = str(rows.at[row, "archive"]), str(rows.at[row, "name"])
                return read(archives[archive].read(name), name, (LARGE, LARGE))

            yield Gallery(image, lambda row: str(rows.at[row, "name"]))
    elif columns is not None and columns.shape is not None:
        pixels = pd.read_parquet(layout.prepared / TABLE).to_numpy(np.float32)
        levels = pixels.reshape(len(pixels), *columns.shape) / np.float32(columns.scale or 255)

        def drawn(row: int) -> Image.Image:
            return Image.fromarray(np.rint(levels[row][0] * 255).astype(np.uint8))

        yield Gallery(drawn, lambda row: f"id {rows.at[row, 'id']}")
    else:
        yield None
