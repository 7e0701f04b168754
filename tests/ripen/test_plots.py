from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from ripen import plots

CURVE = pd.DataFrame({"iteration": [1, 2], "loss": [0.9, 0.4], "validation_loss": [0.8, 0.5]})
RATES = pd.DataFrame(
    {
        "model": ["a", "a", "b", "b"],
        "false_positive_rate": [0, 1, 0, 1],
        "true_positive_rate": [0, 1, 0.5, 1],
    }
)
LEARNT = pd.DataFrame({"model": ["a", "a"], "n_train": [10, 100], "accuracy": [0.7, 0.9]})
FIGURES = {
    "error": lambda: plots.error_curve(CURVE, "converged", 2),
    "confusion": lambda: plots.confusion(pd.DataFrame([[3, 1], [0, 6]]), ("no", "yes"), "net"),
    "reliability": lambda: plots.reliability(
        pd.DataFrame({"predicted": [0.1, 0.9], "observed": [0.2, 0.8]}), "net"
    ),
    "roc": lambda: plots.roc(RATES, "test"),
    "learning": lambda: plots.learning_curve(LEARNT, 0.95),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_the_same_bytes_each_time_and_holds_no_date(name: str, tmp_path: Path) -> None:
    for i in range(2):
        plots.save(FIGURES[name](), tmp_path / f"{i}.svg")
    first, second = ((tmp_path / f"{i}.svg").read_bytes() for i in range(2))
    assert first == second
    assert b"<dc:date>" not in first


def lines(figure: Figure) -> dict[str, list[list[float]]]:
    return {
        str(line.get_label()): [list(map(float, xy)) for xy in line.get_xydata()]
        for line in figure.axes[0].get_lines()
    }


def test_the_error_curve_shows_both_losses_and_what_was_kept() -> None:
    drawn = lines(FIGURES["error"]())
    assert drawn["training"] == [[1.0, 0.9], [2.0, 0.4]]
    assert drawn["validation"] == [[1.0, 0.8], [2.0, 0.5]]
    assert [x for x, _ in drawn["kept"]] == [2.0, 2.0]


def test_the_learning_curve_has_a_line_a_model_and_the_best_possible() -> None:
    drawn = lines(FIGURES["learning"]())
    assert drawn["a"] == [[10.0, 0.7], [100.0, 0.9]]
    assert {y for _, y in drawn["best possible"]} == {0.95}


def test_the_confusion_matrix_writes_its_counts() -> None:
    texts = [text.get_text() for text in FIGURES["confusion"]().axes[0].texts]
    assert texts == ["3", "1", "0", "6"]
