"""`make` and an installation that was killed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = """#!/bin/sh
case "$*" in
  *dev*) kill -9 $PPID ;;
  *docs*) exit 1 ;;
esac
"""


@pytest.mark.skipif(shutil.which("make") is None, reason="no make found")
def test_an_installation_that_was_killed_is_made_anew(tmp_path: Path) -> None:
    for name in ("Makefile", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("python", ".venv/bin/python", "packages/caffe/pyproject.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(PYTHON)
        (tmp_path / name).chmod(0o755)
    venv = tmp_path / ".venv"

    def make(target: str, *flags: str) -> str:
        command = ["make", f"PYTHON={tmp_path / 'python'}", *flags, target]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        return done.stdout + done.stderr

    make(".venv/for-users")
    make(".venv/for-docs")  # pip itself fails: what there was stays
    assert sorted(os.listdir(venv)) == ["bin", "for-users"]
    make(".venv/for-developers")
    assert sorted(os.listdir(venv)) == ["bin", "for-users", "unfinished"]
    (venv / "unfinished").write_text(str(os.getpid()))
    assert "another make installs into .venv. Wait for it" in make("quick", "-n")
    (venv / "unfinished").write_text("999999999")
    assert "an installation was interrupted: .venv is made anew" in make("quick", "-n")
    assert not venv.exists()
