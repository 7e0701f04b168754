"""`ripen check`: from the raw files to the printed report."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from ripen import cli
from tests.ripen.conftest import ROOT

TABLE = """
source: {folder: mine}
target: y
task: binary
metric: accuracy
submission: label
validation: {split: stratified, folds: 3}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Leave the test in a folder with `conf/` and a competition in which the order tells all."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    (tmp_path / "models").symlink_to(ROOT / "models")
    (tmp_path / "conf/competition/mine.yaml").write_text(TABLE)
    (tmp_path / "mine").mkdir()
    train = pd.DataFrame({"id": range(90), "x": [i % 7 for i in range(90)]})
    train.assign(y=[int(i > 44) for i in range(90)]).to_csv("mine/train.csv", index=False)
    test = train.assign(id=train["id"] + 100)
    test.to_csv("mine/test.csv", index=False)
    test[["id"]].assign(y=0).to_csv("mine/sample_submission.csv", index=False)
    return tmp_path


def test_the_report_is_printed_and_nothing_learnt(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check", "mine"]) == 0
    out = capsys.readouterr().out
    assert "! the order of the rows tells the target (AUC 0.9" in out
    assert "! 90 test rows (100%) have the same values as some training row" in out
    assert "Keep equal rows together in the folds" in out
    assert sorted(path.name for path in (here / "data/mine").iterdir()) == ["download", "raw"]


def test_bad_input_is_one_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "avocados"]) == 2
    assert capsys.readouterr().err == (
        "ripen: unknown competition 'avocados'; did you mean 'avocado'?\n"
    )
    Path("mine/train.csv").unlink()
    assert cli.main(["check", "mine"]) == 1
    err = capsys.readouterr().err
    assert err.endswith("train.csv: no such file. Run: dvc repro\n")
