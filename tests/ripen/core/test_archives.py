import io
import os
import stat
import struct
import subprocess
import sys
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ripen.core.archives import Archive, Limits, Member
from ripen.core.errors import DataError

growth: Any = import_module("tests.caffe.growth")  # of the other distribution
IMAGES = {f"train/{kind}.{i}.jpg": os.urandom(500 + i) for kind in ("cat", "dog") for i in (0, 1)}
TESTS = {f"test1/{i}.jpg": os.urandom(300) for i in (1, 2, 10)}
SAMPLE = b"id,label\n1,0\n2,0\n10,0\n"
Bytes = dict[str, bytes]


def packed(files: Bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for folder in sorted({name.partition("/")[0] + "/" for name in files if "/" in name}):
            archive.writestr(folder, b"")
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    return path


def crafted(tmp_path: Path, name: str, content: bytes = b"x", **attributes: int) -> Path:
    """Write a zip of one member, whose name and attributes `zipfile` does not sanitise."""
    info = zipfile.ZipInfo("placeholder")
    info.filename = name
    for attribute, value in attributes.items():
        setattr(info, attribute, value)
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, content)
    return path


def test_members_are_in_the_archives_order_without_folders(tmp_path: Path) -> None:
    with Archive(written(tmp_path, packed(IMAGES))) as archive:
        assert archive.members == [Member(name, len(data)) for name, data in IMAGES.items()]
        assert {name: archive.read(name) for name in IMAGES} == IMAGES
        assert "train/cat.0.jpg" in archive
        assert "train/" not in archive


@pytest.mark.parametrize("outer", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    ("test_name", "sample_name"),
    [("test1.zip", "sampleSubmission.csv"), ("test.zip", "sample_submission.csv")],
)
def test_nested_archives_in_kaggles_form(
    tmp_path: Path, outer: int, test_name: str, sample_name: str
) -> None:
    files = {sample_name: SAMPLE, test_name: packed(TESTS), "train.zip": packed(IMAGES)}
    path = written(tmp_path, packed(files, outer))
    before = set(tmp_path.iterdir())
    with Archive(path) as archive:
        assert archive.read(sample_name) == SAMPLE
        with archive.inner(test_name, tmp_path) as tests, archive.inner("train.zip") as train:
            for name in IMAGES | TESTS:
                inner, known = (train, IMAGES) if name in IMAGES else (tests, TESTS)
                assert inner.read(name) == known[name]
        assert archive.read(sample_name) == SAMPLE
    assert set(tmp_path.iterdir()) == before


def test_kaggles_archive_of_the_mirror(mirror: Path) -> None:
    with Archive(mirror.parent / "kaggle/dogs-vs-cats/dogs-vs-cats.zip") as archive:
        with archive.inner("train.zip") as train:
            assert len(train.members) == 4000
            assert all(train.read(m.name)[:2] == b"\xff\xd8" for m in train.members[:50])
        with archive.inner("test1.zip") as test:
            assert len(test.members) == 1000
        assert archive.read("sampleSubmission.csv").splitlines()[0] == b"id,label"


def test_memory_does_not_grow_with_the_number_of_members(tmp_path: Path) -> None:
    """One image at a time is in memory, read through a window into the outer archive."""
    image = os.urandom(100_000)
    peaks = []
    for count in (20, 200):
        inner = packed({f"train/cat.{i}.jpg": image for i in range(count)})
        path = written(tmp_path, packed({"train.zip": inner}, zipfile.ZIP_STORED))
        del inner
        tracemalloc.start()
        with Archive(path) as archive, archive.inner("train.zip") as train:
            assert sum(len(train.read(member.name)) for member in train.members) == 100_000 * count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 500_000


def test_extract_writes_one_member(tmp_path: Path) -> None:
    with Archive(written(tmp_path, packed(IMAGES))) as archive:
        archive.extract("train/cat.0.jpg", tmp_path / "new" / "cat.jpg")
        with pytest.raises(DataError, match=r"a\.zip: has no member 'train/cat\.2\.jpg'"):
            archive.extract("train/cat.2.jpg", tmp_path / "new" / "cat.2.jpg")
    assert (tmp_path / "new" / "cat.jpg").read_bytes() == IMAGES["train/cat.0.jpg"]
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_unpack_writes_all_members(tmp_path: Path) -> None:
    with Archive(written(tmp_path, packed(IMAGES))) as archive:
        archive.unpack(tmp_path / "new" / "raw")
    found = [path for path in (tmp_path / "new" / "raw").rglob("*") if path.is_file()]
    assert {p.relative_to(tmp_path / "new/raw").as_posix(): p.read_bytes() for p in found} == IMAGES


OUTSIDE = "has a path outside the archive"
NOT_PORTABLE = "has a name that is not portable"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("../evil", OUTSIDE),
        ("a/../../evil", OUTSIDE),
        ("..", NOT_PORTABLE),
        ("/etc/evil", OUTSIDE),
        ("C:evil", OUTSIDE),
        ("c:/evil", OUTSIDE),
        ("a\\..\\evil", NOT_PORTABLE),
        ("\\\\server\\evil", NOT_PORTABLE),
        ("evil\0.jpg", NOT_PORTABLE),
        (".", NOT_PORTABLE),
        ("/", NOT_PORTABLE),
    ],
)
def test_unsafe_names_are_refused(tmp_path: Path, name: str, problem: str) -> None:
    path = crafted(tmp_path, name)
    with pytest.raises(DataError, match=problem) as caught, Archive(path):
        pass
    assert str(caught.value).startswith(f"{path}: member ")
    assert "\0" not in str(caught.value)


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        ({"external_attr": (stat.S_IFLNK | 0o777) << 16}, "is a symbolic link"),
        ({"external_attr": (stat.S_IFIFO | 0o600) << 16}, "is neither a file nor a folder"),
    ],
)
def test_links_and_devices_are_refused(
    tmp_path: Path, attributes: dict[str, int], problem: str
) -> None:
    path = crafted(tmp_path, "evil", b"/etc/passwd", **attributes)
    with pytest.raises(DataError, match=rf"a\.zip: member 'evil' {problem}"), Archive(path):
        pass


@pytest.mark.parametrize("second", ["a/x.jpg", "a//x.jpg", "./a/x.jpg"])
def test_duplicate_members_are_refused(tmp_path: Path, second: str) -> None:
    path = tmp_path / "a.zip"
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/x.jpg", b"1")
        archive.writestr(second, b"2")
    with pytest.raises(DataError, match=rf"a\.zip: member '{second}' is duplicated"):
        Archive(path)


def test_a_name_that_is_a_file_and_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.zip: member 'a' is a file and a folder"):
        Archive(written(tmp_path, packed({"a/x": b"1", "a": b"2"})))


def flagged(content: bytes, offset: int, value: int) -> bytes:
    """Change a 16-bit field of each entry of the central directory."""
    changed = bytearray(content)
    at = content.find(b"PK\x01\x02")
    while at >= 0:
        struct.pack_into("<H", changed, at + offset, value)
        at = content.find(b"PK\x01\x02", at + 4)
    return bytes(changed)


def test_encrypted_members_are_refused(tmp_path: Path) -> None:
    content = flagged(packed({"x.jpg": b"x"}), 8, 1)
    with pytest.raises(DataError, match=r"a\.zip: member 'x\.jpg' is encrypted"):
        Archive(written(tmp_path, content))


def test_unknown_compression_methods_are_refused(tmp_path: Path) -> None:
    content = flagged(packed({"x.jpg": b"x"}), 10, 97)
    with pytest.raises(DataError, match=r"'x\.jpg' has an unsupported compression method \(97\)"):
        Archive(written(tmp_path, content))


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, packed({"x.csv": bytes(20_000_000)}))
    with pytest.raises(
        DataError, match=r"'x\.csv' unpacks to 10\d\d times its size: a zip bomb\. Allowed: 200"
    ):
        Archive(path)
    with Archive(path, Limits(ratio=2000)) as archive:
        assert archive.members == [Member("x.csv", 20_000_000)]


def test_a_small_table_of_zeros_is_not_a_bomb(tmp_path: Path) -> None:
    table = b"id,label\n" + b"1,0\n" * 100_000
    with Archive(written(tmp_path, packed({"sample.csv": table}))) as archive:
        assert archive.read("sample.csv") == table


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        (Limits(total=2_000_000), r"unpacks to 3 MB: a zip bomb\. Allowed: 2 MB"),
        (Limits(members=2), r"has 3 members\. Allowed: 2"),
    ],
)
def test_limits_on_the_whole_archive(tmp_path: Path, limits: Limits, problem: str) -> None:
    path = written(tmp_path, packed({name: os.urandom(1_000_000) for name in "abc"}))
    with pytest.raises(DataError, match=rf"a\.zip: {problem}"):
        Archive(path, limits)


def test_many_small_members_of_any_ratio_are_a_bomb(tmp_path: Path) -> None:
    path = written(tmp_path, packed({f"{i}.csv": bytes(5_000_000) for i in range(3)}))
    with pytest.raises(
        DataError, match=r"a\.zip: unpacks to 10\d\d times its size: a zip bomb\. Allowed: 200"
    ):
        Archive(path)


def test_archives_are_nested_four_deep_at_most(tmp_path: Path) -> None:
    content = packed({"x": b"x"})
    for _ in range(5):
        content = packed({"a.zip": content})
    with ExitStack() as stack:
        archive = stack.enter_context(Archive(written(tmp_path, content)))
        for _ in range(4):
            archive = stack.enter_context(archive.inner("a.zip"))
        with pytest.raises(DataError, match=r"is nested 5 archives deep: a zip bomb\. Allowed: 4$"):
            archive.inner("a.zip").__enter__()


def test_long_and_deep_names_cost_no_more_than_their_length(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a/a/\S+… ?\S+' has a name of 2000 char.*Allowed: 1000$"):
        Archive(crafted(tmp_path, "a/" * 1000))
    content = {n: packed({f"{i}/{'a/' * n}x": b"" for i in range(300)}) for n in (30, 480)}

    def read(depth: int) -> None:
        with Archive(written(tmp_path, content[depth])) as archive:
            assert len(archive.members) == 300

    assert growth.growth(read, 30, 480) < growth.MOST


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_of_each_method_is_a_data_error(tmp_path: Path, method: int) -> None:
    content = bytearray(packed({"x": os.urandom(1000)}, method))
    content[40:60] = bytes(20)
    with (
        Archive(written(tmp_path, bytes(content))) as archive,
        pytest.raises(DataError, match=r"a\.zip: member 'x' is damaged: \S.*\. Fetch the archive"),
    ):
        archive.read("x")


def test_limits_apply_to_nested_archives(tmp_path: Path) -> None:
    inner = packed({"x": bytes(20_000_000)})
    path = written(tmp_path, packed({"train.zip": inner}))
    with (
        Archive(path) as archive,
        pytest.raises(
            DataError, match=r"a\.zip: train\.zip: member 'x' unpacks to 10\d\d times its size"
        ),
        archive.inner("train.zip"),
    ):
        pass


def test_overlapping_members_are_refused(tmp_path: Path) -> None:
    """Many entries of the directory point to the same bytes."""
    content = packed({"x": os.urandom(1000)})
    at, end = content.find(b"PK\x01\x02"), content.find(b"PK\x05\x06")
    entry = content[at:end]
    entries = b"".join(entry[:-1] + bytes([65 + i]) for i in range(20))
    tail = bytearray(content[end:])
    struct.pack_into("<HHI", tail, 8, 20, 20, len(entries))
    with pytest.raises(DataError, match="its members overlap: a zip bomb"):
        Archive(written(tmp_path, content[:at] + entries + bytes(tail)))


def test_read_refuses_a_member_above_the_memory_limit(tmp_path: Path) -> None:
    path = written(tmp_path, packed({"x": bytes(3_000_000)}))
    with (
        Archive(path, Limits(at_once=1_000_000)) as archive,
        pytest.raises(DataError, match=r"member 'x' has 3 MB\. Allowed at once: 1 MB"),
    ):
        archive.read("x")


def test_a_wrong_size_in_the_directory_is_damage(tmp_path: Path) -> None:
    content = bytearray(packed({"x": b"12345678" * 10_000}))
    struct.pack_into("<I", content, content.find(b"PK\x01\x02") + 24, 100)
    with (
        Archive(written(tmp_path, bytes(content))) as archive,
        pytest.raises(DataError, match=r"a\.zip: member 'x' is damaged: Bad CRC-32"),
    ):
        archive.read("x")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (packed(IMAGES)[:1000], r"the zip is truncated\. Fetch it again"),
        (b"", "is not a zip"),
        (b"<html>Sign in</html>", "is not a zip"),
    ],
)
def test_a_truncated_zip_and_other_files(tmp_path: Path, content: bytes, problem: str) -> None:
    with pytest.raises(DataError, match=rf"a\.zip: {problem}"):
        Archive(written(tmp_path, content))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.zip: cannot be read: No such file or directory"):
        Archive(tmp_path / "a.zip")


def test_a_truncated_nested_zip(tmp_path: Path) -> None:
    path = written(tmp_path, packed({"train.zip": packed(IMAGES)[:900]}, zipfile.ZIP_STORED))
    with (
        Archive(path) as archive,
        pytest.raises(DataError, match=r"a\.zip: train\.zip: the zip is truncated"),
        archive.inner("train.zip"),
    ):
        pass


def test_a_truncated_zip_that_ends_with_a_complete_nested_zip(tmp_path: Path) -> None:
    content = packed({"sample.csv": SAMPLE, "test1.zip": packed(TESTS)})
    # Cut off the outer directory, whose first entry starts 46 bytes before the member's name.
    written(tmp_path, content[: content.rindex(b"sample.csv") - 46])
    with pytest.raises(DataError, match=r"a\.zip: the zip is truncated\. Fetch it again$"):
        Archive(tmp_path / "a.zip")


def test_a_wrong_crc_is_damage(tmp_path: Path) -> None:
    content = bytearray(packed({"x.jpg": IMAGES["train/cat.0.jpg"]}, zipfile.ZIP_STORED))
    content[200] ^= 1
    with Archive(written(tmp_path, bytes(content))) as archive:
        with pytest.raises(DataError, match=r"a\.zip: member 'x\.jpg' is damaged: Bad CRC-32 for"):
            archive.read("x.jpg")
        with pytest.raises(DataError, match="is damaged"):
            archive.unpack(tmp_path / "raw")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_full_disk_leaves_nothing(
    tmp_path: Path, full_disk: Callable[..., AbstractContextManager[None]]
) -> None:
    path = written(tmp_path, packed({"x": os.urandom(100_000)}))
    message = r"member .x. cannot be written to \S+/x: File too large\. Free some space, then run"
    with Archive(path) as archive, pytest.raises(DataError, match=message), full_disk():
        archive.extract("x", tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_unpack_starts_only_if_the_disk_has_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=2000))
    with Archive(written(tmp_path, packed({"x": bytes(3000)}))) as archive:
        message = r"a\.zip: it cannot be written to \S+/raw: 1 MB are needed and 0 MB are free\. Fr"
        with pytest.raises(DataError, match=message):
            archive.unpack(tmp_path / "raw")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_write_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands in for a disk that fills up."""
    written(tmp_path, packed({"a": b"x", "b": os.urandom(100_000)}))
    code = """
import resource, sys
from pathlib import Path
from ripen.core.archives import Archive
from ripen.core.errors import DataError
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    with Archive(Path("a.zip")) as archive:
        archive.unpack(Path("raw"))
except DataError as error:
    print(error)
"""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3] / "src")}
    done = subprocess.run(
        [sys.executable, "-B", "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == (
        "a.zip: member 'b' cannot be written to raw/b: File too large. "
        "Free some space, then run it again\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


WHOLE = packed({"sample.csv": SAMPLE, "test1.zip": packed(TESTS), **IMAGES})


def read_all(path: Path) -> None:
    with Archive(path) as archive:
        for member in archive.members:
            archive.read(member.name)
        if "test1.zip" in archive:
            with archive.inner("test1.zip") as inner:
                for member in inner.members:
                    inner.read(member.name)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=3 * settings.default.max_examples,
)
@given(
    changes=st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=4),
    length=st.one_of(st.just(len(WHOLE)), st.integers(0, len(WHOLE))),
)
def test_any_damage_is_a_data_error(
    tmp_path: Path, changes: list[tuple[int, int]], length: int
) -> None:
    content = bytearray(WHOLE)
    for at, value in changes:
        content[at] = value
    path = written(tmp_path, bytes(content[:length]))
    try:
        read_all(path)
        message = None
    except DataError as error:
        message = str(error)
    if message is None:
        assert length == len(WHOLE)
    else:
        assert message.startswith(str(path))
        assert "\n" not in message


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(max_size=300))
def test_random_bytes_are_not_a_zip(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match=r"a\.zip: "):
        Archive(written(tmp_path, content))
