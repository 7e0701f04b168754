"""Scans of single images, and near-duplicates among images known to be, or not to be."""

import hashlib
import io
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ripen.core.errors import DataError
from ripen.data.decode import AHEAD, File
from ripen.data.scan import alike, dhash, find_duplicates, groups, near_pairs, scan, scan_image

MakeImage = Callable[..., Image.Image]
Encode = Callable[..., bytes]
DAMAGE = "train.zip: member 'train/cat.1.jpg' is damaged: Bad CRC-32"


def test_a_good_image(make_image: MakeImage, encode: Encode) -> None:
    content = encode(make_image(1, 320, 200))
    found = scan_image("train/cat.0.jpg", content, 20)
    assert (found.name, found.problem, found.bytes) == ("train/cat.0.jpg", "", len(content))
    assert (found.facts.width, found.facts.height, found.facts.format) == (320, 200, "JPEG")
    assert found.sha256 == hashlib.sha256(content).hexdigest()
    grey = np.asarray(make_image(1, 320, 200).convert("L"), np.float64)
    assert found.brightness == pytest.approx(grey.mean(), abs=1.5)
    # Each thumbnail pixel covers 20 x 12.5 pixels and part of their neighbours.
    fields = np.asarray(
        make_image(1, 320, 200).convert("L").resize((16, 16), Image.Resampling.BILINEAR)
    )
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


def test_the_mirrored_hash_is_that_of_the_mirror_image(
    make_image: MakeImage, encode: Encode
) -> None:
    mirrored = make_image(3).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    found = scan_image("a", encode(make_image(3), "PNG"), 1)
    assert found.mirrored_dhash == scan_image("b", encode(mirrored, "PNG"), 1).dhash
    assert found.mirrored_dhash != found.dhash


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"a cat", "is not an image that Pillow can read"),
        (b"\xff\xd8\xff\xe0", "is not an image that Pillow can read"),
    ],
)
def test_other_files_have_a_problem(content: bytes, problem: str) -> None:
    found = scan_image("train/dog.1.jpg", content, 20)
    assert (found.problem, found.facts.width, found.bytes) == (problem, 0, len(content))


def test_a_damaged_member_has_a_problem_and_no_hash(make_image: MakeImage, encode: Encode) -> None:
    def damaged() -> bytes:
        raise DataError(DAMAGE)

    content = encode(make_image(1))
    files = [File("a.jpg", lambda: content), File("b.jpg", damaged), File("c.jpg", damaged)]
    found = list(scan(files, 20, 2))
    assert [each.problem for each in found] == ["", DAMAGE, DAMAGE]
    assert [each.sha256 for each in found[1:]] == ["", ""]
    assert find_duplicates(found).group.tolist() == [0, 1, 2]


def test_a_truncated_image_has_a_problem(make_image: MakeImage, encode: Encode) -> None:
    content = encode(make_image(1))
    found = scan_image("train/dog.1.jpg", content[: len(content) // 2], 20)
    assert found.problem.startswith("cannot be read: image file is truncated")


def test_a_small_image_has_a_problem(make_image: MakeImage, encode: Encode) -> None:
    found = scan_image("a.jpg", encode(make_image(1, 100, 19)), 20)
    assert found.problem == "is too small: 100x19, at least 20 is needed"
    assert scan_image("a.jpg", encode(make_image(1, 100, 20)), 20).problem == ""


def test_the_result_does_not_depend_on_threads(
    make_image: MakeImage, encode: Encode, make_files: Callable[[dict[str, bytes]], list[File]]
) -> None:
    files = {f"{i}.jpg": encode(make_image(i)) if i % 9 else b"no image" for i in range(40)}
    alone, together = (list(scan(make_files(files), 20, threads)) for threads in (1, 3))
    assert [found.name for found in alone] == list(files)
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a.thumbnail, b.thumbnail)
        for field in ("name", "facts", "sha256", "dhash", "mirrored_dhash", "problem"):
            assert getattr(a, field) == getattr(b, field)


def test_files_are_read_on_demand(make_image: MakeImage, encode: Encode) -> None:
    content, read = encode(make_image(1)), []

    def file(i: int) -> File:
        return File(str(i), lambda: read.append(i) or content)

    found = scan((file(i) for i in range(200)), 20, 2)
    next(found)
    assert len(read) <= 2 * AHEAD + 1


def _open(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


CHANGES: dict[str, tuple[Callable[[Image.Image], Image.Image], int]] = {
    "compressed": (lambda p: p, 20),
    "halved": (lambda p: p.resize((p.width // 2, p.height // 2)), 85),
    "doubled": (lambda p: p.resize((p.width * 2, p.height * 2)), 85),
    "another shape": (lambda p: p.resize((p.width, p.height * 3 // 4)), 85),
    "cut by 1% at each edge": (lambda p: p.crop((2, 2, p.width - 2, p.height - 2)), 85),
    "brighter": (lambda p: p.point(lambda v: min(255, int(v * 1.1))), 85),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_are_near_duplicates(
    change: str, kaggle: dict[str, bytes], encode: Encode
) -> None:
    names = [f"train/{animal}.{i}.jpg" for animal in ("cat", "dog") for i in range(100)]
    modify, quality = CHANGES[change]
    scans = [scan_image(name, kaggle[name], 20) for name in names]
    scans += [
        scan_image(f"{name}'", encode(modify(_open(kaggle[name])), quality=quality), 20)
        for name in names
    ]
    found = find_duplicates(scans)
    pairs = {(i, j) for i, j in found.near.tolist()}
    # At least 99 of 100, and no false pair.
    assert pairs <= {(i, i + 200) for i in range(200)}
    assert len(pairs) >= 198


@pytest.mark.slow
def test_the_images_of_the_mirror(kaggle: dict[str, bytes]) -> None:
    files = [File(name, lambda name=name: kaggle[name]) for name in kaggle]
    scans = list(scan(files, 20, 2))
    assert [found.problem for found in scans if found.problem] == []
    found = find_duplicates(scans)
    # Checked by eye: this pair shows one animal; the next candidates show different ones.
    assert [(scans[i].name, scans[j].name) for i, j in found.near] == [
        ("train/dog.752.jpg", "train/dog.1771.jpg")
    ]
    assert len(found.exact) == 0
    assert len(found.mirrored) == 0


def test_equal_files_and_near_duplicates_form_a_group(
    make_image: MakeImage, encode: Encode
) -> None:
    first, other = encode(make_image(1)), encode(make_image(2))
    files = [other, first, encode(make_image(1), quality=40), other, first, encode(make_image(3))]
    found = find_duplicates([scan_image(str(i), content, 20) for i, content in enumerate(files)])
    assert found.exact.tolist() == [[0, 3], [1, 4]]
    assert found.near.tolist() == [[1, 2]]
    assert found.group.tolist() == [0, 1, 1, 0, 1, 5]


def test_mirror_images_are_reported_and_not_grouped(make_image: MakeImage, encode: Encode) -> None:
    mirrored = make_image(1).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    files = [encode(make_image(2)), encode(make_image(1)), encode(mirrored, quality=60)]
    found = find_duplicates([scan_image(str(i), content, 20) for i, content in enumerate(files)])
    assert found.mirrored.tolist() == [[1, 2]]
    assert len(found.near) == 0
    assert found.group.tolist() == [0, 1, 2]


def test_plain_images_match_only_in_the_same_grey(encode: Encode) -> None:
    greys = [0, 1, 128, 255, 254]
    scans = [
        scan_image(str(i), encode(Image.new("L", (64, 64), grey)), 20)
        for i, grey in enumerate(greys)
    ]
    assert find_duplicates(scans).near.tolist() == [[0, 1], [3, 4]]


def test_unreadable_files_are_compared_byte_by_byte_only() -> None:
    scans = [scan_image(str(i), content, 20) for i, content in enumerate([b"a", b"b", b"a"])]
    found = find_duplicates(scans)
    assert found.exact.tolist() == [[0, 2]]
    assert found.near.tolist() == []
    assert found.group.tolist() == [0, 1, 0]


def test_no_images() -> None:
    found = find_duplicates([])
    assert (found.group.tolist(), found.near.tolist()) == ([], [])


def test_alike_is_the_correlation() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 256, (200, 16, 16), np.uint8)
    noise = rng.normal(0, 1, a.shape) * np.linspace(0, 60, 200)[:, None, None]
    b = np.clip(a + noise, 0, 255).astype(np.uint8)
    expected = [np.corrcoef(x.ravel(), y.ravel())[0, 1] >= 0.95 for x, y in zip(a, b, strict=True)]
    assert 20 < sum(expected) < 180
    np.testing.assert_array_equal(alike(a, b), expected)


@given(st.lists(st.integers(0, 2**64 - 1), max_size=40), st.integers(0, 12))
def test_every_pair_within_the_bits_is_found(hashes: list[int], max_bits: int) -> None:
    close = [h ^ (2**k - 1) for k, h in enumerate(hashes)]  # some near ones
    both = np.array(hashes + close, np.uint64)
    thumbnails = np.zeros((len(both), 2, 2), np.uint8)
    expected = [
        [i, j]
        for i in range(len(both))
        for j in range(i + 1, len(both))
        if (int(both[i]) ^ int(both[j])).bit_count() <= max_bits
    ]
    assert near_pairs(both, both, thumbnails, thumbnails, max_bits).tolist() == expected


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=30))
def test_groups_are_connected(edges: list[tuple[int, int]]) -> None:
    expected = list(range(20))
    for _ in range(20):
        for a, b in edges:
            expected[a] = expected[b] = min(expected[a], expected[b])
    assert groups(20, np.array(edges, np.int64).reshape(-1, 2)).tolist() == expected


def test_blocks_give_the_same_pairs(
    monkeypatch: pytest.MonkeyPatch, make_image: MakeImage, encode: Encode
) -> None:
    files = [encode(make_image(i % 12), quality=90 - i // 12) for i in range(36)]
    scans = [scan_image(str(i), content, 20) for i, content in enumerate(files)]
    whole = find_duplicates(scans)
    monkeypatch.setattr("ripen.data.scan._CELLS", 40)
    monkeypatch.setattr("ripen.data.scan._PAIRS", 3)
    parts = find_duplicates(scans)
    np.testing.assert_array_equal(parts.near, whole.near)
    assert whole.group.tolist() == [i % 12 for i in range(36)]


def test_one_picture_in_place_of_many_is_no_group(encode: Encode) -> None:
    files = []
    for k in range(30):  # 24 copies of one file, and 3 pairs of copies
        rng = np.random.default_rng(0 if k < 24 else k // 2)
        pixels = rng.integers(0, 256, (6, 8)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
        files.append(encode(Image.fromarray(pixels), "PNG"))
    found = find_duplicates([scan_image(str(k), each, 20) for k, each in enumerate(files)])
    assert len(found.exact) == 23 + 3
    assert found.group.tolist() == [*range(24), 24, 24, 26, 26, 28, 28]


def test_images_that_all_resemble_each_other_are_no_group(encode: Encode) -> None:
    files = []
    for k in range(30):  # 24 silhouettes of one shape, and 3 pairs of copies
        pixels = np.zeros((48, 64), np.uint8)
        if k < 24:
            pixels[12:36, 12:50] = 255 - k
        else:
            pixels[:] = (
                np.random.default_rng(k // 2).integers(0, 256, (6, 8)).repeat(8, 0).repeat(8, 1)
            )
        files.append(encode(Image.fromarray(pixels).resize((64 + k % 2 * 8, 48)), "PNG"))
    found = find_duplicates([scan_image(str(k), each, 20) for k, each in enumerate(files)])
    assert len(found.near) > 24
    assert found.group.tolist() == [*range(24), 24, 24, 26, 26, 28, 28]
