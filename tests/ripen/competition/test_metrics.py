"""Metrics: invariants over the whole registry, their settings, and what does not fit."""

import re
from dataclasses import MISSING, fields
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ripen.competition import metrics
from ripen.competition.metrics import METRICS, Metric, chosen, settings_of
from ripen.competition.tasks import TASKS
from ripen.core.errors import ConfigError, DataError

CLASSES = 7  # more than five, for which top 5 is defined
NAMES = sorted(METRICS)
# Of one column of values, or of two and more.
ONE, SEVERAL = {"concordance_index", "normalized_gini_values"}, {"kl_divergence"}
CASES = [
    (name, task, columns)
    for name in NAMES
    for task in METRICS[name].tasks
    for columns in ((1, 3) if task == "regression" else (1,))
    if not (name in ONE and columns > 1) and not (name in SEVERAL and columns == 1)
]

Case = tuple[Metric, NDArray[Any], NDArray[np.float64], dict[str, NDArray[Any]]]


def named(name: str, **settings: Any) -> Metric:
    """Return a metric with the columns that it cannot do without, all of them called "c"."""
    kind = settings_of(METRICS[name].score)
    needed = [field.name for field in fields(kind) if field.default is MISSING]
    return chosen({"metric": name} | dict.fromkeys(needed, "c") | settings)


def case(name: str, task: str, columns: int, seed: int, n: int = 42) -> Case:
    """Return a metric, a truth in which everything occurs, random outputs, and the rows' column."""
    rng = np.random.default_rng(seed)
    rows = {"c": rng.permutation(np.arange(n) % 3)}
    if task == "multilabel":
        truth = rng.permuted(np.arange(n)[:, None] % [2, 3, 4, 5] == 0, axis=0).astype(np.int64)
        truth[np.arange(n), rng.integers(4, size=n)] = 1
        return named(name), truth, rng.uniform(size=truth.shape), rows
    if task == "regression":
        values, outputs = rng.dirichlet(np.ones(3), n), rng.dirichlet(np.ones(3), n)
        one = columns == 1
        return named(name), values[:, 0] if one else values, outputs[:, :columns], rows
    classes = 2 if task == "binary" else CLASSES
    truth = rng.permutation(np.arange(n) % classes)
    return named(name), truth, rng.dirichlet(np.ones(classes), n), rows


def perfect(task: str, truth: NDArray[Any]) -> NDArray[np.float64]:
    """Return the outputs of a model that knows the truth."""
    if task in ("binary", "multiclass"):
        return np.asarray(np.eye(truth.max() + 1)[truth])
    return truth.reshape(len(truth), -1).astype(np.float64)


def test_the_registry_is_complete() -> None:
    wanted = """accuracy balanced_accuracy log_loss roc_auc mean_column_auc normalized_gini brier
        average_precision map_at_k top5 top_k f1 f1_micro f1_macro f1_weighted f1_samples f_beta mcc
        mae quadratic_weighted_kappa jaccard dice rmse mean_column_rmse mean_column_rmsle rmsle
        pinball median_ae mape smape rmspe r2 pearson spearman kl_divergence log_mae_by_group lwlrap
        weighted_multilabel_log_loss ndcg_at_k laplace_log_likelihood concordance_index"""
    assert set(wanted.split()) - set(NAMES) == set()


@pytest.mark.parametrize("name", [name for name in NAMES if METRICS[name].ranks])
def test_a_metric_that_only_ranks_takes_any_monotone_transform(name: str) -> None:
    task = METRICS[name].tasks[0]
    metric, truth, outputs, rows = case(name, task, 1, seed=3)
    moved = outputs**3
    if task == "binary":
        moved[:, 0] = 1 - moved[:, 1]
    assert metric(truth, moved, rows) == pytest.approx(metric(truth, outputs, rows))


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_says_what_it_is_and_where_it_is_from(name: str) -> None:
    metric = METRICS[name]
    assert metric.name == name
    assert metric.title
    assert metric.needs in ("label", "probability", "value", "ranking")
    text = metric.score.__doc__ or ""
    assert text.startswith("Return ")
    assert re.search(r"\n\n    Source: \S", text)
    assert metric.tasks
    assert (metric.needs == "value") == (metric.tasks == ("regression",))


def test_titles_are_all_different() -> None:
    assert len({metric.title for metric in METRICS.values()}) == len(METRICS)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("name", "task", "columns"), CASES)
def test_a_perfect_prediction_is_the_best(name: str, task: str, columns: int, seed: int) -> None:
    metric, truth, outputs, rows = case(name, task, columns, seed)
    best, other = metric(truth, perfect(task, truth), rows), metric(truth, outputs, rows)
    assert best > other if metric.greater_is_better else best < other
    assert metric.best({"other": other, "perfect": best}) == "perfect"
    if name not in ("log_mae_by_group", "laplace_log_likelihood"):  # which end elsewhere
        assert best == pytest.approx(float(metric.greater_is_better), abs=1e-12)


@pytest.mark.parametrize(("name", "task", "columns"), CASES)
def test_better_predictions_are_better(name: str, task: str, columns: int) -> None:
    """Mixing in the truth moves every metric in its direction."""
    metric, truth, outputs, rows = case(name, task, columns, 4, n=420)
    known = perfect(task, truth)
    mixed = [metric(truth, (1 - w) * outputs + w * known, rows) for w in (0.0, 0.2, 0.5)]
    assert mixed == sorted(mixed, reverse=not metric.greater_is_better)
    assert mixed[0] != mixed[-1]


@pytest.mark.parametrize(("name", "task", "columns"), CASES)
def test_values_that_are_too_low_count_as_the_least_that_a_metric_knows(
    name: str, task: str, columns: int
) -> None:
    metric, truth, outputs, rows = case(name, task, columns, 2)
    counted = metric.counted(outputs - 0.2)
    if metric.least is None:
        np.testing.assert_array_equal(counted, outputs - 0.2)
    else:
        assert counted.min() == metric.least
        assert metric(truth, outputs - 0.2, rows) == metric(truth, counted, rows)


@pytest.mark.parametrize(("name", "task", "columns"), CASES)
def test_the_order_of_rows_does_not_matter(name: str, task: str, columns: int) -> None:
    for seed in range(3):
        metric, truth, outputs, rows = case(name, task, columns, seed)
        outputs = outputs.round(1) + 0.01  # with ties
        order = np.random.default_rng(seed).permutation(len(truth))
        found = metric(truth[order], outputs[order], {"c": rows["c"][order]})
        assert found == pytest.approx(metric(truth, outputs, rows), rel=1e-9)


@pytest.mark.parametrize(("name", "task", "columns"), CASES)
def test_a_metric_reads_no_more_than_it_needs(name: str, task: str, columns: int) -> None:
    """Labels and rankings stay the same where probabilities become more certain."""
    metric, truth, outputs, rows = case(name, task, columns, 1)
    if metric.needs in ("label", "ranking"):
        sharper = 0.5 + np.cbrt(outputs - 0.5) / 2 if task == "multilabel" else outputs**2
        assert metric(truth, sharper, rows) == metric(truth, outputs, rows)
    before = truth.copy(), outputs.copy()
    metric(truth, outputs, rows)
    np.testing.assert_array_equal(truth, before[0])
    np.testing.assert_array_equal(outputs, before[1])


@pytest.mark.parametrize(("name", "task", "columns"), CASES)
def test_rows_that_sum_to_one_only_nearly_score_the_same(
    name: str, task: str, columns: int
) -> None:
    metric, truth, outputs, rows = case(name, task, columns, 5)
    if task in ("binary", "multiclass"):
        off = (outputs * (1 + 3e-7)).astype(np.float32)
        assert metric(truth, off, rows) == pytest.approx(metric(truth, outputs, rows), rel=1e-6)


@pytest.mark.parametrize(("name", "task", "columns"), CASES)
def test_a_single_row_has_a_score_or_none(name: str, task: str, columns: int) -> None:
    metric, truth, outputs, rows = case(name, task, columns, 6)
    found = metric(truth[:1], outputs[:1], {"c": rows["c"][:1]})
    undefined = {
        "roc_auc", "normalized_gini", "mean_column_auc", "r2", "pearson", "spearman",
        "concordance_index", "normalized_gini_values",
    }  # fmt: skip
    if name not in ("average_precision", "quadratic_weighted_kappa"):  # of one class alone
        assert np.isnan(found) == (name in undefined)


@pytest.mark.parametrize(("name", "task", "columns"), CASES)
def test_outputs_of_another_form_are_refused_in_one_line(
    name: str, task: str, columns: int
) -> None:
    metric, truth, outputs, rows = case(name, task, columns, 7)
    one = outputs[:, :1] if task in ("binary", "multiclass") else np.hstack([outputs, outputs])
    for wrong in (one, outputs[1:]):
        with pytest.raises(DataError, match=rf"^metric '{name}' needs .* of shape \(42, .*gave \("):
            metric(truth, wrong, rows)


def test_a_metric_that_needs_probabilities_where_a_model_has_none() -> None:
    with pytest.raises(DataError, match=r"'log_loss' needs probabilities of shape \(3, classes\)"):
        METRICS["log_loss"](np.array([0, 1, 1]), np.array([[0.1], [0.9], [0.8]]))


@pytest.mark.parametrize(
    ("name", "task", "said"),
    [
        ("rmse", "binary", "metric 'rmse' needs a value, which task 'binary' does not give"),
        ("log_loss", "regression", "'log_loss' needs a probability, which task 'regression' does"),
        ("map_at_k", "regression", "'map_at_k' needs a ranking, which task 'regression' does not"),
        ("f1", "multiclass", "'f1' is not for task 'multiclass'. It is for: binary"),
        ("lwlrap", "binary", "'lwlrap' is not for task 'binary'. It is for: multilabel"),
    ],
)
def test_a_metric_that_does_not_fit_the_task_is_refused(name: str, task: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        METRICS[name].check(task)


def test_every_metric_of_a_task_fits_it() -> None:
    for name, task in TASKS.items():
        for metric in task.metrics:
            if metric != "top5":  # absent where there are five classes or fewer
                METRICS[metric].check(name)


@pytest.mark.parametrize("greater", [True, False])
def test_equal_scores_keep_their_order(greater: bool) -> None:
    order = metrics.Order("m", greater)
    expected = ["b", "c", "a"] if greater else ["a", "b", "c"]
    assert order.ranked({"b": 1.0, "c": 1.0, "a": 0.5}) == expected
    assert order.best({"b": 1.0, "c": 1.0, "a": 0.5}) == expected[0]


def test_an_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown metric 'log_los'; did you mean 'log_loss'\?"):
        METRICS["log_los"]
    with pytest.raises(ValueError, match="two metrics are called 'accuracy'"):
        metrics.metric("accuracy", "x", "label", greater_is_better=True, tasks=("binary",))(max)


# --- Settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"metric": "f_beta", "betta": 2}, "metric 'f_beta': unknown key 'betta'; did you mean"),
        ({"metric": "f_beta", "beta": -1}, "metric 'f_beta': beta is -1: input should be"),
        ({"metric": "f_beta", "beta": "x"}, "metric 'f_beta': beta is 'x': input should be"),
        ({"metric": "map_at_k", "k": 1.5}, "metric 'map_at_k': k is 1.5: input should be"),
        ({"metric": "pinball", "quantile": 1}, "metric 'pinball': quantile is 1: input should"),
        ({"metric": "log_mae_by_group"}, "metric 'log_mae_by_group': key 'group' is missing"),
        ({"metric": "mae", "weight": 3}, "metric 'mae': weight is 3: input should be"),
        ({"metric": "log_los"}, "unknown metric 'log_los'; did you mean 'log_loss'?"),
        ({"k": 3}, "metric: key 'metric' is missing"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_are_one_line(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        chosen(given)


def test_settings_change_the_score_and_the_title() -> None:
    truth, outputs = np.array([0, 1, 1, 0, 1]), np.eye(2)[[0, 1, 0, 1, 0]]
    # Of the second class 1 right, 1 too many, 2 missed: precision 1/2, recall 1/3.
    two = chosen({"metric": "f_beta", "beta": 2})
    assert two(truth, outputs) == pytest.approx(5 * (1 / 6) / (4 / 2 + 1 / 3))
    assert two.title == "F-beta (beta 2)"
    assert chosen("f_beta")(truth, outputs) == METRICS["f1"](truth, outputs) == pytest.approx(0.4)
    assert chosen("f_beta").title == "F-beta"


@pytest.mark.parametrize(
    ("name", "task", "parameter"),
    [
        (name, METRICS[name].tasks[-1], parameter)
        for name in NAMES
        for parameter in ("weight", "event")
        if parameter in {field.name for field in fields(settings_of(METRICS[name].score))}
    ],
)
def test_a_column_of_ones_changes_nothing_and_another_does(
    name: str, task: str, parameter: str
) -> None:
    without, truth, outputs, _ = case(name, task, 1, 8)
    metric = named(name, **{parameter: "own"})
    assert metric.columns[parameter] == "own"
    ones = {"own": np.array(["1"] * len(truth))}  # as a CSV file has them
    assert metric(truth, outputs, ones) == pytest.approx(without(truth, outputs))
    some = {"own": np.arange(len(truth)) % 2}
    assert metric(truth, outputs, some) != pytest.approx(without(truth, outputs))
    with pytest.raises(DataError, match="the metric needs a column of numbers, and 'x' is not one"):
        metric(truth, outputs, {"own": np.array(["x"] * len(truth))})


def test_weights_below_nought_are_refused() -> None:
    metric = chosen({"metric": "mae", "weight": "w"})
    for weights in ([1, -1], [0, 0]):
        with pytest.raises(DataError, match="needs weights of 0 or more, one of them above 0"):
            metric(np.array([1.0, 2.0]), np.ones((2, 1)), {"w": np.array(weights)})


@pytest.mark.parametrize("weights", [[1, 2, 3], [0, 0]])
def test_weights_of_another_number_of_labels_are_refused(weights: list[float]) -> None:
    said = r"^metric: \[[0-9., ]+\] must be 2 weights, one of them above 0$"
    truths = {"weighted_log_loss": [0, 1], "weighted_multilabel_log_loss": [[0, 1], [1, 0]]}
    for name, truth in truths.items():
        with pytest.raises(DataError, match=said):
            chosen({"metric": name, "weights": weights})(np.array(truth), np.full((2, 2), 0.5))


def test_scores_come_in_the_order_of_their_names_and_once() -> None:
    _, labels, probabilities, _ = case("accuracy", "multiclass", 1, 0)
    found = metrics.scores(("brier", "accuracy", "brier"), labels, probabilities)
    assert list(found) == ["n", "brier", "accuracy"]
    assert all(value == round(value, 4) for value in found.values())
    assert list(metrics.scores(("top5", "accuracy"), labels % 2, probabilities[:, :2])) == [
        "n",
        "accuracy",
    ]
