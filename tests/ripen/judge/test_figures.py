"""Curves, matrices and tables of a model's outputs, against arithmetic and scikit-learn."""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import auc, roc_auc_score

from ripen.judge.figures import (
    by_class,
    confused,
    confusions,
    draw_values,
    most_confused,
    reliability,
    roc_points,
    values,
)
from ripen.judge.scoring import Scored
from tests.ripen.judge.two_models import scored

NAMES = [f"class {k}" for k in range(25)]


def many(n: int = 200, classes: int = 25) -> Scored:
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(n) % 20)  # five classes never occur
    probabilities = rng.dirichlet(np.ones(classes), n)
    probabilities[np.arange(n), labels] += 0.15
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return Scored("net", "test", np.arange(n), labels, probabilities)


def test_roc_points_worked_out_by_hand() -> None:
    points = roc_points(scored("net", "test", [0.2, 0.9, 0.4, 0.6]))
    # Thresholds fall: 0.9 (true), 0.6 (false), 0.4 (true), 0.2 (false).
    assert points.false_positive_rate.tolist() == [0.0, 0.0, 0.5, 0.5, 1.0]
    assert points.true_positive_rate.tolist() == [0.0, 0.5, 0.5, 1.0, 1.0]
    assert set(points.model) == {"net"}


def test_the_roc_of_many_classes_is_that_of_each_against_the_rest() -> None:
    one = many()
    points = roc_points(one)
    area = auc(points.false_positive_rate, points.true_positive_rate)
    true = np.eye(25)[one.labels]
    assert abs(area - roc_auc_score(true, one.outputs, average="micro")) < 1e-3
    assert not points.duplicated().any()


def test_reliability_of_two_classes_is_of_the_second() -> None:
    said = np.repeat([0.1, 0.6, 0.9], 10)
    labels = np.array([0] * 9 + [1] + [0] * 4 + [1] * 6 + [1] * 10)
    one = Scored("m", "test", np.arange(30), labels, np.stack([1 - said, said], axis=1))
    assert reliability(one, 3).to_dict("list") == {
        "predicted": [0.1, 0.6, 0.9],
        "observed": [0.1, 0.6, 1.0],
    }


def test_reliability_of_more_is_of_the_most_probable() -> None:
    rows = [[0.5, 0.3, 0.2]] * 4 + [[0.1, 0.1, 0.8]] * 4
    one = Scored("m", "test", np.arange(8), np.array([0, 0, 1, 2, 2, 2, 2, 0]), np.array(rows))
    assert reliability(one, 2).to_dict("list") == {
        "predicted": [0.5, 0.8],
        "observed": [0.5, 0.75],
    }


def test_a_table_by_class_worked_out_by_hand() -> None:
    p = np.full((4, 7), 0.01)
    p[0, [0, 1]] = 0.7, 0.2  # class 0: right
    p[1, [1, 0]] = 0.7, 0.2  # class 0: taken for 1
    p[2, [4, 0]] = 0.7, 0.2  # class 4: right
    p[3] = [0.2, 0.18, 0.16, 0.14, 0.12, 0.11, 0.09]  # class 6: not among five
    one = Scored("net", "test", np.arange(4), np.array([0, 0, 4, 6]), p)
    assert by_class(one, NAMES).to_dict("list") == {
        "class": ["class 0", "class 4", "class 6"],
        "n": [2, 1, 1],
        "accuracy": [0.5, 1.0, 0.0],
        "top5": [1.0, 1.0, 0.0],
        "probability": [0.45, 0.7, 0.09],
        "predicted": [2, 1, 0],
        "most_often": ["class 0", "class 4", "class 0"],
    }
    assert confused(one, NAMES).to_dict("list") == {
        "actual": ["class 0", "class 6"],
        "predicted": ["class 1", "class 0"],
        "n": [1, 1],
        "probability": [0.7, 0.2],
    }
    assert most_confused(one, 2).tolist() == [0, 1]
    assert most_confused(one, 3).tolist() == [0, 1, 6]


def test_of_many_classes_the_most_confused_are_drawn(tmp_path: Path) -> None:
    one = many()
    confusions(one, NAMES, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "classes.csv",
        "confused.csv",
        "confusion.svg",
    }
    table = pd.read_csv(tmp_path / "classes.csv")
    predicted = one.outputs.argmax(axis=1)
    assert table.n.sum() == 200
    assert (table.accuracy * table.n).sum() / 200 == np.mean(predicted == one.labels)
    assert pd.read_csv(tmp_path / "confused.csv").n.sum() == (predicted != one.labels).sum()


def test_of_few_classes_all_are_drawn(tmp_path: Path) -> None:
    one = Scored("m", "test", np.arange(3), np.array([0, 1, 1]), np.eye(2)[[0, 0, 1]])
    confusions(one, ("cat", "dog"), tmp_path)
    rows = pd.read_csv(tmp_path / "confusion.csv")
    assert rows.values.tolist() == [["cat", "cat"], ["dog", "cat"], ["dog", "dog"]]


def regression() -> Scored:
    truth, predicted = np.array([1.0, 2.0, 4.0]), np.array([[1.5], [2.0], [3.0]])
    return Scored("forest", "test", np.arange(3), truth, predicted)


def test_values_and_residuals_worked_out_by_hand() -> None:
    assert values(regression()).to_dict("list") == {
        "truth": [1.0, 2.0, 4.0],
        "predicted": [1.5, 2.0, 3.0],
        "residual": [-0.5, 0.0, 1.0],
    }


def test_a_regression_is_drawn_the_same_each_time(tmp_path: Path) -> None:
    for name in ("first", "again"):
        (tmp_path / name).mkdir()
        draw_values(regression(), {"forest": {"color": "#d0434a"}}, tmp_path / name)
    first, again = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("first", "again")
    )
    assert first == again
    assert set(first) == {"values.csv", "values.svg", "residuals.svg"}
    assert b"predicted value against true value: forest, test" in first["values.svg"]
    assert all(b"#d0434a" in drawn for name, drawn in first.items() if name.endswith("svg"))
    assert b"against predicted value: forest, test" in first["residuals.svg"]
