"""The one leaderboard: its order, its table, and what is rendered of it."""

import json
from pathlib import Path

import pytest

from ripen.core.errors import DataError
from ripen.judge.leaderboard import Column, leaderboard, read_metrics, table, two_digits
from tests.ripen.judge.two_models import NET, SVM, TRAINING, binary_scores, evaluate, scored

pytestmark = pytest.mark.usefixtures("few_samples")


def test_the_leaderboard_is_sorted_by_what_decides() -> None:
    found = table(leaderboard(evaluate([*SVM, *NET], {}, None)))
    assert found.model.tolist() == ["net", "svm"]
    alone = table(leaderboard(evaluate([SVM[1], NET[1]], {}, None)))
    assert alone.model.tolist() == ["net", "svm"]
    assert alone.test_n.tolist() == [4, 4]
    assert not [name for name in alone.columns if name.startswith("validation")]


def test_the_table_has_every_score_and_the_bayes_rule_last() -> None:
    bayes = {"test": binary_scores(NET[1]), "expected": {"accuracy": 0.91}}
    metrics = evaluate([*SVM, *NET], {"net": TRAINING}, bayes)
    found = table(leaderboard(metrics))
    names = ["n", *binary_scores(NET[0])][1:]
    assert list(found) == [
        "model",
        *(f"{part}_{name}" for part in ("validation", "test") for name in names),
    ]
    assert found.model.tolist() == ["net", "svm", "bayes"]
    for place, model in enumerate(("net", "svm")):
        for part in ("validation", "test"):
            for name, value in metrics["models"][model][part].items():
                assert found.at[place, f"{part}_{name}"] == value
    assert found.iloc[2].isna().tolist() == [False] + [True] * len(names) + [False] * len(names)
    assert found.to_csv(index=False).splitlines()[1].startswith("net,4,1.0,")
    assert names[-2:] == ["score", "standard_error"]


def test_a_row_has_everything_that_is_rendered() -> None:
    board = leaderboard(evaluate([*SVM, *NET], {"net": TRAINING}, None))
    first, second = board.rows
    assert (first.best, second.best) == (True, False)
    assert (first.ended, second.ended) == ("converged at 700", "")
    assert board.decides == Column("validation", "log_loss")
    net = binary_scores(NET[0])
    shown = f"{net['score']:.5f} ± {two_digits(net['standard_error'])}"
    assert board.text(first, board.decides) == shown
    assert board.text(first, Column("test", "accuracy")) == "1.0000"
    assert board.text(first, Column("test", "n")) == "4"
    assert board.text(first, Column("test", "top5")) == ""


def test_the_summary_begins_with_the_metric_that_decides() -> None:
    board = leaderboard(evaluate([*SVM, *NET], {}, None, metric="roc_auc"))
    assert [board.heading(column) for column in board.summary] == [
        "validation AUC",
        "validation accuracy",
        "validation log loss",
        "test AUC",
        "test accuracy",
    ]


def test_a_model_without_the_score_that_decides_comes_last() -> None:
    alone = scored("pretrained", "test", [0.0, 1.0, 1.0, 0.0])
    board = leaderboard(evaluate([alone, *SVM, *NET], {}, None))
    assert [row.model for row in board.rows] == ["net", "svm", "pretrained"]
    assert board.text(board.rows[2], board.decides) == ""


def test_metrics_are_read_from_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"metrics/cheese\.json: no such file\. Run: ripen run"):
        read_metrics("cheese")
    Path("metrics").mkdir()
    metrics = evaluate([*SVM, *NET], {}, None)
    Path("metrics/cheese.json").write_text(json.dumps(metrics))
    assert read_metrics("cheese") == json.loads(json.dumps(metrics))
