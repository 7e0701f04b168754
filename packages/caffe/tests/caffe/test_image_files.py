"""Decoding and resizing images, against Pillow and values worked out by hand."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from caffe.errors import FormatError, ShapeError
from caffe.image_files import decode, encode, read_image, resize
from tests.caffe.image_case import image_bytes, random_image


def saved(image: Image.Image, kind: str = "png", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_channels_are_in_bgr_order():
    content = saved(Image.new("RGB", (2, 1), (10, 20, 30)))
    for color in (True, None):
        assert decode(content, "p", color=color).tolist() == [[[30, 20, 10]] * 2]


@pytest.mark.parametrize(
    ("mode", "kind", "color", "gray", "stored"),
    [
        ("L", "png", 3, 1, 1),
        ("RGB", "png", 3, 1, 3),
        ("RGBA", "png", 3, 1, 4),
        ("P", "png", 3, 1, 3),
        ("1", "png", 3, 1, 1),
        ("LA", "png", 3, 1, 4),
        ("I;16", "png", 3, 1, 1),
        ("CMYK", "jpeg", 3, 1, 3),
        ("L", "jpeg", 3, 1, 1),
    ],
)
def test_channels_of_every_mode(mode, kind, color, gray, stored):
    content = saved(Image.new(mode, (3, 2)), kind)
    for wanted, channels in ((True, color), (False, gray), (None, stored)):
        found = decode(content, "p", color=wanted)
        assert found.shape == (2, 3, channels)
        assert found.dtype == np.uint8


def test_gray_values_of_colours():
    red = Image.new("RGB", (1, 1), (255, 0, 0))
    assert decode(saved(red, "bmp"), "p", color=False).item() == 76  # 0.299 * 255 = 76.2
    assert decode(saved(red, "png"), "p", color=False).item() == 76
    blue = Image.new("RGB", (1, 1), (0, 0, 255))
    assert decode(saved(blue, "bmp"), "p", color=False).item() == 29  # 0.114 * 255 = 29.07


def test_sixteen_bits_are_reduced_to_the_upper_eight():
    deep = Image.fromarray(np.array([[0x1234, 0xFFFF]], np.uint16))
    assert decode(saved(deep), "p", color=False).ravel().tolist() == [0x12, 0xFF]


def test_exif_orientation_is_applied():
    exif = Image.Exif()
    exif[274] = 6
    content = saved(Image.new("RGB", (4, 2)), "jpeg", exif=exif)
    assert decode(content, "p", color=True).shape == (4, 2, 3)
    assert decode(content, "p", color=None).shape == (2, 4, 3)


@pytest.mark.parametrize("kind", ["png", "bmp", ".png"])
@pytest.mark.parametrize("channels", [1, 3])
def test_encoded_and_decoded(kind, channels):
    pixels = random_image(5, 4, channels)
    assert np.array_equal(decode(encode(pixels, kind), "p"), pixels)


def test_jpeg_round_trip_is_close():
    pixels = np.full((8, 8, 3), (200, 100, 50), np.uint8)
    assert np.abs(decode(encode(pixels, "jpg"), "p").astype(int) - pixels).max() <= 3


def test_an_unknown_encoding():
    with pytest.raises(FormatError, match="'nothing' is not a known image format"):
        encode(random_image(2, 2), "nothing")


def test_scaling_by_hand():
    line = np.array([[[0], [100]]], np.uint8)
    assert resize(line, 1, 4).ravel().tolist() == [0, 25, 75, 100]
    assert resize(np.array([[[1], [2]], [[4], [9]]], np.uint8), 1, 1).item() == 4  # mean of four
    assert np.array_equal(resize(random_image(3, 4), 3, 4), random_image(3, 4))


@settings(max_examples=60, deadline=None)
@given(*[st.integers(1, 30)] * 4, st.sampled_from([1, 3]))
def test_scaling_is_bilinear(h, w, height, width, channels):
    pixels = random_image(h, w, channels)
    scaled = resize(pixels, height, width)
    assert scaled.shape == (height, width, channels)
    rows = np.clip((np.arange(height) + 0.5) * h / height - 0.5, 0, h - 1)
    columns = np.clip((np.arange(width) + 0.5) * w / width - 0.5, 0, w - 1)
    for c in range(channels):
        across = np.stack([np.interp(columns, np.arange(w), line) for line in pixels[:, :, c]])
        exact = np.stack([np.interp(rows, np.arange(h), line) for line in across.T]).T
        assert np.abs(scaled[:, :, c] - exact).max() <= 1.5


@pytest.mark.parametrize("size", [(0, 3), (3, 0), (-1, 2)])
def test_impossible_sizes(size):
    with pytest.raises(ShapeError, match=r"an image of 2x2 cannot be resized to"):
        resize(random_image(2, 2), *size)


@pytest.mark.parametrize("content", [b"", b"not an image", image_bytes(random_image(50, 50))[:100]])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(FormatError, match=r"x\.png: .*decoded"):
        read_image(tmp_path / "x.png")


def test_too_many_pixels_are_refused():
    header = bytearray(saved(Image.new("1", (1, 1)), "bmp"))
    header[18:26] = np.array([2**20, 2**20], "<i4").tobytes()
    with pytest.raises(FormatError, match="p: .*too many"):
        decode(bytes(header), "p")


@settings(max_examples=settings.default.max_examples * 3 // 2)
@given(st.data())
def test_damaged_images_are_decoded_or_refused(data):
    kind = data.draw(st.sampled_from(["png", "jpeg", "bmp", "gif", "tiff", "webp"]))
    content = bytearray(image_bytes(random_image(8, 8), kind))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = decode(bytes(content), "p", color=True)
    except FormatError:
        return
    assert found.shape[2] == 3
