"""Many pictures in one: rows of squares, as a JPEG file of the same bytes for the same pictures."""

import io
from collections.abc import Sequence

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

GAP = 4
SIDE = 112
QUALITY = 85


def montage(rows: Sequence[Sequence[Image.Image]], side: int = SIDE) -> Image.Image:
    """Return rows of pictures, each whole on a white square.

    Parameters
    ----------
    rows : sequence of sequence of Image
        Rows may be of different lengths.
    side : int
        Of a square, in pixels.
    """
    columns = max((len(row) for row in rows), default=0)
    step = side + GAP
    size = (max(1, columns * step - GAP), max(1, len(rows) * step - GAP))
    whole = Image.new("RGB", size, "white")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            square = ImageOps.pad(picture, (side, side), Image.Resampling.BILINEAR, "white")
            whole.paste(square, (x * step, y * step))
    return whole


def jpeg(picture: Image.Image) -> bytes:
    """Return a picture as a file, the settings fixed, so that its bytes are the same every time.

    JPEG, since PNG's bytes follow the build of zlib and its processor.
    """
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=QUALITY, subsampling=0, optimize=False)
    return stream.getvalue()


def sample(index: pd.DataFrame, n_classes: int, each: int, seed: int) -> list[list[int]]:
    """Draw rows of whole training pictures.

    Parameters
    ----------
    index : DataFrame
        As `ripen.data.images.index` has it.
    n_classes : int
    each : int
        Pictures of each class, or as many as there are.
    seed : int

    Returns
    -------
    list of list of int
        Positions in the index, for each class, rising.
    """
    rng = np.random.default_rng(seed)
    good = (index["part"] == "train") & (index["problem"] == "")
    drawn = []
    for label in range(n_classes):
        rows = np.flatnonzero(good & (index["label"] == label))
        drawn.append(sorted(rng.choice(rows, min(each, len(rows)), replace=False).tolist()))
    return drawn


def mixed(index: pd.DataFrame, each: int, seed: int) -> list[list[int]]:
    """Draw rows of whole pictures of any class and part.

    Parameters
    ----------
    index : DataFrame
    each : int
        Pictures of a row, and rows.
    seed : int

    Returns
    -------
    list of list of int
        Positions in the index, rising.
    """
    good = np.flatnonzero(index["problem"] == "")
    rng = np.random.default_rng(seed)
    drawn = sorted(rng.choice(good, min(each**2, len(good)), replace=False).tolist())
    return [drawn[i : i + each] for i in range(0, len(drawn), each)]
