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
        assert (METRICS[metric].needs != "value") == task.classifies


@pytest.mark.parametrize("name", NAMES)
def test_targets_become_numbers_and_unknown_ones_are_marked(name: str) -> None:
    task = TASKS[name]
    values = ["b", "", "a", "b"] if task.classifies else ["2.5", "", "-1", "1e3"]
    found = task.encode(pd.Series(values), ("a", "b"))
    if task.classifies:
        assert found.dtype == np.int64
        assert found.tolist() == [1, -1, 0, 1]
    else:
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, [2.5, np.nan, -1, 1000])


@pytest.mark.parametrize(
    ("name", "classes", "outputs"),
    [("binary", ("a", "b"), 2), ("multiclass", tuple("abcde"), 5), ("regression", (), 1)],
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
