from rich.console import Console

from ripen.report import leaderboard

METRICS = {
    "models": {
        "svm": {"validation": {"log_loss": 0.3, "accuracy": 0.9}, "test": {"accuracy": 0.91}},
        "net": {
            "validation": {"log_loss": 0.2, "accuracy": 0.8},
            "test": {"accuracy": 0.92},
            "stopped": "converged",
            "iterations": 700,
        },
    },
    "best": "net",
    "bayes": {"test": {"accuracy": 0.94}},
}


def test_the_table_is_sorted_and_says_why_training_stopped() -> None:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(leaderboard(METRICS, {"net": 1.234}, "avocado"))
    rows = [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in capture.get().splitlines()
        if line.startswith("│")
    ]
    assert rows == [
        ["net (best)", "0.2000", "0.8000", "0.9200", "1.23 s", "converged at 700"],
        ["svm", "0.3000", "0.9000", "0.9100", "", ""],
        ["best possible (Bayes)", "", "", "0.9400", "", ""],
    ]
