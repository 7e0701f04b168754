"""A remote of DVC's: what one has computed, another pulls."""

import shutil
from pathlib import Path

import pytest

from tests.ripen.conftest import Clone

OF_A_RUN = ("dvc.lock", "params.yaml", "metrics")  # git holds these


@pytest.mark.slow
def test_a_colleague_who_pulls_computes_nothing(
    reproduced: Clone, sharing: Clone, tmp_path: Path
) -> None:
    theirs = Clone(tmp_path / "theirs")
    for clone in (sharing, theirs):
        clone.run("dvc", "remote", "add", "--local", "--default", "store", str(tmp_path / "store"))
        for name in OF_A_RUN:
            source, target = reproduced.path / name, clone.path / name
            if source.is_dir():
                shutil.copytree(source, target, dirs_exist_ok=True)
            else:
                shutil.copyfile(source, target)
    sharing.run("dvc", "push")
    assert not (theirs.path / "data/avocado").exists()
    theirs.run("dvc", "pull")
    done = theirs.run("dvc", "repro")
    assert "Running stage" not in done.stdout
    for made in ("data/avocado/submission.csv", "data/digits/submission.csv"):
        assert theirs.read(made) == reproduced.read(made)
    assert theirs.run("dvc", "push").stdout.strip() == "Everything is up to date."
