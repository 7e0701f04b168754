"""Duplicates among pictures that are known to be, or not to be."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ripen.data.images.duplicates import alike, find, groups, near_pairs
from ripen.data.images.files import File
from ripen.data.images.scan import look, scan

Photo = Callable[..., Image.Image]
Encode = Callable[..., bytes]


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
def test_changed_photographs_are_found(
    change: str, kaggle: dict[str, bytes], encode: Encode
) -> None:
    names = [f"train/{animal}.{i}.jpg" for animal in ("cat", "dog") for i in range(100)]
    modify, quality = CHANGES[change]
    looks = [look(name, kaggle[name], 20) for name in names]
    looks += [
        look(f"{name}'", encode(modify(_open(kaggle[name])), quality=quality), 20) for name in names
    ]
    found = find(looks)
    pairs = {(i, j) for i, j in found.near.tolist()}
    # All of them but one in a hundred, and no other.
    assert pairs <= {(i, i + 200) for i in range(200)}
    assert len(pairs) >= 198


def test_the_photographs_of_the_mirror(kaggle: dict[str, bytes]) -> None:
    files = [File(name, lambda name=name: kaggle[name]) for name in kaggle]
    looks = list(scan(files, 20, 2))
    assert [found.problem for found in looks if found.problem] == []
    found = find(looks)
    # Looked at by eye: this pair is one photograph; the next candidates show other animals.
    assert [(looks[i].name, looks[j].name) for i, j in found.near] == [
        ("train/dog.752.jpg", "train/dog.1771.jpg")
    ]
    assert len(found.exact) == 0
    assert len(found.mirrored) == 0


def test_the_same_file_and_the_near_one_make_a_group(photo: Photo, encode: Encode) -> None:
    first, other = encode(photo(1)), encode(photo(2))
    files = [other, first, encode(photo(1), quality=40), other, first, encode(photo(3))]
    found = find([look(str(i), content, 20) for i, content in enumerate(files)])
    assert found.exact.tolist() == [[0, 3], [1, 4]]
    assert found.near.tolist() == [[1, 2]]
    assert found.group.tolist() == [0, 1, 1, 0, 1, 5]


def test_mirror_images_are_reported_and_not_grouped(photo: Photo, encode: Encode) -> None:
    mirrored = photo(1).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    files = [encode(photo(2)), encode(photo(1)), encode(mirrored, quality=60)]
    found = find([look(str(i), content, 20) for i, content in enumerate(files)])
    assert found.mirrored.tolist() == [[1, 2]]
    assert len(found.near) == 0
    assert found.group.tolist() == [0, 1, 2]


def test_plain_pictures_are_the_same_only_in_the_same_grey(encode: Encode) -> None:
    greys = [0, 1, 128, 255, 254]
    looks = [
        look(str(i), encode(Image.new("L", (64, 64), grey)), 20) for i, grey in enumerate(greys)
    ]
    assert find(looks).near.tolist() == [[0, 1], [3, 4]]


def test_unreadable_files_are_compared_byte_by_byte_only() -> None:
    looks = [look(str(i), content, 20) for i, content in enumerate([b"a", b"b", b"a"])]
    found = find(looks)
    assert found.exact.tolist() == [[0, 2]]
    assert found.near.tolist() == []
    assert found.group.tolist() == [0, 1, 0]


def test_no_picture_at_all() -> None:
    found = find([])
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
    close = [h ^ (2**k - 1) for k, h in enumerate(hashes)]  # some that are near
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


def test_looks_of_many_blocks(
    monkeypatch: pytest.MonkeyPatch, photo: Photo, encode: Encode
) -> None:
    files = [encode(photo(i % 12), quality=90 - i // 12) for i in range(36)]
    looks = [look(str(i), content, 20) for i, content in enumerate(files)]
    whole = find(looks)
    monkeypatch.setattr("ripen.data.images.duplicates._CELLS", 40)
    monkeypatch.setattr("ripen.data.images.duplicates._PAIRS", 3)
    parts = find(looks)
    np.testing.assert_array_equal(parts.near, whole.near)
    assert whole.group.tolist() == [i % 12 for i in range(36)]
