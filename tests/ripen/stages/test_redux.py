"""cats_vs_dogs_redux: its archive in Kaggle's form through all stages to a submission."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ripen import cli
from ripen.core.layout import Layout
from ripen.stages import report
from tests.ripen.frozen import SMALL, with_weights
from tests.ripen.images import cats_and_dogs, write_raw
from tests.ripen.stages.conftest import ROOT, run_all

COMPETITION = "cats_vs_dogs_redux"
LAYOUT = Layout(COMPETITION)
KAGGLE = "dogs-vs-cats-redux-kernels-edition"
EACH, TESTS = 12, 11


@pytest.mark.slow
def test_from_the_archive_to_a_dry_run_of_submitting(
    here: Callable[..., dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RIPEN_MIRROR", str(tmp_path / "mirror"))
    values = here(*SMALL, f"competitions=[{COMPETITION}]")
    Path("conf").symlink_to(ROOT / "conf")
    with_weights("squeezenet")
    files = cats_and_dogs(EACH, TESTS, "test")
    folder = tmp_path / "mirror/kaggle" / KAGGLE
    write_raw(folder, files, KAGGLE, "test", "sample_submission.csv")
    run_all(COMPETITION, values)

    rows = pd.read_csv(LAYOUT.submission)
    assert rows.columns.tolist() == ["id", "label"]
    assert rows.id.tolist() == list(range(1, TESTS + 1))  # and not 1, 10, 11, 2
    # The first test image is a cat, the next a dog, and so on.
    assert (rows.label > 0.5).tolist() == [i % 2 == 1 for i in range(TESTS)]
    metrics = json.loads(LAYOUT.metrics.read_text())
    net = metrics["models"]["net"]
    assert (net["validation"]["n"], metrics["best_by"]) == (2 * EACH, "validation/log_loss")
    limit = pd.read_csv(LAYOUT.calibration, index_col="model").clip_scaled[metrics["best"]]
    assert rows.label.between(limit, 1 - limit).all()
    report.run(COMPETITION)
    assert "Dogs vs. Cats Redux: Kernels Edition" in LAYOUT.report.read_text()

    capsys.readouterr()
    assert cli.main(["submit", COMPETITION, "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert KAGGLE in printed
    assert printed.endswith("dry run: nothing is sent\n")
