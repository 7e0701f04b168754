import json
import re
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from ripen.judge import plots

CURVE = pd.DataFrame({"iteration": [1, 2], "loss": [0.9, 0.4], "validation_loss": [0.8, 0.5]})
RATES = pd.DataFrame(
    {
        "model": ["a", "a", "b", "b"],
        "false_positive_rate": [0, 1, 0, 1],
        "true_positive_rate": [0, 1, 0.5, 1],
    }
)
LEARNT = pd.DataFrame({"model": ["a", "a"], "n_train": [10, 100], "score": [0.7, 0.9]})
VALUES = pd.DataFrame({"truth": [1, 3], "predicted": [1.5, 2], "residual": [-0.5, 1]})
POINTS = pd.DataFrame({"x": [0.2, 0.7], "y": [0.5, 0.6], "label": ["no", "yes"]})
SCORES = pd.DataFrame(
    {"model": ["net", "a"], "score": [0.2, 0.5], "standard_error": [0.05, np.nan]}
)
STYLES = plots.palette(["a", "b", "net", "head"])
SUBMITTED = pd.DataFrame(
    {
        "model": ["svm", "a blend of a great many models"],
        "cv": [0.5, 0.3],
        "cv_error": [0.1, np.nan],
        "public": [0.6, 0.2],
    }
)
FIGURES = {
    "error": lambda: plots.error_curve(CURVE, "converged", 2),
    "confusion": lambda: plots.confusion(pd.DataFrame([[3, 1], [0, 6]]), ("no", "yes"), "net"),
    "reliability": lambda: plots.reliability(
        pd.DataFrame({"predicted": [0.1, 0.9], "observed": [0.2, 0.8]}), "net"
    ),
    "roc": lambda: plots.roc(RATES, "test", STYLES),
    "regions": lambda: plots.regions(
        np.array([0.0, 1.0]),
        np.array([0.0, 1.0]),
        np.array([[0.1, 0.9], [0.2, 0.8]]),
        POINTS,
        ("squishiness", "green", "ripe"),
    ),
    "learning": lambda: plots.learning_curve(LEARNT, 0.95, STYLES),
    "values": lambda: plots.values(VALUES, "forest"),
    "residuals": lambda: plots.residuals(VALUES, "forest"),
    "errors": lambda: plots.error_curves({"net": CURVE, "head": CURVE / 2}, STYLES),
    "scores": lambda: plots.scores(SCORES, "log loss", STYLES),
    "agreement": lambda: plots.agreement(SUBMITTED),
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


def test_the_error_curve_shows_both_losses_and_the_kept_iteration() -> None:
    drawn = lines(FIGURES["error"]())
    assert drawn["training"] == [[1.0, 0.9], [2.0, 0.4]]
    assert drawn["validation"] == [[1.0, 0.8], [2.0, 0.5]]
    assert [x for x, _ in drawn["kept"]] == [2.0, 2.0]


def test_the_learning_curve_has_a_line_a_model_and_the_best_possible() -> None:
    drawn = lines(FIGURES["learning"]())
    assert drawn["a"] == [[10.0, 0.7], [100.0, 0.9]]
    assert {y for _, y in drawn["best possible"]} == {0.95}


def test_error_curves_have_a_solid_and_a_dotted_line_a_net() -> None:
    drawn = FIGURES["errors"]().axes[0].get_lines()
    assert [line.get_linestyle() for line in drawn] == ["-", ":", "-", ":"]
    assert [line.get_label() for line in drawn[::2]] == ["net", "head"]
    assert drawn[2].get_ydata().tolist() == [0.4, 0.25]
    assert drawn[0].get_color() == drawn[1].get_color() != drawn[2].get_color()


def luminance(colour: str) -> float:
    """As WCAG 2 defines it."""
    levels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("colour", plots.PALETTE)
def test_a_models_colour_can_be_seen_on_a_light_and_on_a_dark_page(colour: str) -> None:
    for page in ("#ffffff", "#151a17"):
        dark, light = sorted((luminance(colour), luminance(page)))
        assert (light + 0.05) / (dark + 0.05) >= 3  # WCAG 1.4.11


def test_of_many_models_no_two_look_the_same() -> None:
    styles = plots.palette([f"m{i}" for i in range(30)])
    assert len({tuple(style.values()) for style in styles.values()}) == 30


def test_the_points_of_lines_are_where_they_are_drawn(tmp_path: Path) -> None:
    figure = FIGURES["learning"]()
    figure.axes[0].plot([20, 30, 40], [0.7, 0.8, 0.75], label="_trial")
    plots.save(figure, tmp_path / "one.svg")
    text = (tmp_path / "one.svg").read_text()
    ((name, points),) = json.loads(unescape(text.split('data-points="')[1].split('"')[0]))
    assert (name, [point[2:] for point in points]) == (
        "trial",
        [["20", "0.7"], ["30", "0.8"], ["40", "0.75"]],
    )
    drawn = re.findall(r'd="M ([\d. ]+)\nL ([\d. ]+)\nL ([\d. ]+)\n"', text)
    places = [[list(map(float, place.split())) for place in line] for line in drawn]
    assert any(np.allclose(line, [point[:2] for point in points], atol=0.06) for line in places), (
        places
    )


def test_values_are_drawn_against_the_line_on_which_they_are_right() -> None:
    figure = FIGURES["values"]()
    assert figure.axes[0].collections[0].get_offsets().tolist() == [[1, 1.5], [3, 2]]
    assert lines(figure) == {"perfect": [[1.0, 1.0], [3.0, 3.0]]}
    residuals = FIGURES["residuals"]()
    assert residuals.axes[0].collections[0].get_offsets().tolist() == [[1.5, -0.5], [2, 1]]
    assert {y for _, y in lines(residuals)["perfect"]} == {0.0}


def test_cross_validation_is_drawn_against_the_leaderboard_with_its_error() -> None:
    axes = FIGURES["agreement"]().axes[0]
    (bars,) = axes.containers
    assert bars[0].get_xydata().tolist() == [[0.5, 0.6], [0.3, 0.2]]
    spans = [segment[:, 0].tolist() for segment in bars[2][0].get_segments()]
    assert spans == [pytest.approx([0.4, 0.6]), [0.3, 0.3]]
    assert [text.get_text() for text in axes.texts] == ["svm", "a blend of a great many…"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("cross-validated score", "public score")


def test_of_very_many_values_some_are_drawn() -> None:
    many = pd.DataFrame({"truth": range(10_000), "predicted": range(10_000)})
    drawn = plots.values(many, "forest").axes[0].collections[0].get_offsets()
    assert drawn[:, 0].tolist() == list(range(0, 10_000, 5))


def test_the_confusion_matrix_writes_its_counts() -> None:
    texts = [text.get_text() for text in FIGURES["confusion"]().axes[0].texts]
    assert texts == ["3", "1", "0", "6"]


def test_the_boundary_of_regions_is_at_one_half_and_classes_have_their_own_marks() -> None:
    figure = FIGURES["regions"]()
    boundary = figure.axes[0].collections[1].get_paths()[0].vertices
    # By hand: 0.1 + 0.8 x and 0.2 + 0.6 x are 0.5 at x = 0.5.
    np.testing.assert_allclose(boundary[:, 0], 0.5)
    drawn = {each.get_label(): each.get_offsets()[0] for each in figure.axes[0].collections[2:]}
    np.testing.assert_allclose(drawn["no"], [0.2, 0.5])
    np.testing.assert_allclose(drawn["yes"], [0.7, 0.6])


def test_a_saved_figure_has_a_title(tmp_path: Path) -> None:
    plots.save(FIGURES["error"](), tmp_path / "error.svg")
    text = (tmp_path / "error.svg").read_text()
    assert "<title>error (log loss) against iterations: converged at 2</title>" in text


def test_long_names_of_classes_leave_the_matrix_its_room() -> None:
    counts = pd.DataFrame(np.eye(10, dtype=int))
    figure = plots.confusion(counts, ["a_long_name_of_a_class"] * 10, "net")
    figure.draw_without_rendering()
    inches = figure.axes[0].get_window_extent().width / figure.dpi
    assert inches / 10 > 0.3
    few = plots.confusion(counts.iloc[:2, :2], ["no", "yes"], "net")
    assert tuple(few.get_size_inches()) == plots.SIZE


def test_of_many_classes_names_are_shortened_and_zeros_are_blank() -> None:
    names = [f"class {k} of a very long name" for k in range(12)]
    counts = pd.DataFrame(np.eye(12, dtype=int) * 3)
    axes = plots.confusion(counts, names, "net").axes[0]
    assert [text.get_text() for text in axes.texts if text.get_text()] == ["3"] * 12
    assert [label.get_text() for label in axes.get_yticklabels()][0] == "class 0 of a very long …"
