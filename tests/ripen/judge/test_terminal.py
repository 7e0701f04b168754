from typing import Any

import pytest
from rich.console import Console

from ripen.judge.leaderboard import leaderboard
from ripen.judge.terminal import as_table

AFTER = ["training time", "stopped"]
METRICS = {
    "models": {
        "svm": {"validation": {"log_loss": 0.3, "accuracy": 0.9}, "test": {"accuracy": 0.91}},
        "net": {
            "validation": {
                "log_loss": 0.2,
                "accuracy": 0.8,
                "score": 0.20004,
                "standard_error": 0.012,
            },
            "test": {"accuracy": 0.92},
            "stopped": "converged",
            "iterations": 700,
        },
    },
    "best": "net",
    "best_by": "validation/log_loss",
    "bayes": {"test": {"accuracy": 0.94}},
}


def rows_of(metrics: dict[str, Any], seconds: dict[str, float]) -> list[list[str]]:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(as_table(leaderboard(metrics), seconds, "avocado"))
    lines = [line for line in capture.get().splitlines() if line.startswith(("│", "┃"))]
    cells = [[cell.strip() for cell in line.strip("│┃").split(line[0])] for line in lines]
    heads = [row for row, line in zip(cells, lines, strict=True) if line[0] == "┃"]
    head = [" ".join(filter(None, parts)) for parts in zip(*heads, strict=True)]
    return [head, *cells[len(heads) :]]


def test_the_table_is_sorted_and_shows_why_training_stopped() -> None:
    head, *rows = rows_of(METRICS, {"net": 1.234})
    assert head == [
        "model",
        "validation log loss",
        "validation accuracy",
        "test accuracy",
        "training time",
        "stopped",
    ]
    assert rows == [
        ["net (best)", "0.20004 ± 0.012", "0.8000", "0.9200", "1.23 s", "converged at 700"],
        ["svm", "0.3000", "0.9000", "0.9100", "", ""],
        ["best possible (Bayes)", "", "", "0.9400", "", ""],
    ]
    # After `dvc pull` no time is known.
    assert "training time" not in rows_of(METRICS, {})[0]


def test_with_validation_alone_and_fewer_rows_of_some() -> None:
    head = {"n": 40, "log_loss": 0.3, "accuracy": 0.9, "roc_auc": 0.95}
    full = {"n": 8, "log_loss": 0.2, "accuracy": 0.75, "roc_auc": 0.99}
    models = {"head": {"validation": head}, "full": {"validation": full}}
    table = rows_of({"models": models, "best": "head", "best_by": "validation/log_loss"}, {})
    assert [row[:5] for row in table] == [
        [
            "model",
            "validation rows",
            "validation log loss",
            "validation accuracy",
            "validation AUC",
        ],
        ["full", "8", "0.2000", "0.7500", "0.9900"],
        ["head (best)", "40", "0.3000", "0.9000", "0.9500"],
    ]


def test_with_a_test_part_alone() -> None:
    scores = {"n": 4, "log_loss": 1.5, "accuracy": 0.5, "top5": 0.75}
    metrics = {"models": {"lenet": {"test": scores}}, "best": "lenet", "best_by": "test/log_loss"}
    assert [row[:4] for row in rows_of(metrics, {})] == [
        ["model", "test log loss", "test accuracy", "test top 5"],
        ["lenet (best)", "1.5000", "0.5000", "0.7500"],
    ]


@pytest.mark.parametrize(
    ("width", "headings"),
    [
        (200, ["validation log loss", "validation accuracy", "test accuracy", *AFTER]),
        (90, ["validation log loss", "test accuracy", *AFTER]),
        (76, ["validation log loss", *AFTER]),
        (70, ["validation log loss", "training time"]),
        (50, ["validation log loss"]),
    ],
)
def test_a_narrow_terminal_keeps_the_scores_that_decide(width: int, headings: list[str]) -> None:
    table = as_table(leaderboard(METRICS), {"net": 1.0}, "avocado", width)
    assert [str(column.header).replace("\n", " ") for column in table.columns[1:]] == headings


def test_80_columns_show_names_and_scores_whole() -> None:
    score = {"log_loss": 0.5852, "score": 0.585204, "standard_error": 0.00407}
    ended = {"stopped": "early_stopping", "iterations": 3500}
    models = {
        name: {"validation": score, "test": score} | ended
        for name in ("net", "logistic_regression", "hist_gradient_boosting")
    }
    metrics = METRICS | {"models": models}
    console = Console(width=80)
    with console.capture() as capture:
        console.print(as_table(leaderboard(metrics), dict.fromkeys(models, 12.5), "it", 80))
    shown = capture.get()
    assert "…" not in shown
    assert shown.count("0.58520 ± 0.0041") == 6
