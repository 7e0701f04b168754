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


def test_a_full_disk_is_one_line_that_names_the_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    (tmp_path / ".a.txt.tmp").symlink_to("/dev/full")
    with pytest.raises(
        DataError, match=r"a\.txt: cannot be written: No space left on device\. Free"
    ):
        write_text(tmp_path / "a.txt", "new")
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
