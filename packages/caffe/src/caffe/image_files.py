"""Image files as the data layers read them: uint8 arrays (H, W, C) in OpenCV's order, BGR.

Pillow decodes, and the resizing is our own. Both give the bytes that Caffe gets from OpenCV, except
for two kinds of JPEG: subsampled chroma depends on the libjpeg, and real Caffe's wheel upsamples it
differently (0.4 of 255 on average over an image); CMYK differs by 1.
"""

import io
import os
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from caffe.errors import FormatError, ShapeError

Pixels = NDArray[np.uint8]
_BITS = 11  # of fixed-point interpolation weights, as in OpenCV


def read_image(
    path: str | os.PathLike[str], *, color: bool = True, height: int = 0, width: int = 0
) -> Pixels:
    """Read an image file; resize it if height and width are given.

    Returns
    -------
    ndarray of shape (H, W, 3), or (H, W, 1) if not `color`

    Raises
    ------
    FormatError
        If the file cannot be read or is not an image.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror}") from None
    pixels = decode(content, str(path), color=color)
    return resize(pixels, height, width) if height and width else pixels


def decode(content: bytes, source: str, *, color: bool | None = None) -> Pixels:
    """Decode an image; `source` names it in the error.

    Parameters
    ----------
    color : bool
        True for 3 channels, False for 1, None for as many as the file has, alpha included.

    Raises
    ------
    FormatError
        If it is not an image, is truncated or too large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about sizes and metadata
            with Image.open(io.BytesIO(content)) as image:
                return _loaded(image, color)
    except UnidentifiedImageError:
        raise FormatError(f"{source}: is not an image that can be decoded") from None
    except Image.DecompressionBombError:
        raise FormatError(f"{source}: has too many pixels") from None
    except Exception as error:  # Pillow raises errors of any type for a damaged file
        raise FormatError(f"{source}: cannot be decoded: {error}") from None


def encode(pixels: Pixels, kind: str) -> bytes:
    """Encode an image (H, W, C) in BGR as a file of a format such as ``png`` or ``jpg``.

    Raises
    ------
    FormatError
        If the format is unknown.
    """
    name = {"jpg": "jpeg"}.get(kind.lower().lstrip("."), kind.lower().lstrip("."))
    buffer = io.BytesIO()
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels[:, :, ::-1])
    try:
        image.save(buffer, name, **({"quality": 95} if name == "jpeg" else {}))
    except (KeyError, OSError, ValueError):
        raise FormatError(
            f"'{kind}' is not a known image format. Allowed: jpg, png and the like"
        ) from None
    return buffer.getvalue()


def _loaded(image: Image.Image, color: bool | None) -> Pixels:
    if color is False:
        image.draft("L", None)  # the luminance that a JPEG stores
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
    bgr = np.ascontiguousarray(pixels[:, :, order])
    return _gray(bgr, kind) if color is False else bgr


def _gray(pixels: Pixels, kind: str | None) -> Pixels:
    """Return the luminance by integer weights: libpng's for a PNG, else OpenCV's own."""
    b, g, r = np.moveaxis(pixels.astype(np.int32), 2, 0)
    if kind == "PNG":
        gray = (b * 3737 + g * 19234 + r * 9797) >> 15
    else:
        gray = (b * 1868 + g * 9617 + r * 4899 + (1 << 13)) >> 14
    plane: Pixels = gray.astype(np.uint8)[:, :, np.newaxis]
    return plane


def resize(pixels: Pixels, height: int, width: int) -> Pixels:
    """Resize an image bilinearly, without smoothing, in OpenCV's fixed-point arithmetic.

    Raises
    ------
    ShapeError
        If a side is less than 1.
    """
    h, w = pixels.shape[:2]
    if min(h, w, height, width) < 1:
        raise ShapeError(f"an image of {h}x{w} cannot be resized to {height}x{width}")
    if (h, w) == (height, width):
        return pixels
    if (h, w) == (2 * height, 2 * width):
        return _halved(pixels)
    left, right, x_weights = _neighbours(w, width, clamped=True)
    upper, lower, y_weights = _neighbours(h, height, clamped=False)
    rows = pixels.astype(np.int32)
    x0, x1 = x_weights[0][:, np.newaxis], x_weights[1][:, np.newaxis]
    rows = (rows[:, left] * x0 + rows[:, right] * x1) >> 4
    y0, y1 = y_weights[0][:, np.newaxis, np.newaxis], y_weights[1][:, np.newaxis, np.newaxis]
    summed = ((rows[upper] * y0) >> 16) + ((rows[lower] * y1) >> 16)
    scaled: Pixels = np.clip((summed + 2) >> 2, 0, 255).astype(np.uint8)
    return scaled


def _halved(pixels: Pixels) -> Pixels:
    """Return the means of 2x2 pixels: what OpenCV does at exactly half the size."""
    h, w, c = pixels.shape
    blocks = pixels.reshape(h // 2, 2, w // 2, 2, c).astype(np.int32)
    halved: Pixels = ((blocks.sum(axis=(1, 3)) + 2) >> 2).astype(np.uint8)
    return halved


def _neighbours(
    size: int, wanted: int, *, clamped: bool
) -> tuple[NDArray[np.intp], NDArray[np.intp], tuple[NDArray[np.int32], NDArray[np.int32]]]:
    """Return for each new position its two old neighbours and their weights."""
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
