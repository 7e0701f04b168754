"""Image files: found in archives, and decoded to upright 8-bit RGB images.

All code decodes images here, so that scanning, features and nets see the same pixels:

- CMYK and greyscale are converted to RGB by Pillow; 16-bit values are rounded to 8 bits; floats
  range from 0 to 1;
- transparent pixels are drawn on white, as a browser does; an animation is its first frame;
- the EXIF orientation is applied, and broken EXIF data are ignored;
- an image of too many pixels is refused by its header, before it is decoded;
- a format that is not in `FORMATS` is not an image, whatever the file's name says.
"""

import io
import os
import re
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ripen.core.archives import Archive
from ripen.core.errors import DataError, shown

T = TypeVar("T")
R = TypeVar("R")

FORMATS = ("BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TGA", "TIFF", "WEBP")
"""The formats that are read, `caffe`'s too. Pillow knows more: for an EPS it starts Ghostscript."""
MAX_PIXELS = "CAFFE_MAX_PIXELS"
"""The environment variable that replaces the limit on an image's pixels, in `caffe` too."""
_MAX_PIXELS = 2**26  # 8192 x 8192
BITS_16 = 65535
AHEAD = 8
"""Items that `in_order` works on ahead of its caller, for each thread."""

# Pillow warns of large images and of damage that it can recover from. This module decides on both.
warnings.filterwarnings("ignore", module=r"PIL\.")


@dataclass(frozen=True)
class Facts:
    """Properties of an image file.

    Attributes
    ----------
    width, height : int
        Of the upright image, in pixels.
    mode, format : str
        Pillow's names, such as "RGB" and "JPEG".
    notes : tuple of str
        Unusual but harmless properties: "16-bit", "CMYK", "alpha", "animated", "greyscale",
        "rotated".
    """

    width: int
    height: int
    mode: str
    format: str
    notes: tuple[str, ...]


def decode(
    source: bytes | Path | BinaryIO, name: str, at_least: tuple[int, int] | None = None
) -> Image.Image:
    """Return an upright RGB image.

    Parameters
    ----------
    source : bytes, path or binary file
    name : str
        Name of the image in errors.
    at_least : (width, height), optional
        A sufficient size. A JPEG file is then decoded, many times faster, at the smallest of the
        scales 1, 1/2, 1/4 and 1/8 that is as large.

    Raises
    ------
    DataError
        If the file is not found, is not an image, is damaged or too large.
    """
    return examine(source, name, at_least)[0]


def examine(
    source: bytes | Path | BinaryIO, name: str, at_least: tuple[int, int] | None = None
) -> tuple[Image.Image, Facts]:
    """Return the image as `decode` does, and the properties of the file.

    Raises
    ------
    DataError
        As `decode`.
    """
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with open_image(stream, name) as image:
            facts = _facts(image)
            if at_least is not None:
                image.draft(None, _before_rotation(at_least, "rotated" in facts.notes))
            return _rgb(_upright(image)), facts
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(f"{name}: is not an image that Pillow can read") from None
    except Exception as error:  # Pillow raises errors of any type on damaged files
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"{name}: cannot be read: {' '.join(str(reason).split())}") from None


def open_image(file: str | Path | BinaryIO, name: str) -> Image.Image:
    """Open an image of one of `FORMATS`, its size checked by its header; nothing is decoded.

    Every reader of ripen opens images here. Other errors are Pillow's.

    Raises
    ------
    DataError
        If it has more pixels than `pixel_limit`.
    """
    limit = pixel_limit()
    if limit > _MAX_PIXELS:  # then Pillow's own limit must not be lower
        Image.MAX_IMAGE_PIXELS = max(limit, Image.MAX_IMAGE_PIXELS or limit)
    try:
        image = Image.open(file, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large(name, "the image") from None
    width, height = image.size
    if width * height > limit:
        image.close()
        raise _too_large(name, f"{width}x{height}")
    return image


def pixel_limit() -> int:
    """Return how many pixels an image may have: CAFFE_MAX_PIXELS, or 2^26 (8192 x 8192).

    Raises
    ------
    DataError
        If the environment variable is not a number.
    """
    given = os.environ.get(MAX_PIXELS, "")
    if given and not re.fullmatch("[0-9]{1,18}", given):
        raise DataError(f"the environment variable {MAX_PIXELS} is '{shown(given)}', not a number")
    return int(given or _MAX_PIXELS)


def _too_large(name: str, what: str) -> DataError:
    return DataError(
        f"{name}: is too large: {what} has more than {pixel_limit():,} pixels. Allow more with the "
        f"environment variable {MAX_PIXELS}"
    )


def _before_rotation(size: tuple[int, int], rotated: bool) -> tuple[int, int]:
    # The scale is chosen before the orientation is applied, which may swap width and height.
    return (max(size), max(size)) if rotated else size


def _facts(image: Image.Image) -> Facts:
    # Pillow converts 16-bit PNG to 8 bits on loading; only the decoder's arguments tell.
    tiles = getattr(image, "tile", [])
    deep = image.mode[0] in "IF" or any(";16" in str(tile.args) for tile in tiles)
    if image.format == "PNG":
        image.load()  # a PNG's EXIF data may follow the pixels
    turn = _orientation(image)
    width, height = image.size[::-1] if turn >= 5 else image.size
    found = {
        "16-bit": deep,
        "CMYK": image.mode == "CMYK",
        "alpha": image.has_transparency_data,
        "animated": getattr(image, "is_animated", False) and image.format != "MPO",
        "greyscale": image.mode in ("1", "L", "LA", "La") or image.mode[0] in "IF",
        "rotated": turn > 1,
    }
    notes = tuple(note for note, true in found.items() if true)
    return Facts(width, height, image.mode, image.format or "", notes)


def _orientation(image: Image.Image) -> int:
    try:
        turn = image.getexif().get(0x0112, 1)
    except Exception:  # Pillow raises errors of any type on broken EXIF data
        return 1
    return turn if isinstance(turn, int) and 1 <= turn <= 8 else 1


def _upright(image: Image.Image) -> Image.Image:
    if _orientation(image) == 1:
        return image
    return ImageOps.exif_transpose(image)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode[0] in "IF":
        return _eight_bits(image).convert("RGB")
    if image.has_transparency_data:
        transparent = image.convert("RGBA")
        white = Image.new("RGBA", transparent.size, "white")
        return Image.alpha_composite(white, transparent).convert("RGB")
    # `convert` copies an image that is RGB already, so that the file can be closed.
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    if image.mode == "F":
        values = np.nan_to_num(values) * BITS_16
    scaled = np.clip(values, 0, BITS_16) / BITS_16 * 255
    return Image.fromarray(np.rint(scaled).astype(np.uint8))


class File(NamedTuple):
    """An image file: its name in its archive, and a function that reads its bytes."""

    name: str
    read: Callable[[], bytes]


@contextmanager
def open_archives(folder: Path) -> Iterator[dict[str, Archive]]:
    """Open all zip files of a folder and the archives nested in them, for one thread to read.

    Yields
    ------
    dict of str to Archive
        By name, such as "dogs-vs-cats.zip/train.zip", in alphabetical order.

    Raises
    ------
    DataError
        If the folder has no archive, or one is invalid.
    """
    with ExitStack() as stack:
        archives: dict[str, Archive] = {}
        for path in sorted(folder.glob("*.zip")):
            outer = stack.enter_context(Archive(path))
            archives[path.name] = outer
            for member in sorted(m.name for m in outer.members if m.name.lower().endswith(".zip")):
                archives[f"{path.name}/{member}"] = stack.enter_context(outer.inner(member))
        if not archives:
            raise DataError(f"{folder}: there is no archive, *.zip")
        yield archives


def files_of(archive: Archive) -> list[File]:
    """Return the files of an archive."""
    return [File(member.name, partial(archive.read, member.name)) for member in archive.members]


def in_order(
    function: Callable[[T], R], items: Iterable[T], threads: int, ahead: int = 0
) -> Iterator[R]:
    """Yield `function(item)` for each item in order, computed ahead in threads.

    The items themselves are drawn in the caller's thread, since an archive is not safe to read from
    several. Threads suffice, because Pillow and hashlib release the GIL.

    Parameters
    ----------
    function : callable
        Its errors are raised in the caller at the item's position.
    items : iterable
    threads : int
        1 computes in the caller's thread. The results do not depend on the number.
    ahead : int
        Limit on the items in work or waiting for the caller, if more than 8 for each thread.
    """
    if threads == 1:
        yield from map(function, items)
        return
    coming = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for item in islice(coming, max(ahead, AHEAD * threads)):
                waiting.append(pool.submit(function, item))
            while waiting:
                done = waiting.popleft()
                for item in islice(coming, 1):
                    waiting.append(pool.submit(function, item))
                yield done.result()
        finally:
            # The caller may stop early: leave no work behind in the threads.
            for future in waiting:
                future.cancel()
