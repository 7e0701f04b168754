"""Pictures as the data layers see them: uint8 arrays (H, W, C) in OpenCV's channel order, BGR.

Decoding is Pillow's and scaling our own; both give what Caffe gets from OpenCV, byte by byte, but
for two kinds of JPEG. Subsampled colours depend on the libjpeg: real Caffe's wheel enlarges them
otherwise than Pillow (0.4 of 255 on the average of a photograph). CMYK differs by 1.
"""

import io
import os
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from caffe.errors import FormatError, ShapeError

Picture = NDArray[np.uint8]
_BITS = 11  # of the weights of an interpolation


def read_picture(
    path: str | os.PathLike[str], *, color: bool = True, height: int = 0, width: int = 0
) -> Picture:
    """Read a picture file, and scale it where height and width are given.

    Returns
    -------
    ndarray of shape (H, W, 3), or (H, W, 1) where not `color`

    Raises
    ------
    FormatError
        If the file cannot be read or is no picture.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror}") from None
    picture = decode(content, str(path), color=color)
    return resize(picture, height, width) if height and width else picture


def decode(content: bytes, source: str, *, color: bool | None = None) -> Picture:
    """Decode a picture; `source` names it in the error.

    Parameters
    ----------
    color : bool
        True for 3 channels, False for 1, None for as many as are stored, alpha included.

    Raises
    ------
    FormatError
        If it is no picture, is truncated or too large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, about sizes and metadata
            with Image.open(io.BytesIO(content)) as image:
                return _pixels(image, color)
    except UnidentifiedImageError:
        raise FormatError(f"{source}: is no picture that can be decoded") from None
    except Image.DecompressionBombError:
        raise FormatError(f"{source}: has too many pixels") from None
    except Exception as error:  # a damaged file brings errors of any kind out of Pillow
        raise FormatError(f"{source}: cannot be decoded: {error}") from None


def encode(picture: Picture, kind: str) -> bytes:
    """Encode a picture (H, W, C) in BGR as a file of this kind, such as ``png`` or ``jpg``.

    Raises
    ------
    FormatError
        If nothing is known of that kind.
    """
    name = {"jpg": "jpeg"}.get(kind.lower().lstrip("."), kind.lower().lstrip("."))
    buffer = io.BytesIO()
    image = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture[:, :, ::-1])
    try:
        image.save(buffer, name, **({"quality": 95} if name == "jpeg" else {}))
    except (KeyError, OSError, ValueError):
        raise FormatError(f"'{kind}' is no known encoding. Allowed: such as jpg, png") from None
    return buffer.getvalue()


def _pixels(image: Image.Image, color: bool | None) -> Picture:
    if color is False:
        image.draft("L", None)  # a JPEG's own luminance
    image.load()
    kind = image.format
    if color is not None:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16") or image.mode == "I":
        deep = np.asarray(image).astype(np.int64)
        image = Image.fromarray(np.clip(deep >> 8, 0, 255).astype(np.uint8))
    elif image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    elif image.mode not in ("L", "RGB", "RGBA"):
        image = image.convert({"1": "L", "LA": "RGBA"}.get(image.mode, "RGB"))
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        gray = pixels[:, :, np.newaxis]
        return np.repeat(gray, 3, axis=2) if color else gray
    order = [2, 1, 0, 3] if pixels.shape[2] == 4 and color is None else [2, 1, 0]
    picture = np.ascontiguousarray(pixels[:, :, order])
    return _gray(picture, kind) if color is False else picture


def _gray(picture: Picture, kind: str | None) -> Picture:
    """Luminance in integers; a PNG's is libpng's, any other's OpenCV's own."""
    b, g, r = np.moveaxis(picture.astype(np.int32), 2, 0)
    if kind == "PNG":
        gray = (b * 3737 + g * 19234 + r * 9797) >> 15
    else:
        gray = (b * 1868 + g * 9617 + r * 4899 + (1 << 13)) >> 14
    plane: Picture = gray.astype(np.uint8)[:, :, np.newaxis]
    return plane


def resize(picture: Picture, height: int, width: int) -> Picture:
    """Scale a picture bilinearly, without smoothing, in OpenCV's fixed-point numbers.

    Raises
    ------
    ShapeError
        If a side is not from 1 up.
    """
    h, w = picture.shape[:2]
    if min(h, w, height, width) < 1:
        raise ShapeError(f"a picture of {h}x{w} cannot be scaled to {height}x{width}")
    if (h, w) == (height, width):
        return picture
    if (h, w) == (2 * height, 2 * width):
        return _halved(picture)
    left, right, x_weights = _neighbours(w, width, clamped=True)
    upper, lower, y_weights = _neighbours(h, height, clamped=False)
    rows = picture.astype(np.int32)
    x0, x1 = x_weights[0][:, np.newaxis], x_weights[1][:, np.newaxis]
    rows = (rows[:, left] * x0 + rows[:, right] * x1) >> 4
    y0, y1 = y_weights[0][:, np.newaxis, np.newaxis], y_weights[1][:, np.newaxis, np.newaxis]
    summed = ((rows[upper] * y0) >> 16) + ((rows[lower] * y1) >> 16)
    scaled: Picture = np.clip((summed + 2) >> 2, 0, 255).astype(np.uint8)
    return scaled


def _halved(picture: Picture) -> Picture:
    """Half the size exactly is the mean of four pixels."""
    h, w, c = picture.shape
    blocks = picture.reshape(h // 2, 2, w // 2, 2, c).astype(np.int32)
    halved: Picture = ((blocks.sum(axis=(1, 3)) + 2) >> 2).astype(np.uint8)
    return halved


def _neighbours(
    size: int, wanted: int, *, clamped: bool
) -> tuple[NDArray[np.intp], NDArray[np.intp], tuple[NDArray[np.int32], NDArray[np.int32]]]:
    """For each new place the two old ones beside it, and their weights."""
    place = ((np.arange(wanted) + 0.5) * (size / wanted) - 0.5).astype(np.float32)
    first = np.floor(place).astype(np.intp)
    share = place - first
    if clamped:
        share = np.where((first < 0) | (first >= size - 1), np.float32(0), share)
    one = np.float32(1 << _BITS)
    weights = (
        np.rint((np.float32(1) - share) * one).astype(np.int32),
        np.rint(share * one).astype(np.int32),
    )
    return np.clip(first, 0, size - 1), np.clip(first + 1, 0, size - 1), weights
