"""Tasks: invariants over the whole registry, and how targets become numbers."""

import numpy as np
import pandas as pd
import pytest

from caffe import layers as L
from ripen.competition.metrics import METRICS
from ripen.competition.tasks import TASKS
from ripen.core.errors import ConfigError, DataError

NAMES = sorted(TASKS)


@pytest.mark.parametrize("name", NAMES)
def test_a_task_has_a_loss_of_caffe_and_metrics_that_its_outputs_allow(name: str) -> None:
    task = TASKS[name]
    assert task.name == name
    assert hasattr(L, task.loss)
    assert task.error
    assert task.metrics
    for metric in task.metrics:
        METRICS[metric].check(name)


ENCODED = {
    "binary": (["b", "", "a", "b"], ("a", "b"), [1, -1, 0, 1]),
    "multiclass": (["b", "", "a", "c"], ("a", "b", "c"), [1, -1, 0, 2]),
    "multilabel": (["0 1", "", "1 1"], ("x", "y"), [[0, 1], [-1, -1], [1, 1]]),
    "regression": (["2.5", "", "-1", "1e3"], (), [2.5, np.nan, -1, 1000]),
    "regression of two": (["2.5 -1", ""], ("x", "y"), [[2.5, -1], [np.nan, np.nan]]),
}


@pytest.mark.parametrize("case", ENCODED)
def test_targets_become_numbers_and_unknown_ones_are_marked(case: str) -> None:
    values, classes, expected = ENCODED[case]
    task = TASKS[case.partition(" ")[0]]
    found = task.encode(pd.Series(values), classes)
    assert found.dtype == (np.int64 if task.probabilities else np.float64)
    np.testing.assert_array_equal(found, expected)
    assert task.encode(pd.Series([], dtype="str"), classes).shape == (0, *found.shape[1:])


def test_every_task_has_a_case() -> None:
    assert {case.partition(" ")[0] for case in ENCODED} == set(NAMES)


def test_several_targets_are_outputs_by_their_names() -> None:
    assert TASKS["regression"].named(["x"]) == TASKS["binary"].named(["x"]) == []
    assert TASKS["regression"].named(["x", "y"]) == ["x", "y"]
    assert TASKS["multilabel"].named(["x"]) == ["x"]
    with pytest.raises(ConfigError, match=r"task 'binary' has one target, and target lists 2"):
        TASKS["binary"].named(["x", "y"])


@pytest.mark.parametrize(
    ("name", "classes", "outputs"),
    [
        ("binary", ("a", "b"), 2),
        ("multiclass", tuple("abcde"), 5),
        ("multilabel", ("x", "y"), 2),
        ("regression", (), 1),
        ("regression", ("x", "y"), 2),
    ],
)
def test_a_model_gives_one_output_a_class_or_one_value(
    name: str, classes: tuple[str, ...], outputs: int
) -> None:
    assert TASKS[name].outputs(classes) == outputs
    TASKS[name].check_classes(classes, "train.csv")


@pytest.mark.parametrize(
    ("name", "classes", "message"),
    [
        ("binary", "a", r"train\.csv: the target has 1 classes \(a\), and task 'binary' needs 2"),
        ("binary", "abc", r"the target has 3 classes \(a, b, c\), and task 'binary' needs 2"),
        ("binary", "abcdef", r"has 6 classes \(a, b, c, d, e, …\), and task 'binary' needs 2"),
        ("multiclass", "a", r"has 1 classes \(a\), and task 'multiclass' needs at least 2"),
    ],
)
def test_another_number_of_classes_is_an_error(name: str, classes: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        TASKS[name].check_classes(list(classes), "train.csv")


def test_an_unknown_task_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown task 'multi_class'; did you mean 'multiclass"):
        TASKS["multi_class"]
