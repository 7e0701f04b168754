"""What scanning finds at a picture."""

import hashlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ripen.core.errors import DataError
from ripen.data.images.ahead import AHEAD
from ripen.data.images.duplicates import find
from ripen.data.images.files import File
from ripen.data.images.scan import dhash, look, scan

Photo = Callable[..., Image.Image]
Encode = Callable[..., bytes]
DAMAGE = "train.zip: member 'train/cat.1.jpg' is damaged: Bad CRC-32"


def test_a_good_picture(photo: Photo, encode: Encode) -> None:
    content = encode(photo(1, 320, 200))
    found = look("train/cat.0.jpg", content, 20)
    assert (found.name, found.problem, found.bytes) == ("train/cat.0.jpg", "", len(content))
    assert (found.facts.width, found.facts.height, found.facts.format) == (320, 200, "JPEG")
    assert found.sha256 == hashlib.sha256(content).hexdigest()
    grey = np.asarray(photo(1, 320, 200).convert("L"), np.float64)
    assert found.brightness == pytest.approx(grey.mean(), abs=1.5)
    # Fields of 20 x 12.5 pixels; the thumbnail weighs in their neighbours.
    fields = np.asarray(photo(1, 320, 200).convert("L").resize((16, 16), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(found.thumbnail.astype(float), fields, atol=6)


def test_dhash_by_hand() -> None:
    fields = np.zeros((8, 9), np.uint8)
    fields[0, 1:] = 5  # one step up between the first two of row 0
    fields[7] = [9, 9, 9, 9, 9, 9, 9, 3, 4]  # and one at the end of row 7
    assert dhash(fields) == (1 << 63) | 1


@given(st.binary(min_size=72, max_size=72))
def test_dhash_of_the_mirror_image_turns_each_row(content: bytes) -> None:
    fields = np.frombuffer(content, np.uint8).reshape(8, 9)
    bits = np.array([int(bit) for bit in f"{dhash(fields[:, ::-1]):064b}"]).reshape(8, 8)
    np.testing.assert_array_equal(bits, (fields[:, :-1] > fields[:, 1:])[:, ::-1])


def test_the_mirrored_hash_is_that_of_the_mirror_image(photo: Photo, encode: Encode) -> None:
    mirrored = photo(3).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    found = look("a", encode(photo(3), "PNG"), 1)
    assert found.mirrored_dhash == look("b", encode(mirrored, "PNG"), 1).dhash
    assert found.mirrored_dhash != found.dhash


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"a cat", "is no picture that Pillow knows"),
        (b"\xff\xd8\xff\xe0", "is no picture that Pillow knows"),
    ],
)
def test_no_picture(content: bytes, problem: str) -> None:
    found = look("train/dog.1.jpg", content, 20)
    assert (found.problem, found.facts.width, found.bytes) == (problem, 0, len(content))


def test_a_file_that_the_archive_does_not_give(photo: Photo, encode: Encode) -> None:
    def damaged() -> bytes:
        raise DataError(DAMAGE)

    content = encode(photo(1))
    files = [File("a.jpg", lambda: content), File("b.jpg", damaged), File("c.jpg", damaged)]
    found = list(scan(files, 20, 2))
    assert [each.problem for each in found] == ["", DAMAGE, DAMAGE]
    assert [each.sha256 for each in found[1:]] == ["", ""]
    assert find(found).group.tolist() == [0, 1, 2]


def test_half_a_picture(photo: Photo, encode: Encode) -> None:
    content = encode(photo(1))
    found = look("train/dog.1.jpg", content[: len(content) // 2], 20)
    assert found.problem.startswith("cannot be read: image file is truncated")


def test_too_small(photo: Photo, encode: Encode) -> None:
    found = look("a.jpg", encode(photo(1, 100, 19)), 20)
    assert found.problem == "is too small: 100x19, at least 20 is needed"
    assert look("a.jpg", encode(photo(1, 100, 20)), 20).problem == ""


def test_the_number_of_threads_changes_nothing(
    photo: Photo, encode: Encode, files_of: Callable[[dict[str, bytes]], list[File]]
) -> None:
    files = {f"{i}.jpg": encode(photo(i)) if i % 9 else b"no picture" for i in range(40)}
    alone, together = (list(scan(files_of(files), 20, threads)) for threads in (1, 3))
    assert [found.name for found in alone] == list(files)
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a.thumbnail, b.thumbnail)
        for field in ("name", "facts", "sha256", "dhash", "mirrored_dhash", "problem"):
            assert getattr(a, field) == getattr(b, field)


def test_files_are_read_as_they_are_needed(photo: Photo, encode: Encode) -> None:
    content, read = encode(photo(1)), []

    def file(i: int) -> File:
        return File(str(i), lambda: read.append(i) or content)

    found = scan((file(i) for i in range(200)), 20, 2)
    next(found)
    assert len(read) <= 2 * AHEAD + 1
