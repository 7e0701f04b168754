from pathlib import Path

import pandas as pd
import pytest

from ripen.judge import plots
from ripen.judge.sweep_figures import all_curves, figures
from ripen.learn.sweeps.space import parse
from ripen.learn.sweeps.sweep_tables import lines, marked

LOSSES = {
    0.001: [0.70, 0.69, 0.68, 0.67],
    0.1: [0.60, 0.30, 0.21, 0.20],
    1.0: [0.40, 0.22, 0.24, 0.26],  # overfits: neither too fast nor too slow
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
    assert [text.get_text() for text in axes.figure.legends[0].get_texts()] == [
        "sails past",
        "crawls",
    ]


@pytest.mark.slow
def test_a_figure_for_each_setting_that_varies_and_the_same_bytes(
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
        for name, figure in figures(trials, curves, axes):
            plots.save(figure, tmp_path / time / f"{name}.svg")
    written = {file.name: file.read_bytes() for file in (tmp_path / "once").iterdir()}
    assert set(written) == {
        f"{name}.svg"
        for name in (
            "curves", "converged", "base_lr", "momentum", "hidden_layers", "parallel", "contour"
        )
    }  # fmt: skip
    assert written == {file.name: file.read_bytes() for file in (tmp_path / "again").iterdir()}


def test_the_lines_of_two_sweeps(trials: pd.DataFrame, curves: pd.DataFrame) -> None:
    repeated = pd.concat([trials, trials.assign(iterations=20, ended="converged").tail(1)])
    drawn = dict(lines(repeated, curves))
    assert drawn["best_curve"].validation_loss.tolist() == LOSSES[0.1]
    assert drawn["best_curve"].iteration.tolist() == [10, 20, 30, 40]
    assert drawn["converged_at"].to_dict("list") == {
        "learning_rate": list(LOSSES),
        "log10_learning_rate": [-3.0, -1.0, 0.0, 1.4771],
        "iterations": [40.0, 40.0, 40.0, 30.0],
        "converged": [0.0, 0.0, 0.0, 0.5],
    }
    assert set(dict(lines(trials.drop(columns="solver.base_lr"), curves))) == {"best_curve"}
    none = trials.assign(validation_loss=float("nan"))
    assert dict(lines(none, curves))["best_curve"].empty
