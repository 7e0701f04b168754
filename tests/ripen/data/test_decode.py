"""Every kind of image file becomes an upright RGB image, or an error of one line."""

import contextlib
import io
import struct
import subprocess
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from caffe import image_files
from ripen.core.errors import DataError
from ripen.data import decode as decoding
from ripen.data.decode import AHEAD, MAX_PIXELS, decode, examine, files_of, in_order, open_archives
from ripen.data.image_index import build, survey
from ripen.data.labels import LABELS, Known, Labels
from tests.ripen.images import zipped

ROOT = Path(__file__).parents[3]
MakeImage = Callable[..., Image.Image]
Encode = Callable[..., bytes]


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    assert image.mode == "RGB"
    return np.asarray(image)


def test_a_png_is_unchanged(make_image: MakeImage, encode: Encode) -> None:
    image, facts = examine(encode(make_image(1), "PNG"), "a.png")
    np.testing.assert_array_equal(_pixels(image), np.asarray(make_image(1)))
    assert (facts.width, facts.height, facts.mode, facts.format) == (160, 120, "RGB", "PNG")
    assert facts.notes == ()


def test_greyscale_has_three_equal_channels(make_image: MakeImage, encode: Encode) -> None:
    grey = make_image(1).convert("L")
    image, facts = examine(encode(grey), "a.jpg")
    assert facts.notes == ("greyscale",)
    pixels = _pixels(image)
    np.testing.assert_array_equal(pixels[..., 0], pixels[..., 2])
    np.testing.assert_allclose(pixels[..., 1], np.asarray(grey), atol=40)


def test_cmyk(encode: Encode) -> None:
    # Cyan 51 and black 0 leave red 204 and the others whole.
    ink = Image.new("CMYK", (32, 32), (51, 0, 0, 0))
    image, facts = examine(encode(ink, quality=100), "a.jpg")
    assert (facts.mode, facts.notes) == ("CMYK", ("CMYK",))
    np.testing.assert_allclose(_pixels(image)[16, 16], [204, 255, 255], atol=2)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_pixels_are_white(mode: str, encode: Encode) -> None:
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
    image, facts = examine(content, "a.png")
    assert "alpha" in facts.notes
    assert _pixels(image)[0, 0].tolist() == [80, 80, 80]
    assert _pixels(image)[1, 1].tolist() == [255, 255, 255]


def test_half_transparent_pixels_are_half_white(encode: Encode) -> None:
    image = decode(encode(Image.new("RGBA", (2, 2), (0, 100, 255, 128)), "PNG"), "a.png")
    # (255 - 128) / 255 of white, the rest of the colour.
    np.testing.assert_allclose(_pixels(image)[0, 0], [127, 177, 255], atol=1)


def test_16_bit_grey_is_rounded_to_8_bits(encode: Encode) -> None:
    values = np.array([[0, 257, 65535, 32768]], np.uint16)
    image, facts = examine(encode(Image.fromarray(values), "PNG"), "a.png")
    assert facts.notes == ("16-bit", "greyscale")
    # v / 257, rounded.
    assert _pixels(image)[0, :, 0].tolist() == [0, 1, 255, 128]


def test_16_bit_colour_is_rounded_to_8_bits() -> None:
    image, facts = examine(_png_of_16_bits(500, 65535, 32768), "a.png")
    assert facts.notes == ("16-bit",)
    np.testing.assert_allclose(_pixels(image)[0, 0], [2, 255, 128], atol=1)


def _png_of_16_bits(*colour: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    row = b"\0" + struct.pack(">HHH", *colour)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(row)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def test_floats_range_from_0_to_1(encode: Encode) -> None:
    values = np.array([[0.0, 0.5, 1.0, 7.0, np.nan]], np.float32)
    image = decode(encode(Image.fromarray(values), "TIFF"), "a.tif")
    assert _pixels(image)[0, :, 0].tolist() == [0, 128, 255, 255, 0]


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_an_animation_is_its_first_frame(format: str, encode: Encode) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    content = encode(
        frames[0], format, save_all=True, append_images=frames[1:], duration=9, lossless=True
    )
    image, facts = examine(content, "a.gif")
    assert "animated" in facts.notes
    assert _pixels(image)[4, 4].tolist() == [255, 0, 0]


@pytest.mark.parametrize("turn", range(1, 9))
def test_the_exif_orientation_is_applied(turn: int, make_image: MakeImage, encode: Encode) -> None:
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
    stored = make_image(1).transpose(undo[turn]) if turn in undo else make_image(1)
    image, facts = examine(encode(stored, "PNG", exif=exif), "a.png")
    np.testing.assert_array_equal(_pixels(image), np.asarray(make_image(1)))
    assert (facts.width, facts.height) == (160, 120)
    assert facts.notes == (("rotated",) if turn > 1 else ())


# The module ignores the warning in a run; pytest turns every warning into an error.
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_is_ignored(make_image: MakeImage, encode: Encode) -> None:
    content = encode(make_image(1), exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")
    image, facts = examine(content, "a.jpg")
    assert (image.size, facts.notes) == ((160, 120), ())


def test_a_jpeg_is_decoded_at_the_smallest_sufficient_scale(
    make_image: MakeImage, encode: Encode
) -> None:
    content = encode(make_image(1, 1600, 1200))
    image, facts = examine(content, "a.jpg", at_least=(190, 140))
    assert image.size == (200, 150)
    assert (facts.width, facts.height) == (1600, 1200)
    whole = np.asarray(decode(content, "a.jpg").resize((200, 150), Image.Resampling.BOX), np.int64)
    np.testing.assert_allclose(_pixels(image), whole, atol=16)


def test_the_scale_suffices_for_a_rotated_image(make_image: MakeImage, encode: Encode) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encode(make_image(1, 1600, 400), exif=exif)
    image = decode(content, "a.jpg", at_least=(100, 400))
    assert image.size[0] >= 100
    assert image.size[1] >= 400


def test_a_truncated_jpeg_is_reported_with_its_name(make_image: MakeImage, encode: Encode) -> None:
    content = encode(make_image(1))
    with pytest.raises(DataError, match=r"^cat\.jpg: cannot be read: image file is truncated"):
        decode(content[: len(content) // 2], "cat.jpg")
    with pytest.raises(DataError, match="truncated"):
        decode(content[: len(content) // 2], "cat.jpg", at_least=(16, 16))


def test_a_truncated_png_is_reported_with_its_name(make_image: MakeImage, encode: Encode) -> None:
    content = encode(make_image(1), "PNG")
    with pytest.raises(DataError, match=r"^cat\.png: cannot be read: image file is truncated"):
        decode(content[: len(content) // 2], "cat.png")


@pytest.mark.parametrize("content", [b"", b"a cat", b"\xff\xd8\xff", b"GIF89a"])
def test_other_files_are_not_images(content: bytes) -> None:
    with pytest.raises(DataError, match=r"^cat\.jpg: (is not an image|cannot be read)"):
        decode(content, "cat.jpg")


def test_too_many_pixels_are_refused_before_decoding(
    encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    for side in (50_000, 10_000):  # beyond Pillow's own limit, and within it
        content = bytearray(encode(Image.new("1", (8, 8)), "PNG"))
        content[16:24] = struct.pack(">II", side, side)
        content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
        with pytest.raises(
            DataError, match=rf"^a\.png: is too large: .* than 67,108,864 pix.* {MAX_PIXELS}$"
        ):
            decode(bytes(content), "a.png")
    content = encode(Image.new("RGB", (8, 8)), "PNG")
    monkeypatch.setenv(MAX_PIXELS, "63")
    with pytest.raises(DataError, match="is too large: 8x8 has more than 63 pixels"):
        decode(content, "a.png")
    monkeypatch.setenv(MAX_PIXELS, "64")
    assert decode(content, "a.png").size == (8, 8)
    monkeypatch.setenv(MAX_PIXELS, "9" * 5000)
    with pytest.raises(DataError, match=rf"variable {MAX_PIXELS} is '9+…9+', not a number$"):
        decode(content, "a.png")


def test_the_formats_and_the_limit_are_caffes() -> None:
    assert decoding.FORMATS == image_files.FORMATS
    assert decoding.pixel_limit() == image_files.pixel_limit()
    assert decoding.MAX_PIXELS == image_files.MAX_PIXELS


def test_no_reader_starts_another_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow would let Ghostscript draw an EPS, whatever the file's name says."""
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a program is started"))
    monkeypatch.setenv("PATH", str(tmp_path))
    content = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n"
    assert Image.open(io.BytesIO(content)).format == "EPS"
    with pytest.raises(DataError, match="^cat.0.jpg: is not an image that Pillow can read$"):
        decode(content, "cat.0.jpg")
    for file in (ROOT / "src").rglob("*.py"):
        opened = "Image.open(" in file.read_text(encoding="utf-8")
        assert not opened or file.name == "decode.py", f"{file}: use decode.open_image"


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^a: cannot be read: No such file or directory$"):
        decode(tmp_path / "a.jpg", "a")


@given(st.data())
def test_damage_gives_an_image_or_a_data_error(data: st.DataObject) -> None:
    format = data.draw(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"]))
    content = bytearray(_SMALL[format])
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(content[: data.draw(st.integers(0, len(content)))])
    with contextlib.suppress(DataError):  # and no other error
        assert decode(cut, "a").mode == "RGB"


def _small() -> dict[str, bytes]:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 11, 3), np.uint8)
    files = {}
    for format in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"):
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, format)
        files[format] = stream.getvalue()
    return files


_SMALL = _small()


def by_name(names: Sequence[str]) -> Labels:
    return LABELS["name"](names, Known(classes=["cat", "dog"]))


@pytest.fixture
def files(make_image: MakeImage, encode: Encode) -> dict[str, bytes]:
    names = ["train/cat.0.jpg", "train/dog.0.jpg", "train/cat.1.jpg", "test1/10.jpg", "test1/2.jpg"]
    return {name: encode(make_image(i)) for i, name in enumerate(names)}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("threads", [1, 2])
def test_images_of_nested_archives(
    files: dict[str, bytes], tmp_path: Path, method: int, threads: int
) -> None:
    train = {name: content for name, content in files.items() if name.startswith("train")}
    test = {name: content for name, content in files.items() if name.startswith("test")}
    outer = {
        "train.zip": zipped(train),
        "test1.zip": zipped(test),
        "sampleSubmission.csv": b"id,label",
    }
    (tmp_path / "dogs-vs-cats.zip").write_bytes(zipped(outer, method))
    with open_archives(tmp_path) as archives:
        assert list(archives) == [
            "dogs-vs-cats.zip",
            "dogs-vs-cats.zip/test1.zip",
            "dogs-vs-cats.zip/train.zip",
        ]
        index, _ = build(survey(archives, by_name, 20, threads))
        assert index["id"].tolist() == ["cat.0", "cat.1", "dog.0", "2", "10"]
        assert index["problem"].tolist() == [""] * 5
        for row in index.itertuples():
            assert archives[str(row.archive)].read(str(row.name)) == files[str(row.name)]


def test_a_damaged_member_is_an_image_with_a_problem(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    content = bytearray(zipped(files))
    content[content.index(files["train/dog.0.jpg"]) + 99] ^= 255
    (tmp_path / "all.zip").write_bytes(content)
    with open_archives(tmp_path) as archives:
        assert [file.name for file in files_of(archives["all.zip"])] == list(files)
        index, _ = build(survey(archives, by_name, 20, 2))
    (bad,) = index[index["problem"] != ""].itertuples()
    assert bad.name == "train/dog.0.jpg"
    assert "'train/dog.0.jpg' is damaged" in str(bad.problem)


def test_an_unknown_class_in_an_archive(files: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "all.zip").write_bytes(zipped(files | {"train/bird.0.jpg": b""}))
    with (
        open_archives(tmp_path) as archives,
        pytest.raises(DataError, match=r"^train/bird\.0\.jpg: unknown class 'bird'"),
    ):
        build(survey(archives, by_name, 20, 1))


def test_a_folder_without_archives(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no archive, \*\.zip$"), open_archives(tmp_path):
        pass


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_are_in_order(threads: int) -> None:
    def slow_first(i: int) -> int:
        time.sleep(0.01 if i % 7 == 0 else 0)
        return i * i

    assert list(in_order(slow_first, range(50), threads)) == [i * i for i in range(50)]


@pytest.mark.parametrize("threads", [1, 3])
def test_read_ahead_is_bounded(threads: int) -> None:
    items = iter(range(1000))
    results = in_order(lambda i: i, items, threads)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert next(items) <= 5 + AHEAD * threads


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_is_raised_at_its_item(threads: int) -> None:
    results = in_order(lambda i: 10 // (3 - i), range(100), threads)
    assert [next(results) for _ in range(3)] == [3, 5, 10]
    with pytest.raises(ZeroDivisionError, match="division"):
        next(results)


def test_no_thread_is_left_when_the_caller_stops() -> None:
    before = threading.active_count()  # a library may have threads of its own
    results = in_order(lambda i: i, range(1000), 2)
    next(results)
    results.close()
    assert threading.active_count() == before
