"""cats_vs_dogs_redux: its archive in Kaggle's form through all stages to a submission."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from ripen import cli
from ripen.core.layout import Layout
from ripen.judge import calibration
from ripen.settings.compose import as_mapping, dump
from ripen.settings.schema import Config
from tests.ripen.conftest import ROOT
from tests.ripen.frozen import SMALL, run_all
from tests.ripen.photographs import cats_and_dogs, write_raw

COMPETITION = "cats_vs_dogs_redux"
LAYOUT = Layout(COMPETITION)
KAGGLE = "dogs-vs-cats-redux-kernels-edition"
EACH, TESTS = 12, 11


def test_from_the_archive_to_what_would_be_sent(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_config: Callable[..., Config],
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = make_config(*SMALL, f"competitions=[{COMPETITION}]")
    monkeypatch.setenv("RIPEN_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.chdir(tmp_path)
    for name in ("models", "conf"):
        Path(name).symlink_to(ROOT / name)
    files = cats_and_dogs(EACH, TESTS, "test")
    write_raw(tmp_path / "mirror/kaggle" / KAGGLE, files, KAGGLE, "test")
    run_all(config, COMPETITION)

    rows = pd.read_csv(LAYOUT.submission)
    assert rows.columns.tolist() == ["id", "label"]
    assert rows.id.tolist() == list(range(1, TESTS + 1))  # and not 1, 10, 11, 2
    # The first test picture is a cat, the next a dog, and so on.
    assert (rows.label > 0.5).tolist() == [i % 2 == 1 for i in range(TESTS)]
    metrics = json.loads(LAYOUT.metrics.read_text())
    net = metrics["models"]["net"]
    assert (net["validation"]["n"], metrics["best_by"]) == (2 * EACH, "validation/log_loss")
    limit = calibration.read(LAYOUT.calibration, metrics["best"]).clip_scaled
    assert rows.label.between(limit, 1 - limit).all()
    assert "Dogs vs. Cats Redux: Kernels Edition" in LAYOUT.report.read_text()

    Path("params.yaml").write_text(dump(as_mapping(config)))
    capsys.readouterr()
    assert cli.main(["submit", COMPETITION, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert KAGGLE in said
    assert said.endswith("dry run: nothing is sent\n")
