"""A competition's pictures by the ids that predictions have."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
from PIL import Image

from ripen.competition.datasets.prepared import read_part
from ripen.core.layout import Layout
from ripen.data.decode import decode as read
from ripen.data.decode import open_archives

LARGE = 512  # pixels: a larger photograph is decoded smaller


@dataclass(frozen=True)
class Gallery:
    """What gives the picture of an id, and its name."""

    picture: Callable[[int], Image.Image]
    name: Callable[[int], str]


@contextmanager
def photographs(layout: Layout, index: pd.DataFrame) -> Iterator[Gallery]:
    """Open the archives; ids are numbers of rows of the index."""
    with open_archives(layout.raw) as archives:

        def picture(row: int) -> Image.Image:
            archive, name = str(index.at[row, "archive"]), str(index.at[row, "name"])
            return read(archives[archive].read(name), name, (LARGE, LARGE))

        yield Gallery(picture, lambda row: str(index.at[row, "name"]))


@contextmanager
def small_pictures(layout: Layout) -> Iterator[Gallery]:
    """Read the prepared pictures, of one channel and values from 0 to 1."""
    parts = [read_part(layout.prepared, name) for name in ("validation", "test")]
    data = {
        int(id): values for part in parts for id, values in zip(part.ids, part.data, strict=True)
    }

    def picture(id: int) -> Image.Image:
        return Image.fromarray(np.rint(data[id][0] * 255).astype(np.uint8))

    yield Gallery(picture, lambda id: f"id {id}")
