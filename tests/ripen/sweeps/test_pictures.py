from pathlib import Path

import pandas as pd
import pytest

from ripen import plots
from ripen.sweeps.pictures import all_curves, marked, pictures
from ripen.sweeps.space import parse

LOSSES = {
    0.001: [0.70, 0.69, 0.68, 0.67],
    0.1: [0.60, 0.30, 0.21, 0.20],
    1.0: [0.40, 0.22, 0.24, 0.26],  # learns by heart: neither too fast nor too slow
    30.0: [4.0, 9.0, 8.0, 2.0],
}


@pytest.fixture
def trials() -> pd.DataFrame:
    rows = [
        {
            "trial": trial,
            "solver.base_lr": rate,
            "solver.momentum": 0.1 * trial,
            "net.hidden_layers": "[4]" if trial % 2 else "[8, 8]",
            "ended": "max_iter",
            "iterations": 40,
            "validation_loss": min(losses),
            "validation_accuracy": 1 - min(losses),
        }
        for trial, (rate, losses) in enumerate(LOSSES.items())
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def curves() -> pd.DataFrame:
    rows = [
        {"trial": trial, "iteration": 10 * i, "validation_loss": loss}
        for trial, losses in enumerate(LOSSES.values())
        for i, loss in enumerate(losses, start=1)
    ]
    return pd.DataFrame(rows)


def test_too_large_a_step_sails_past_and_too_small_a_one_crawls(
    trials: pd.DataFrame, curves: pd.DataFrame
) -> None:
    assert marked(trials, curves) == {0: "crawls", 1: "", 2: "", 3: "sails past"}
    diverged = trials.assign(ended=["max_iter", "max_iter", "diverged", "diverged"])
    short = curves[curves.trial != 3]  # diverged before its first check
    assert marked(diverged, short) == {0: "crawls", 1: "", 2: "sails past", 3: "sails past"}


def test_the_curves_are_all_there(trials: pd.DataFrame, curves: pd.DataFrame) -> None:
    axes = all_curves(trials, curves).axes[0]
    drawn = [line.get_ydata().tolist() for line in axes.lines if len(line.get_ydata()) > 1]
    assert drawn == list(LOSSES.values())
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["sails past", "crawls"]


def test_a_picture_for_each_thing_that_was_varied_and_the_same_bytes(
    trials: pd.DataFrame, curves: pd.DataFrame, tmp_path: Path
) -> None:
    axes = parse(
        [
            "solver.base_lr=0.001,0.1,1,30",
            "solver.momentum=interval(0,1)",
            "net.hidden_layers=[4],[8,8]",
        ]
    ).axes
    for time in ("once", "again"):
        for name, figure in pictures(trials, curves, axes):
            plots.save(figure, tmp_path / time / f"{name}.svg")
    written = {file.name: file.read_bytes() for file in (tmp_path / "once").iterdir()}
    assert set(written) == {
        f"{name}.svg"
        for name in (
            "curves", "converged", "base_lr", "momentum", "hidden_layers", "parallel", "contour"
        )
    }  # fmt: skip
    assert written == {file.name: file.read_bytes() for file in (tmp_path / "again").iterdir()}
