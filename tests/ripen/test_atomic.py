from pathlib import Path

import pytest

from ripen.atomic import fresh_folder, replacing, write_text


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
