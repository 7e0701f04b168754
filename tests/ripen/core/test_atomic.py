import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from ripen.core.atomic import fresh_folder, replacing, write_text
from ripen.core.errors import DataError


def test_write_text_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    write_text(path, "first")
    write_text(path, "sécond\n")
    assert path.read_bytes() == "sécond\n".encode()
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_text("new")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_fresh_folder_is_empty_and_is_removed_when_the_block_fails(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with fresh_folder(folder):
        (folder / "a").write_text("a")
    with fresh_folder(folder):
        assert list(folder.iterdir()) == []
        (folder / "b").write_text("b")
    assert [path.name for path in folder.iterdir()] == ["b"]
    with pytest.raises(KeyboardInterrupt, match="stop"), fresh_folder(folder):
        raise KeyboardInterrupt("stop")
    assert not folder.exists()


def test_a_full_disk_is_one_line_that_names_the_file(
    tmp_path: Path, full_disk: Callable[..., AbstractContextManager[None]]
) -> None:
    write_text(tmp_path / "a.txt", "old")
    with (
        pytest.raises(DataError, match=r"a\.txt: cannot be written: File too large\. Free"),
        full_disk(),
    ):
        write_text(tmp_path / "a.txt", "new" * 10_000)
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_leaves_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / "out"

    def write(more: Path) -> None:
        with fresh_folder(folder):
            (folder / "b").write_text("b")
            more.write_text("more")

    with pytest.raises(DataError, match="out: cannot be written: No space left"):
        write(Path("/dev/full"))
    assert not folder.exists()
    with pytest.raises(FileNotFoundError, match="No such file"):
        write(tmp_path / "none" / "file")


def test_a_link_put_there_beforehand_is_not_written_through(tmp_path: Path) -> None:
    """Other people may write to the folder: `/tmp` for one."""
    (tmp_path / "theirs").write_text("theirs")
    seen = []
    for name in ("out", "out"):
        with replacing(tmp_path / name) as temporary:
            seen.append(temporary.name)
            temporary.write_text("new")
    assert seen[0] != seen[1]
    (tmp_path / "folder").symlink_to(tmp_path)
    with pytest.raises(DataError, match=r"folder: cannot be written: it is a symbolic link\. Move"):
        fresh_folder(tmp_path / "folder").__enter__()
    assert (tmp_path / "theirs").read_text() == "theirs"


def test_a_new_file_has_the_permissions_of_the_umask(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_text(tmp_path / "written", "x")
    assert (tmp_path / "written").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("/sys/a.txt", r"/sys/a\.txt: cannot be written: Permission denied\. Make /sys writable"),
        ("/sys/a/b.txt", r"b\.txt: cannot be written: \S+ .*\. Make /sys writable, or work in a"),
        ("file/a.txt", r"file/a\.txt: cannot be written: .*\. Move \S+/file away$"),
        ("folder", r"folder: cannot be written: Is a directory\. Move \S+/folder away$"),
        ("a\0b", r"a\\x00b: cannot be written: embedded null byte$"),
        ("x" * 300, r"x…x+: cannot be written: File name too long$"),
        ("a\x1b[2Jb" + "/y" * 2500, r"a\\x1b\[2Jb.*: cannot be written: File name too long$"),
    ],
)
def test_what_cannot_be_written_is_one_line_with_the_way_out(
    tmp_path: Path, name: str, problem: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=problem) as caught:
        write_text(tmp_path / name, "new")
    assert "\n" not in str(caught.value)
    if not os.path.isabs(name) and name != "folder":
        with pytest.raises(DataError, match="cannot be written: "):
            fresh_folder(tmp_path / name).__enter__()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
