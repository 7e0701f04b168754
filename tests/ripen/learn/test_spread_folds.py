"""Folds in processes: each fold's files arrive whole, and a killed worker loses its own fold."""

import os
import signal
from functools import partial
from pathlib import Path

import pytest

from ripen.core.errors import DataError, TrainingError
from ripen.learn.spread_folds import content, spread
from ripen.settings.schema import Launcher

TWO = Launcher(name="joblib", workers=2, address=None)


def no_files() -> list[Path]:
    return []


def fold(marks: Path, lives: int, place: int) -> dict[str, bytes]:
    """Leave a mark of each attempt; fold 1 dies in its first ones, fold 9 is too small."""
    attempts = len(list(marks.glob(f"{place}.*")))
    (marks / f"{place}.{attempts}").touch()
    if place == 9:
        raise DataError("fold 9 has too few rows")
    if place == 1 and attempts < lives:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"files/net/model.txt": b"weights", f"{place}.npz": f"fold {place}".encode()}


@pytest.mark.slow  # starts processes
def test_a_killed_worker_loses_its_own_fold_only(tmp_path: Path) -> None:
    marks, kept = tmp_path / "marks", tmp_path / "kept"
    marks.mkdir()
    spread([0, 1, 3], TWO, partial(fold, marks, 1), kept, no_files)
    assert sorted(path.name for path in marks.iterdir()) == ["0.0", "1.0", "1.1", "3.0"]
    assert content(kept) == {
        "files/net/model.txt": b"weights",
        **{f"{place}.npz": f"fold {place}".encode() for place in (0, 1, 3)},
    }
    with pytest.raises(TrainingError, match=r"^fold 1 lost its worker 3 times: .*launcher\.work"):
        spread([1, 4], TWO, partial(fold, marks, 9), kept, no_files)
    assert (kept / "4.npz").exists()
    with pytest.raises(DataError, match=r"^fold 9 has too few rows$"):
        spread([9, 5], TWO, partial(fold, marks, 0), kept, no_files)


@pytest.mark.parametrize(
    ("missing", "launcher"), [([0, 1], Launcher(name="basic", workers=1, address=None)), ([2], TWO)]
)
def test_nothing_is_spread_by_the_basic_launcher_or_of_one_fold(
    missing: list[int], launcher: Launcher, tmp_path: Path
) -> None:
    spread(missing, launcher, partial(fold, tmp_path, 0), tmp_path, no_files)
    assert not list(tmp_path.iterdir())
