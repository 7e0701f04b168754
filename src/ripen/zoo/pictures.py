"""A picture file made what a net's contract says it takes."""

from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ripen.errors import DataError
from ripen.zoo.contract import Input


def read(source: Path | BinaryIO, name: str) -> Image.Image:
    """Return a picture, turned upright as its EXIF data say, in RGB.

    Raises
    ------
    DataError
        If the file cannot be read, is no picture, is broken or too large; `name` stands for it.
    """
    try:
        with Image.open(source) as picture:
            upright = ImageOps.exif_transpose(picture)
            return upright.convert("RGB")
    except Image.DecompressionBombError as error:
        raise DataError(f"{name}: {error}") from None
    except UnidentifiedImageError:
        raise DataError(f"{name}: is no picture that Pillow knows") from None
    except (OSError, SyntaxError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"{name}: cannot be read: {reason}") from None


def values(picture: Image.Image, promised: Input) -> NDArray[np.float32]:
    """Return a picture as the net takes it, resized whatever its proportions, by Pillow's bilinear.

    Returns
    -------
    float32 ndarray of shape (channels, height, width)
        In the contract's channel order, scaled, and less its mean.
    """
    grey = promised.channel_order == "grey"
    resized = picture.convert("L" if grey else "RGB").resize(
        (promised.width, promised.height), Image.Resampling.BILINEAR
    )
    pixels = np.asarray(resized, np.float32).reshape(promised.height, promised.width, -1)
    if promised.channel_order == "BGR":
        pixels = pixels[:, :, ::-1]
    scaled = pixels.transpose(2, 0, 1) * np.float32(promised.raw_scale / 255)
    return scaled - np.array(promised.mean or [0], np.float32)[:, None, None]
