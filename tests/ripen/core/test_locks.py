"""Locks on files: one holder, freed by its end."""

import os
import signal
from pathlib import Path

import pytest

from ripen.core.errors import DataError
from ripen.core.locks import hold

BUSY = DataError("another one is at work. Wait for it")


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "new" / "x.lock"
    with (
        hold(file, BUSY),
        pytest.raises(DataError, match="^another one is at work"),
        hold(file, BUSY),
    ):
        pass
    with hold(file, BUSY):
        assert file.exists()


def test_a_killed_holder_frees_it(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    if not (child := os.fork()):
        with hold(tmp_path / "x.lock", BUSY):
            os.write(writing, b"x")
            signal.pause()
    os.read(reading, 1)
    with pytest.raises(DataError, match="another one"), hold(tmp_path / "x.lock", BUSY):
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)
    with hold(tmp_path / "x.lock", BUSY):
        pass
