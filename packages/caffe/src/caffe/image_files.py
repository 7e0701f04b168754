"""Image files as the data layers read them: uint8 arrays (H, W, C) in OpenCV's order, BGR.

Pillow decodes, and the resizing is our own. Both give the bytes that Caffe gets from OpenCV, except
for two kinds of JPEG: subsampled chroma depends on the libjpeg, and real Caffe's wheel upsamples it
differently (0.4 of 255 on average over an image); CMYK differs by 1.
"""

import io
import os
import re
import warnings
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from caffe import glog
from caffe.errors import FormatError, ShapeError, naming
from caffe.formats import PathLike, read_file, shown

Pixels = NDArray[np.uint8]
# The formats accepted from untrusted files. Pillow knows more, some of which start other programs.
FORMATS = ("BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TGA", "TIFF", "WEBP")
MAX_PIXELS = "CAFFE_MAX_PIXELS"  # the environment variable that replaces the limit
_MAX_PIXELS = 2**26
_END_OF_JPEG = b"\xff\xd9"
_WARNED: set[str] = set()  # truncated files that were reported: once each
_BITS = 11  # of fixed-point interpolation weights, as in OpenCV


def read_image(path: PathLike, *, color: bool = True, height: int = 0, width: int = 0) -> Pixels:
    """Read an image file; resize it if height and width are given.

    Returns
    -------
    ndarray of shape (H, W, 3), or (H, W, 1) if not `color`

    Raises
    ------
    FormatError
        If the file cannot be read or is not an image.
    """
    content, source = read_file(path), shown(path)
    pixels = decode(content, source, color=color)
    if not height or not width:
        return pixels
    with naming(source):
        return resize(pixels, height, width)


def decode(content: bytes, source: str, *, color: bool | None = None) -> Pixels:
    """Decode an image; `source` names it in the error.

    Of a truncated JPEG what is there is decoded, as OpenCV does; a warning is logged once a file.

    Parameters
    ----------
    color : bool
        True for 3 channels, False for 1, None for as many as the file has, alpha included.

    Raises
    ------
    FormatError
        If it is not an image, is damaged, or has more pixels than `pixel_limit`.
    """
    try:
        return _decoded(content, source, color)
    except OSError as error:
        if isinstance(error, FormatError):
            raise
        # Only decoding itself notices it. libjpeg fills what is missing once the end is marked.
        if content.startswith(b"\xff\xd8") and "truncated" in str(error):
            return _as_far_as_it_goes(content, source, color)
        raise FormatError(f"{source}: cannot be decoded: {error}") from None


def _as_far_as_it_goes(content: bytes, source: str, color: bool | None) -> Pixels:
    try:
        pixels = _decoded(content + _END_OF_JPEG, source, color)
    except OSError as error:
        raise FormatError(f"{source}: cannot be decoded: {error}") from None
    if source not in _WARNED:
        _WARNED.add(source)
        glog.warning("io.cpp:76", "%s: the JPEG is truncated; what is there is used", source)
    return pixels


def _decoded(content: bytes, source: str, color: bool | None) -> Pixels:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about sizes and metadata
            with open_image(io.BytesIO(content), source) as image:
                return _loaded(image, color)
    except UnidentifiedImageError:
        raise FormatError(f"{source}: is not an image that can be decoded") from None
    except (OSError, FormatError):
        raise
    except Exception as error:  # Pillow raises errors of any type for a damaged file
        raise FormatError(f"{source}: cannot be decoded: {error}") from None


def open_image(file: str | BinaryIO, source: str) -> Image.Image:
    """Open an image of one of `FORMATS`, and check its size by its header.

    Raises
    ------
    FormatError
        If it has more pixels than `pixel_limit`; other errors are Pillow's.
    """
    limit = pixel_limit()
    if limit > _MAX_PIXELS:  # then Pillow's own limit must not be lower
        Image.MAX_IMAGE_PIXELS = max(limit, Image.MAX_IMAGE_PIXELS or limit)
    try:
        image = Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError as error:
        size = re.search(r"\d+ pixels", str(error))
        raise _too_many(source, size[0] if size else "an unknown number") from None
    try:
        check_pixels(image.height, image.width, source)
    except FormatError:
        image.close()
        raise
    return image


def pixel_limit() -> int:
    """Return how many pixels an image may have: CAFFE_MAX_PIXELS, or 2^26 (8192 x 8192).

    Raises
    ------
    FormatError
        If the environment variable is not a number.
    """
    given = os.environ.get(MAX_PIXELS, "")
    if given and not re.fullmatch("[0-9]{1,18}", given):
        raise FormatError(f"the environment variable {MAX_PIXELS} is '{given}': a number is needed")
    return int(given or _MAX_PIXELS)


def check_pixels(height: int, width: int, source: str) -> None:
    """Check an image's size before it is decoded into memory.

    Raises
    ------
    FormatError
        If there are more than `pixel_limit` pixels.
    """
    if height * width > pixel_limit():
        raise _too_many(source, f"{width}x{height}")


def _too_many(source: str, size: str) -> FormatError:
    return FormatError(
        f"{source}: has too many pixels: {size}. Allowed: {pixel_limit()}, or as many as the "
        f"environment variable {MAX_PIXELS} says"
    )


def format_name(kind: str) -> str:
    """Return Pillow's name of a format, such as ``jpeg`` for ``.JPG``."""
    name = kind.lower().lstrip(".")
    return "jpeg" if name == "jpg" else name


def encode(pixels: Pixels, kind: str) -> bytes:
    """Encode an image (H, W, C) in BGR as a file of a format such as ``png`` or ``jpg``.

    Raises
    ------
    FormatError
        If the format is unknown.
    """
    name = format_name(kind)
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
    FormatError
        If the result has more pixels than `pixel_limit`.
    """
    h, w = pixels.shape[:2]
    if min(h, w, height, width) < 1:
        raise ShapeError(f"an image of {h}x{w} cannot be resized to {height}x{width}")
    check_pixels(height, width, "the size to resize to")
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
