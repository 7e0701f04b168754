"""The data report finds planted faults, each by itself, and nothing in clean data."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ripen.competition.index import Index
from ripen.competition.tasks import TASKS
from ripen.data import parts
from ripen.judge.data_report import DataReport, encoded, examine

N = 240


def columns(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "size": rng.normal(size=2 * N),
            "weight": rng.normal(size=2 * N),
            "colour": rng.choice(["red", "green", "blue"], 2 * N),
        }
    )


def rows(seed: int = 1, **given: Any) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    target = [str(label) for label in rng.integers(0, 2, N)] + [""] * N
    frame = pd.DataFrame({"id": rng.permutation(2 * N).astype(str), "target": target})
    frame["part"] = ["train"] * N + ["test"] * N
    return frame.assign(
        **{"group": "", "problem": "", "fold": [i % 5 for i in range(N)] + [-1] * N} | given
    )


def examined(
    frame: pd.DataFrame, table: pd.DataFrame, classifies: bool = True, file_order: bool = True
) -> DataReport:
    """Examine binary classes or numbers."""
    names = tuple(sorted({label for label in frame["target"] if label})) if classifies else ()
    task = TASKS["binary" if classifies else "regression"]
    return examine(Index(frame, task, names, names), table, 0, file_order=file_order)


def found(report: DataReport, topic: str) -> list[str]:
    return [finding.text for finding in report.findings if finding.topic == topic]


def numbers(seed: int = 2) -> list[str]:
    return [f"{v:.3f}" for v in np.random.default_rng(seed).normal(5, 1, N)] + [""] * N


@pytest.mark.parametrize("classifies", [True, False])
def test_clean_data_has_no_grave_finding(classifies: bool) -> None:
    index = rows() if classifies else rows(target=numbers())
    report = examined(index, columns(), classifies)
    assert [each for each in report.findings if each.grave] == []
    assert report.advice.startswith("A random split")
    assert {each.topic for each in report.findings} == {"train against test", "target"}


def test_the_same_seed_finds_the_same() -> None:
    assert examined(rows(), columns()) == examined(rows(), columns())


def test_several_targets() -> None:
    frame, table = rows(), columns()
    second = (table["size"] > 0).astype(int).astype(str)
    frame["target"] = frame["target"].where(frame["target"] == "", frame["target"] + " " + second)
    names = ("a", "b")
    several = Index(frame, TASKS["multilabel"], names, names)
    report = examine(several, table, 0)
    assert found(report, "leak") == ["column 'size' predicts the target almost alone (AUC 1.00)"]
    assert [text[:3] for text in found(report, "target")] == ["a: ", "b: "]
    numbers = Index(frame, TASKS["regression"], names, names)
    assert [text[:8] for text in found(examine(numbers, table, 0), "target")] == [
        "a: from ", "b: from "
    ]  # fmt: skip


def test_a_column_that_is_the_target() -> None:
    index = rows()
    label = pd.to_numeric(index["target"]).fillna(0)
    leaky = columns().assign(weight=label + np.random.default_rng(0).normal(0, 0.01, 2 * N))
    text = "column 'weight' predicts the target almost alone (AUC 1.00)"
    assert found(examined(index, leaky, True), "leak") == [text]


def test_many_columns_that_are_the_target_are_counted_after_the_first() -> None:
    index = rows()
    label = pd.to_numeric(index["target"]).fillna(0)
    report = examined(index, columns().assign(**{f"box_{k}": label for k in range(13)}))
    *first, last = found(report, "leak")
    assert len(first) == 5
    assert last == "so do 8 more columns: box_5, box_6, box_7, box_8, box_9, …"


def test_a_gap_that_is_the_target() -> None:
    index = rows()
    leaky = columns()
    leaky.loc[index["target"] == "1", "weight"] = np.nan
    assert "column 'weight' predicts" in found(examined(index, leaky, True), "leak")[0]


def test_a_column_that_is_the_number_to_predict() -> None:
    index = rows(target=numbers())
    values = pd.to_numeric(index["target"]).fillna(5)
    (text,) = found(examined(index, columns().assign(weight=2 * values), False), "leak")
    assert text.startswith("column 'weight' predicts the target almost alone (R² ")


def test_ids_and_row_order_that_tell_the_class() -> None:
    index = rows(target=["0"] * (N // 2) + ["1"] * (N // 2) + [""] * N)
    assert found(examined(index, columns(), True), "leak") == [
        "the order of the rows tells the target (AUC 0.99)"
    ]
    assert found(examined(index, columns(), True, file_order=False), "leak") == []
    numbered = index.assign(id=[f"IMG_{i:04}.jpg" for i in range(2 * N)])
    assert found(examined(numbered, columns(), True, file_order=False), "leak") == [
        "the number in the id tells the target (AUC 0.99)"
    ]


def test_rows_in_both_parts() -> None:
    frame = columns()
    frame = frame.iloc[[*range(N), *range(36), *range(N + 36, 2 * N)]].reset_index(drop=True)
    report = examined(rows(), frame, True)
    text = "36 test rows (15%) have the same values as some training row"
    assert found(report, "duplicates") == [text]
    assert report.advice == f"Keep equal rows together in the folds: {text}."


def test_training_rows_that_contradict() -> None:
    frame, index = columns(), rows()
    frame = frame.iloc[[0, 0, 0, *range(3, 2 * N)]].reset_index(drop=True)
    index.loc[:2, "target"] = ["0", "1", "1"]
    assert found(examined(index, frame, True), "duplicates") == [
        "3 training rows have the same values as another, 3 of them with different targets"
    ]


def test_parts_that_differ_are_told_by_their_column() -> None:
    frame = columns()
    frame.loc[N:, "size"] += 4
    report = examined(rows(), frame, True)
    (text,) = found(report, "train against test")
    assert "train and test are very different. By themselves: size (" in text
    assert "weight" not in text
    assert report.advice.startswith("Trust no random split before")


def test_new_categories() -> None:
    frame = columns()
    frame.loc[N : N + 11, "colour"] = "violet"
    text = "in 1 column: colour (violet: 5.0% of the test rows)"
    assert found(examined(rows(), frame, True), "new categories") == [text]


def test_missing_values() -> None:
    frame = columns()
    frame.loc[: N // 2 - 1, "weight"] = np.nan
    assert found(examined(rows(), frame, True), "missing values") == [
        "in 1 of 3 columns, most in weight (50%)",
        "column 'weight': 50% of the training rows, 0% of the test",
    ]


def test_rare_classes_and_skewed_numbers() -> None:
    target = ["a"] * (N - 1) + ["b"] + [""] * N
    assert found(examined(rows(target=target), columns(), True), "target") == [
        "2 classes, from a (99.6%) to b (0.4%)", "below 1%: 1 of the classes, such as b"
    ]  # fmt: skip
    amounts = [f"{np.exp(float(v)):.3f}" for v in numbers()[:N]] + [""] * N
    _, skewed = found(examined(rows(target=amounts), columns(), False), "target")
    assert skewed.endswith("its logarithm may be easier to learn (models do with metric rmsle)")


def test_groups_over_folds() -> None:
    report = examined(rows(group=[f"g{i // 2}" for i in range(2 * N)]), columns(), True)
    assert found(report, "groups") == ["120 of 120 groups have rows in several folds"]
    assert report.advice.startswith("Keep groups together in the folds: 120 of 120")
    together = [i // 2 % 5 for i in range(2 * N)]
    clean = rows(group=[f"g{i // 2}" for i in range(2 * N)], fold=together)
    kept = examined(clean, columns(), True)
    assert found(kept, "groups") == [
        "each group is in one fold, and most rows share theirs with others"
    ]
    assert kept.advice == "Leave the folds as they are: they keep groups together."


def test_groups_that_are_in_one_part_only() -> None:
    frame = columns().assign(patient=[f"p{i // 4}" for i in range(2 * N)])
    report = examined(rows(), frame, True)
    assert found(report, "groups") == ["each patient has several rows, and none is in both parts"]
    ids = [f"{i // 2}_{i % 2}" for i in range(2 * N)]
    assert "the id begins with a group" in examined(rows(id=ids), columns(), True).advice


@pytest.mark.parametrize(
    "values",
    [
        pd.date_range("2020-01-01", periods=2 * N).to_series(name="day").reset_index(drop=True),
        pd.Series(np.arange(2 * N) // 100 + 1990.0, name="year"),
    ],
    ids=["date", "number"],
)
def test_a_later_test_part(values: "pd.Series[Any]") -> None:
    name = str(values.name)
    moved = values.mask(values.index >= N, values.max())
    assert parts.later(moved[:N], moved[N:])
    assert not parts.later(moved[N:], moved[:N])
    report = examined(rows(), columns().assign(**{name: moved}), True)
    text = f"the test rows' {name} is later than the training rows'"
    assert found(report, "time") == [text]
    assert report.advice == f"Split in time: {text}."


def test_images_are_examined_by_their_files() -> None:
    """The size of a file that tells the class, and a file in both parts."""
    index = rows()
    rng = np.random.default_rng(0)
    ripe = index["target"] == "1"
    index["bytes"] = rng.integers(1000, 2000, 2 * N) + 5000 * ripe.astype(int)
    index["brightness"] = rng.uniform(0, 255, 2 * N)
    index["sha256"] = [str(i if i < 2 * N - 1 else 0) for i in range(2 * N)]
    report = examined(index, pd.DataFrame(index=range(2 * N)), file_order=False)
    text = "the size of the images' files predicts the target almost alone (AUC 1.00)"
    assert found(report, "leak") == [text]
    assert found(report, "duplicates") == [
        "1 test rows (below 1%) have the same values as some training row"
    ]
    (drift,) = found(report, "train against test")
    assert "By themselves: the size of the images' files (" in drift


def test_typed_columns_become_numbers() -> None:
    ordered = pd.Series(["low", "high", None]).astype(
        pd.CategoricalDtype(["low", "high"], ordered=True)
    )
    assert encoded(ordered)[:2].tolist() == [0, 1]
    assert np.isnan(encoded(ordered)[2])
    flags = pd.Series([True, None, False]).astype("boolean")
    assert encoded(flags)[[0, 2]].tolist() == [1, 0]
    days = encoded(pd.Series(pd.to_datetime(["2020-01-02", None, "2020-01-01"])))
    assert days[0] > days[2]
    assert np.isnan(days[1])
    assert encoded(pd.Series(["b", "a", "b", "a", "b"])).tolist() == [1, 0, 1, 0, 1]
    assert encoded(pd.Series(["one", "three"])).tolist() == [3, 5]
