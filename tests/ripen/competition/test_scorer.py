"""The competition's metric on rows of its index: their columns, submissions, standard errors."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ripen.competition import scorer as scorers
from ripen.competition.index import Index
from ripen.competition.metrics import METRICS, Metric, chosen
from ripen.competition.scorer import Scorer, SubmissionScorer, perfect, row_column, scorer
from ripen.competition.submission import Form
from ripen.competition.tasks import TASKS
from ripen.core.errors import DataError
from ripen.core.layout import Layout
from ripen.settings.schema import Csv, Files

ROWS = np.arange(4)
RIPE = np.array([0.2, 0.9, 0.4, 0.6])
OUTPUTS = np.stack([1 - RIPE, RIPE], axis=1)


def index(task: str = "binary", classes: tuple[str, ...] = ("no", "yes"), **columns: Any) -> Index:
    usual = {
        "id": ["a", "b", "c", "d"], "part": ["train", "train", "test", "more"],
        "target": ["no", "yes", "", "no"], "group": "", "fold": 0, "problem": "",
    }  # fmt: skip
    return Index(pd.DataFrame(usual | columns), TASKS[task], classes, classes)


def competition(**settings: Any) -> Any:
    usual = {
        "files": Files(),
        "csv": Csv(),
        "id": "id",
        "task": "binary",
        "metric": "accuracy",
        "submission": "label",
    }
    return SimpleNamespace(**(usual | settings))


# --- Standard errors -----------------------------------------------------------------------------


def test_the_error_over_folds_is_that_of_their_mean() -> None:
    found = Scorer(METRICS["accuracy"], np.array([0, 1, 1, 0]), {})
    # Folds of accuracy 1, 0 and 1/2.
    folds = np.array([5, 5, 7, 7])
    rows = np.array([0, 1, 2, 3])
    assert found(rows, OUTPUTS) == 0.5
    assert found.standard_error(rows, OUTPUTS, folds) == pytest.approx(0.5)  # 1 and 0
    uneven = np.array([1, 2, 3, 3])
    expected = np.std([1, 1, 0], ddof=1) / np.sqrt(3)
    assert found.standard_error(rows, OUTPUTS, uneven) == pytest.approx(expected)


def test_the_bootstrap_error_of_a_mean_is_the_known_one() -> None:
    rng = np.random.default_rng(1)
    truth, said = rng.normal(size=2000), rng.normal(size=(2000, 1))
    found = Scorer(METRICS["mae"], truth, {})
    error = found.standard_error(np.arange(2000), said, None)
    known = np.abs(truth - said[:, 0]).std() / np.sqrt(2000)
    assert error == pytest.approx(known, rel=0.2)  # of 100 samples: known to 7%
    assert error == found.standard_error(np.arange(2000), said, None)


def test_samples_without_a_score_do_not_count() -> None:
    auc = Scorer(METRICS["roc_auc"], np.array([0, 1, 1, 0]), {})
    assert 0 < auc.standard_error(ROWS, OUTPUTS, None) < 0.5
    # With one row a fold no fold has both classes.
    assert np.isnan(auc.standard_error(ROWS, OUTPUTS, np.arange(4)))

    def refuses(truth: Any, predicted: Any) -> float:
        raise DataError("no")

    never = replace(METRICS["accuracy"], score=refuses)
    assert np.isnan(Scorer(never, auc.targets, {}).standard_error(ROWS, OUTPUTS, None))


def test_columns_go_with_their_rows() -> None:
    metric = chosen({"metric": "mae", "weight": "w"})
    found = Scorer(metric, np.zeros(4), {"w": np.array([0, 1, 3, 9])})
    rows = np.array([2, 1])
    assert found(rows, np.array([[4.0], [8.0]])) == (3 * 4 + 8) / 4


# --- Columns of the rows -------------------------------------------------------------------------


def test_a_column_is_read_by_id_from_the_training_and_the_solution_file(tmp_path: Path) -> None:
    train, solution = tmp_path / "train.csv", tmp_path / "solution.csv"
    train.write_text("id,w,kind\nb,2.5,x\na,1,y\n")
    solution.write_text("id,w,kind\nc,4,01\n")
    tables = {"train": [train], "test": [solution]}
    rows = index(target=["no", "yes", "yes", "no"])
    np.testing.assert_array_equal(
        row_column("w", tables, competition(), rows, "mae"), [1, 2.5, 4, np.nan]
    )
    assert row_column("kind", tables, competition(), rows, "m").tolist() == ["y", "x", "01", ""]
    grouped = index(group=["p", "q", "r", "s"])
    assert row_column("group", {}, competition(), grouped, "m").tolist() == ["p", "q", "r", "s"]


def test_a_column_of_numbers_with_a_decimal_comma(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("id;w;kind\na;1,5;x,y\nb;2;z\n")
    facts = competition(csv=Csv(separator=";", decimal=","))
    tables = {"train": [tmp_path / "train.csv"]}
    assert row_column("w", tables, facts, index(), "m")[:2].tolist() == [1.5, 2.0]
    assert row_column("kind", tables, facts, index(), "m")[:2].tolist() == ["x,y", "z"]


def test_a_column_that_a_scored_row_lacks_is_one_line(tmp_path: Path) -> None:
    train, solution = tmp_path / "train.csv", tmp_path / "solution.csv"
    train.write_text("id,weight\na,1\nb,2\n")
    solution.write_text("id,target\nc,yes\n")
    tables = {"train": [train], "test": [solution]}
    said = r"^train\.csv: metric 'mae' takes column 'weigt', which row 'a' lacks; did you mean 'wei"
    with pytest.raises(DataError, match=said):
        row_column("weigt", tables, competition(), index(), "mae")
    known = index(target=["no", "yes", "yes", "no"])
    said = r"^solution\.csv: metric 'mae' takes column 'weight', which row 'c' lacks$"
    with pytest.raises(DataError, match=said):
        row_column("weight", tables, competition(), known, "mae")
    # Test rows of unknown target are not scored.
    assert row_column("weight", tables, competition(), index(), "mae")[1] == 2


# --- Tables in the form of a submission ----------------------------------------------------------


def tables_of(
    metric_index: Index, targets: Any, outputs: Any, names: list[str], **facts: Any
) -> Any:
    """Return the solution and the submission that a metric of tables gets."""
    seen: dict[str, pd.DataFrame] = {}

    def score(solution: pd.DataFrame, submission: pd.DataFrame, id: str, k: int) -> float:
        seen.update(solution=solution, submission=submission)
        assert (id, k) == ("id", 3)
        return 1.0

    metric = Metric(
        "m", True, "m", "submission", ("binary",), score, settings={"k": 3}, columns={"w": "w"}
    )
    columns = {"w": np.array([5, 6, 7, 8])}
    found = SubmissionScorer(
        metric, targets, columns, competition(**facts), metric_index, "id", names, Path("s.csv")
    )
    assert found(np.array([1, 3]), outputs) == 1.0
    return seen["solution"].to_dict("list"), seen["submission"].to_dict("list")


@pytest.mark.parametrize(
    ("names", "classes", "submitted", "solution", "submission"),
    [
        (["t"], ("no", "yes"), "label", {"t": ["yes", "no"]}, {"t": ["yes", "yes"]}),
        (["t"], ("0", "1"), "label", {"t": [1, 0]}, {"t": [1, 1]}),
        (["t"], ("False", "True"), "label", {"t": [True, False]}, {"t": [True, True]}),
        (["t"], ("no", "yes"), "probability", {"t": [1, 0]}, {"t": [0.9, 0.6]}),
        (["yes", "no"], ("no", "yes"), "probability", {"yes": [1, 0], "no": [0, 1]},
         {"yes": [0.9, 0.6], "no": [0.1, 0.4]}),
    ],
)  # fmt: skip
def test_classes_are_handed_over_as_the_sample_has_them(
    names: list[str], classes: tuple[str, ...], submitted: str, solution: Any, submission: Any
) -> None:
    found = tables_of(
        index(classes=classes), np.array([0, 1, 1, 0]), OUTPUTS[[1, 3]].round(1), names,
        submission=submitted,
    )  # fmt: skip
    ids = {"id": ["b", "d"]}
    assert found[0] == ids | solution | {"w": [6, 8]}
    assert {key: pytest.approx(value) if value[0] not in ("yes", "no") else value
            for key, value in found[1].items()} == ids | submission  # fmt: skip


def test_values_are_handed_over_as_they_are() -> None:
    values, said = np.array([1.5, 2.5, 3.5, 4.5]), np.array([[2.0], [5.0]])
    solution, submission = tables_of(
        index("regression", ()), values, said, ["t"], submission="value"
    )
    assert solution == {"id": ["b", "d"], "t": [2.5, 4.5], "w": [6, 8]}
    assert submission == {"id": ["b", "d"], "t": [2.0, 5.0]}


def test_the_best_labels_stand_in_one_column_and_the_true_one_alone() -> None:
    seen: list[list[str]] = []

    def score(solution: pd.DataFrame, submission: pd.DataFrame, id: str) -> float:
        seen.extend([solution["t"].tolist(), submission["t"].tolist()])
        return 1.0

    metric = Metric("m", True, "m", "submission", ("multiclass",), score)
    found = SubmissionScorer(
        metric, np.array([2, 0, 1, 1]), {}, competition(submission="labels"),
        index("multiclass", ("x", "y", "z")), "id", ["t"], Path("s.csv"), Form(best=2),
    )  # fmt: skip
    assert found(np.array([0, 1]), np.array([[0.1, 0.6, 0.3], [0.5, 0.1, 0.4]])) == 1.0
    assert seen == [["z", "x"], ["y z", "x z"]]


def test_rows_that_are_drawn_twice_have_different_ids() -> None:
    found = SubmissionScorer(
        METRICS["mae"], np.arange(4.0), {}, competition(submission="value"),
        index("regression", ()), "id", ["t"], Path("s.csv"),
    )  # fmt: skip
    assert found._table(np.array([1, 1, 2]), np.zeros((3, 1)), Form())["id"].tolist() == [0, 1, 2]


def test_perfect_outputs() -> None:
    np.testing.assert_array_equal(perfect(np.array([1, 0]), 3), [[0, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(perfect(np.array([[1, 0], [1, 1]]), 2), [[1, 0], [1, 1]])
    np.testing.assert_array_equal(perfect(np.array([0.5, 2.0]), 1), [[0.5], [2.0]])


def test_a_scorer_of_a_competition_reads_what_its_metric_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    layout = Layout("cheese")
    layout.raw.mkdir(parents=True)
    (layout.raw / "train.csv").write_text("id,t,w\na,1,1\nb,2,3\n")
    (layout.raw / "sample_submission.csv").write_text("ID,t\nc,0\n")
    rows = index("regression", (), target=["1.0", "2.0", "", "4.0"])
    facts = competition(metric={"metric": "mae", "weight": "w"}, submission="value")
    found = scorer(facts, layout, rows)
    assert found(np.array([0, 1]), np.array([[2.0], [4.0]])) == (1 + 3 * 2) / 4
    # A file's metric has the sample's columns and its name of the ids.
    own = Metric("m.py", True, "m", "submission", ("regression",), lambda s, t, id: s[id].size)
    monkeypatch.setattr(scorers, "metric_of", lambda name, settings: own)
    of_tables = scorer(facts, layout, rows)
    assert isinstance(of_tables, SubmissionScorer)
    assert (of_tables.id, of_tables.names) == ("ID", ["t"])
    assert of_tables(np.array([0, 1]), np.zeros((2, 1))) == 2.0
