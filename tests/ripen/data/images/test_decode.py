"""Every kind of picture file becomes an upright RGB picture, or one clear line."""

import contextlib
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from ripen.core.errors import DataError
from ripen.data.images.decode import MAX_PIXELS, examine, read

Photo = Callable[..., Image.Image]
Encode = Callable[..., bytes]


def _pixels(picture: Image.Image) -> NDArray[np.uint8]:
    assert picture.mode == "RGB"
    return np.asarray(picture)


def test_a_png_comes_back_as_it_is(photo: Photo, encode: Encode) -> None:
    picture, facts = examine(encode(photo(1), "PNG"), "a.png")
    np.testing.assert_array_equal(_pixels(picture), np.asarray(photo(1)))
    assert (facts.width, facts.height, facts.mode, facts.format) == (160, 120, "RGB", "PNG")
    assert facts.notes == ()


def test_greyscale_has_three_equal_channels(photo: Photo, encode: Encode) -> None:
    grey = photo(1).convert("L")
    picture, facts = examine(encode(grey), "a.jpg")
    assert facts.notes == ("greyscale",)
    pixels = _pixels(picture)
    np.testing.assert_array_equal(pixels[..., 0], pixels[..., 2])
    np.testing.assert_allclose(pixels[..., 1], np.asarray(grey), atol=40)


def test_cmyk(encode: Encode) -> None:
    # Cyan 51 and black 0 leave red 204 and the others whole.
    ink = Image.new("CMYK", (32, 32), (51, 0, 0, 0))
    picture, facts = examine(encode(ink, quality=100), "a.jpg")
    assert (facts.mode, facts.notes) == ("CMYK", ("CMYK",))
    np.testing.assert_allclose(_pixels(picture)[16, 16], [204, 255, 255], atol=2)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_stands_on_white(mode: str, encode: Encode) -> None:
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[0, 0] = [80, 80, 80, 255]
    if mode == "P":
        # A palette with one transparent entry, whatever its colour.
        palette = Image.new("P", (4, 4), 1)
        palette.putpalette([80, 80, 80, 0, 0, 0])
        palette.putpixel((0, 0), 0)
        content = encode(palette, "PNG", transparency=1)
    else:
        content = encode(Image.fromarray(pixels).convert(mode), "PNG")
    picture, facts = examine(content, "a.png")
    assert "alpha" in facts.notes
    assert _pixels(picture)[0, 0].tolist() == [80, 80, 80]
    assert _pixels(picture)[1, 1].tolist() == [255, 255, 255]


def test_half_transparent_is_half_white(encode: Encode) -> None:
    picture = read(encode(Image.new("RGBA", (2, 2), (0, 100, 255, 128)), "PNG"), "a.png")
    # (255 - 128) / 255 of white, the rest of the colour.
    np.testing.assert_allclose(_pixels(picture)[0, 0], [127, 177, 255], atol=1)


def test_sixteen_bits_of_grey(encode: Encode) -> None:
    values = np.array([[0, 257, 65535, 32768]], np.uint16)
    picture, facts = examine(encode(Image.fromarray(values), "PNG"), "a.png")
    assert facts.notes == ("16-bit", "greyscale")
    # v / 257, rounded.
    assert _pixels(picture)[0, :, 0].tolist() == [0, 1, 255, 128]


def test_sixteen_bits_of_colour() -> None:
    picture, facts = examine(_png_of_16_bits(500, 65535, 32768), "a.png")
    assert facts.notes == ("16-bit",)
    np.testing.assert_allclose(_pixels(picture)[0, 0], [2, 255, 128], atol=1)


def _png_of_16_bits(*colour: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    row = b"\0" + struct.pack(">HHH", *colour)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(row)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def test_floats_count_from_0_to_1(encode: Encode) -> None:
    values = np.array([[0.0, 0.5, 1.0, 7.0, np.nan]], np.float32)
    picture = read(encode(Image.fromarray(values), "TIFF"), "a.tif")
    assert _pixels(picture)[0, :, 0].tolist() == [0, 128, 255, 255, 0]


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_an_animation_is_its_first_frame(format: str, encode: Encode) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    content = encode(
        frames[0], format, save_all=True, append_images=frames[1:], duration=9, lossless=True
    )
    picture, facts = examine(content, "a.gif")
    assert "animated" in facts.notes
    assert _pixels(picture)[4, 4].tolist() == [255, 0, 0]


@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_turns_it_upright(turn: int, photo: Photo, encode: Encode) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    exif = Image.Exif()
    exif[0x0112] = turn
    stored = photo(1).transpose(undo[turn]) if turn in undo else photo(1)
    picture, facts = examine(encode(stored, "PNG", exif=exif), "a.png")
    np.testing.assert_array_equal(_pixels(picture), np.asarray(photo(1)))
    assert (facts.width, facts.height) == (160, 120)
    assert facts.notes == (("rotated",) if turn > 1 else ())


# As the module has it in a run; here every warning is an error.
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_is_passed_over(photo: Photo, encode: Encode) -> None:
    content = encode(photo(1), exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")
    picture, facts = examine(content, "a.jpg")
    assert (picture.size, facts.notes) == ((160, 120), ())


def test_a_jpeg_is_decoded_as_small_as_is_enough(photo: Photo, encode: Encode) -> None:
    content = encode(photo(1, 1600, 1200))
    picture, facts = examine(content, "a.jpg", at_least=(190, 140))
    assert picture.size == (200, 150)
    assert (facts.width, facts.height) == (1600, 1200)
    whole = np.asarray(read(content, "a.jpg").resize((200, 150), Image.Resampling.BOX), np.int64)
    np.testing.assert_allclose(_pixels(picture), whole, atol=16)


def test_enough_for_a_turned_picture(photo: Photo, encode: Encode) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encode(photo(1, 1600, 400), exif=exif)
    picture = read(content, "a.jpg", at_least=(100, 400))
    assert picture.size[0] >= 100
    assert picture.size[1] >= 400


def test_half_a_jpeg(photo: Photo, encode: Encode) -> None:
    content = encode(photo(1))
    with pytest.raises(DataError, match=r"^cat\.jpg: cannot be read: image file is truncated"):
        read(content[: len(content) // 2], "cat.jpg")
    with pytest.raises(DataError, match="truncated"):
        read(content[: len(content) // 2], "cat.jpg", at_least=(16, 16))


def test_half_a_png(photo: Photo, encode: Encode) -> None:
    content = encode(photo(1), "PNG")
    with pytest.raises(DataError, match=r"^cat\.png: cannot be read: image file is truncated"):
        read(content[: len(content) // 2], "cat.png")


@pytest.mark.parametrize("content", [b"", b"a cat", b"\xff\xd8\xff", b"GIF89a"])
def test_no_picture(content: bytes) -> None:
    with pytest.raises(DataError, match=r"^cat\.jpg: (is no picture|cannot be read)"):
        read(content, "cat.jpg")


def test_too_many_pixels_are_refused_by_the_header(encode: Encode) -> None:
    for side in (50_000, 10_000):  # beyond Pillow's own limit, and within it
        content = bytearray(encode(Image.new("1", (8, 8)), "PNG"))
        content[16:24] = struct.pack(">II", side, side)
        content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
        with pytest.raises(DataError, match=rf"^a\.png: is too large: .* than {MAX_PIXELS:,} pix"):
            read(bytes(content), "a.png")


def test_a_path_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^a: cannot be read: No such file or directory$"):
        read(tmp_path / "a.jpg", "a")


@given(st.data())
def test_damage_is_one_error_or_a_picture(data: st.DataObject) -> None:
    format = data.draw(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"]))
    content = bytearray(_SMALL[format])
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(content[: data.draw(st.integers(0, len(content)))])
    with contextlib.suppress(DataError):  # and nothing else
        assert read(cut, "a").mode == "RGB"


def _small() -> dict[str, bytes]:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 11, 3), np.uint8)
    files = {}
    for format in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"):
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, format)
        files[format] = stream.getvalue()
    return files


_SMALL = _small()
