"""Picture files made upright 8-bit RGB pictures: one set of rules, for scanning and for nets.

CMYK and greyscale become RGB as Pillow converts them. Values of 16 bits become 8, rounded; floats
count from 0 to 1. What is transparent stands on white, as a browser shows it. An animation is its
first frame. The EXIF orientation is applied; EXIF data that are broken are passed over. The number
of pixels is read from the header, and a picture of too many is refused before it is decoded.
"""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ripen.core.errors import DataError

MAX_PIXELS = 64_000_000
BITS_16 = 65535

# Pillow warns of large pictures, and of damage that it can live with; this module decides on both.
warnings.filterwarnings("ignore", module=r"PIL\.")


@dataclass(frozen=True)
class Facts:
    """What the file says of itself.

    Attributes
    ----------
    width, height : int
        Of the upright picture, in pixels.
    mode, format : str
        Pillow's names, such as "RGB" and "JPEG".
    notes : tuple of str
        What is out of the ordinary and does no harm: "16-bit", "CMYK", "alpha", "animated",
        "greyscale", "rotated".
    """

    width: int
    height: int
    mode: str
    format: str
    notes: tuple[str, ...]


def read(
    source: bytes | Path | BinaryIO, name: str, at_least: tuple[int, int] | None = None
) -> Image.Image:
    """Return a picture, upright, in RGB.

    Parameters
    ----------
    source : bytes, path or binary file
    name : str
        Stands for the picture in errors.
    at_least : (width, height), optional
        A size that is enough: a JPEG file is decoded, many times faster, at the least power of two
        of a fraction that is as large.

    Raises
    ------
    DataError
        If the file cannot be read, is no picture, is broken or too large.
    """
    return examine(source, name, at_least)[0]


def examine(
    source: bytes | Path | BinaryIO, name: str, at_least: tuple[int, int] | None = None
) -> tuple[Image.Image, Facts]:
    """Return what `read` returns, and what the file says of itself.

    Raises
    ------
    DataError
        As `read`.
    """
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with Image.open(stream) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise _too_large(name, f"{width}x{height}")
            facts = _facts(picture)
            if at_least is not None:
                picture.draft(None, _turned(at_least, "rotated" in facts.notes))
            return _rgb(_upright(picture)), facts
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large(name, "the picture") from None
    except UnidentifiedImageError:
        raise DataError(f"{name}: is no picture that Pillow knows") from None
    except Exception as error:  # a damaged file brings errors of any kind out of Pillow
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"{name}: cannot be read: {' '.join(str(reason).split())}") from None


def _too_large(name: str, what: str) -> DataError:
    return DataError(f"{name}: is too large: {what} has more than {MAX_PIXELS:,} pixels")


def _turned(size: tuple[int, int], turned: bool) -> tuple[int, int]:
    return (max(size), max(size)) if turned else size


def _facts(picture: Image.Image) -> Facts:
    # A decoder that makes 8 bits of 16 says so only in what it is about to do.
    tiles = getattr(picture, "tile", [])
    deep = picture.mode[0] in "IF" or any(";16" in str(tile.args) for tile in tiles)
    if picture.format == "PNG":
        picture.load()  # its EXIF data may stand behind the pixels
    turn = _orientation(picture)
    width, height = picture.size[::-1] if turn >= 5 else picture.size
    found = {
        "16-bit": deep,
        "CMYK": picture.mode == "CMYK",
        "alpha": picture.has_transparency_data,
        "animated": getattr(picture, "is_animated", False) and picture.format != "MPO",
        "greyscale": picture.mode in ("1", "L", "LA", "La") or picture.mode[0] in "IF",
        "rotated": turn > 1,
    }
    notes = tuple(note for note, true in found.items() if true)
    return Facts(width, height, picture.mode, picture.format or "", notes)


def _orientation(picture: Image.Image) -> int:
    try:
        turn = picture.getexif().get(0x0112, 1)
    except Exception:  # broken EXIF data bring errors of any kind out of Pillow
        return 1
    return turn if isinstance(turn, int) and 1 <= turn <= 8 else 1


def _upright(picture: Image.Image) -> Image.Image:
    if _orientation(picture) == 1:
        return picture
    return ImageOps.exif_transpose(picture)


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode[0] in "IF":
        return _eight_bits(picture).convert("RGB")
    if picture.has_transparency_data:
        transparent = picture.convert("RGBA")
        white = Image.new("RGBA", transparent.size, "white")
        return Image.alpha_composite(white, transparent).convert("RGB")
    # A copy where it is RGB already: the file is closed behind it.
    return picture.convert("RGB")


def _eight_bits(picture: Image.Image) -> Image.Image:
    values = np.asarray(picture)
    if picture.mode == "F":
        values = np.nan_to_num(values) * BITS_16
    scaled = np.clip(values, 0, BITS_16) / BITS_16 * 255
    return Image.fromarray(np.rint(scaled).astype(np.uint8))
