"""The blend: every blender's invariants, known best mixtures, honest folds, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from ripen.competition import predictions
from ripen.competition.index import Index
from ripen.competition.metrics import METRICS
from ripen.competition.scorer import Scorer
from ripen.competition.tasks import TASKS
from ripen.core.errors import ConfigError, DataError
from ripen.core.layout import Layout
from ripen.learn import blending
from ripen.learn.blenders import (
    BLENDERS,
    KNOTS,
    Mixture,
    Sample,
    as_json,
    chosen,
    from_json,
    rank_of,
)
from ripen.learn.complete import complete
from ripen.settings.compose import as_mapping, changed
from ripen.settings.schema import Blend

Floats = NDArray[np.float64]
LAYOUT = Layout("cheese")
QUICK = Blend(bags=2, steps=3)
# A metric of each task; the first two are ranks.
METRIC = {
    "binary": "roc_auc",
    "multilabel": "mean_column_auc",
    "multiclass": "log_loss",
    "regression": "rmsle",
}
CLASSES = {
    "binary": ("0", "1"),
    "multiclass": ("a", "b", "c"),
    "multilabel": ("x", "y"),
    "regression": (),
}
CASES = [
    (name, task)
    for name in BLENDERS
    for task in METRIC
    if BLENDERS[name].fits(TASKS[task], METRICS[METRIC[task]])
]


def drawn(task: str, n: int, noise: list[float], seed: int = 0) -> tuple[Any, Floats]:
    """Return targets, and the outputs of models that know them up to a noise each."""
    rng = np.random.default_rng(seed)
    if task == "regression":
        y = rng.gamma(3, size=n)
        return y, np.stack([np.exp(np.log1p(y) + s * rng.normal(size=n)) - 1 for s in noise])[
            ..., None
        ]
    k = len(CLASSES[task])
    z = rng.normal(size=(n, k))
    y = (z > 0).astype(np.int64) if task == "multilabel" else z.argmax(axis=1)
    told = [np.exp(3 * (z + s * rng.normal(size=(n, k)))) for s in noise]
    ways = [p / (1 + p) if task == "multilabel" else p / p.sum(axis=1, keepdims=True) for p in told]
    return y, np.stack(ways)


def sample(task: str, y: Any, outputs: Floats, metric: str = "", bags: int = 1) -> Sample:
    found = METRICS[metric or METRIC[task]]
    scorer = Scorer(found, y, {})
    return Sample(outputs, y, scorer.loss, TASKS[task], found, bags, 4, 1)


def index(task: str, y: Any, folds: Any, **columns: Any) -> Index:
    """Return an index of training rows with targets and folds, and two test rows."""
    n, texts = len(y), [" ".join(map(str, row)) for row in np.atleast_2d(np.asarray(y).T).T]
    if task in ("binary", "multiclass"):
        texts = [CLASSES[task][label] for label in y]
    rows = {
        "id": [str(k) for k in range(n + 2)], "part": ["train"] * n + ["test"] * 2,
        "target": [*texts, "", ""], "fold": [*folds, -1, -1], "problem": "", "group": "",
    }  # fmt: skip
    return Index(pd.DataFrame(rows | columns), TASKS[task], CLASSES[task], CLASSES[task])


def tables(rows: Index, outputs: Floats) -> dict[str, pd.DataFrame]:
    """Return predictions as `fit` leaves them: fold by fold."""
    order = np.argsort(rows.folds[:-2], kind="stable")
    test = np.array([len(order), len(order) + 1])
    return {
        f"m{place}": pd.concat(
            [
                predictions.table("validation", order, each[order]),
                predictions.table("test", test, each[:2]),
            ],
            ignore_index=True,
        )
        for place, each in enumerate(outputs)
    }


def blended(rows: Index, outputs: Floats, metric: str, settings: Blend = QUICK) -> Any:
    """Return the pool and the blend of models."""
    pool = blending.pool(tables(rows, outputs), rows, LAYOUT, settings, 1)
    scorer = Scorer(METRICS[metric], rows.targets, {})
    return pool, blending.blend(pool, rows, scorer, settings, 1)


# --- Every blender -------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "task"), CASES)
def test_a_blender_beats_its_members_and_survives_its_file(name: str, task: str) -> None:
    y, outputs = drawn(task, 160, [0.5, 0.5, 0.6, 3.0])
    taken = sample(task, y, outputs)
    mixture = BLENDERS[name].fit(taken)
    again = from_json(json.loads(json.dumps(as_json(mixture, ["a", "b", "c", "d"]))))
    found = again.predict(outputs)
    np.testing.assert_array_equal(found, mixture.predict(outputs))
    np.testing.assert_array_equal(found, BLENDERS[name].fit(taken).predict(outputs))
    assert found.shape == outputs.shape[1:]
    assert (mixture.weights >= 0).all()
    if name != "ranks":  # the poor model's place is not 0 where only ranks count
        assert mixture.weights[3] <= mixture.weights[:3].mean() / 2
    if TASKS[task].classifies:
        np.testing.assert_allclose(found.sum(axis=1), 1)
    rows = np.arange(len(y))
    assert taken.loss(rows, found) < min(taken.loss(rows, each) for each in outputs)


@pytest.mark.parametrize("name", ["greedy", "linear"])
def test_errors_that_cancel_get_a_weight_of_one_half_each(name: str) -> None:
    y, error = np.random.default_rng(0).normal(size=(2, 100))
    outputs = np.stack([y + error, y - error])[..., None]
    mixture = BLENDERS[name].fit(sample("regression", y, outputs, "rmse"))
    assert mixture.weights.tolist() == pytest.approx([0.5, 0.5], abs=1e-5)
    assert mixture.intercept.tolist() == pytest.approx([0.0], abs=1e-5)


@pytest.mark.parametrize(
    ("task", "metric"), [("binary", "log_loss"), ("regression", "rmse"), ("regression", "mae")]
)
def test_a_greedy_blend_of_noise_is_hardly_worse_than_a_constant(task: str, metric: str) -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(3, 4000, 1))
    if task == "binary":  # 10% of the rows are of the second class
        y: Any = (np.arange(4000) % 10 == 0).astype(int)
        one = 0.1 + 0.3 * rng.random(size=noise.shape)
        outputs, constant = np.concatenate([1 - one, one], axis=2), [0.9, 0.1]
    else:
        y = 5 + rng.normal(size=4000)
        outputs, constant = 5 + noise, [np.median(y) if metric == "mae" else y.mean()]
    taken = replace(sample(task, y, outputs, metric, bags=2), steps=25)
    mixture = BLENDERS["greedy"].fit(taken)
    found = mixture.predict(outputs)
    loss, rows = taken.loss, np.arange(4000)
    floor = loss(rows, np.tile(constant, (4000, 1)))
    assert loss(rows, found) == pytest.approx(floor, rel=0.01)
    assert min(loss(rows, each) for each in outputs) > 1.05 * floor
    assert mixture.weights.sum() > 0
    if task == "binary":
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_a_greedy_blend_has_no_constant_where_only_the_order_or_labels_count() -> None:
    for task, metric in (("binary", "roc_auc"), ("binary", "accuracy")):
        y, outputs = drawn(task, 160, [5.0, 6.0])
        mixture = BLENDERS["greedy"].fit(sample(task, y, outputs, metric))
        assert mixture.intercept.tolist() == [0.0, 0.0]
        assert mixture.weights.sum() == pytest.approx(1)


def test_a_logistic_stacker_finds_the_weights_that_made_the_labels() -> None:
    # p is proportional to a^0.7 b^0.3: the log odds of the labels.
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 20_000)) * 2
    one = 1 / (1 + np.exp(-logits))
    outputs = np.stack([1 - one, one], axis=2)
    y = (rng.uniform(size=20_000) < 1 / (1 + np.exp(-0.7 * logits[0] - 0.3 * logits[1]))).astype(
        int
    )
    mixture = BLENDERS["logistic"].fit(sample("binary", y, outputs, "log_loss"))
    assert mixture.weights.tolist() == pytest.approx([0.7, 0.3], abs=0.03)


@pytest.mark.parametrize(("name", "task"), [("linear", "regression"), ("logistic", "binary")])
def test_a_row_of_weight_3_counts_for_a_stacker_as_three_rows(name: str, task: str) -> None:
    y, outputs = drawn(task, 2000, [0.5, 1.0])
    # The second model is right where rows weigh 3, the first elsewhere.
    weight = np.where(np.arange(2000) % 4 == 0, 3.0, 1.0)
    outputs[1, weight == 3] = drawn(task, 2000, [0.1])[1][0, weight == 3]
    taken, repeats = sample(task, y, outputs), weight.astype(int)
    found = BLENDERS[name].fit(replace(taken, weight=weight)).weights
    repeated = sample(task, np.repeat(y, repeats), np.repeat(outputs, repeats, axis=1))
    assert found.tolist() == pytest.approx(BLENDERS[name].fit(repeated).weights.tolist(), abs=2e-3)
    assert found[1] > BLENDERS[name].fit(taken).weights[1] + 0.05


def test_values_are_averaged_where_the_metric_takes_their_errors() -> None:
    # RMSLE: the mean of log(1 + 1) and log(1 + 7) is log(1 + 3).
    mixture = Mixture("greedy", "log1p", np.array([0.5, 0.5]), np.zeros(1))
    assert mixture.predict(np.array([[[1.0]], [[7.0]]])).tolist() == [[pytest.approx(3.0)]]


def test_a_rank_is_the_place_among_quantiles_and_equal_outputs_share_the_middle() -> None:
    column = np.array([0.0, 0.0, 0.0, 1.0, 2.0])
    knots = np.quantile(column, np.linspace(0, 1, KNOTS))[None]
    found = rank_of(np.array([[-1.0], [0.0], [1.0], [2.0], [9.0]]), knots)[:, 0]
    assert found.tolist() == pytest.approx([0.25, 0.25, 0.75, 1.0, 1.0], abs=1e-3)


def test_only_blenders_that_fit_are_taken() -> None:
    every = sorted(BLENDERS)
    assert every == ["greedy", "linear", "logistic", "ranks"]
    taken = {
        (task, metric): list(chosen(every, TASKS[task], METRICS[metric]))
        for task, metric in (
            *(("binary", "roc_auc"), ("binary", "log_loss")),
            *(("multiclass", "roc_auc"), ("regression", "mae")),
        )
    }
    assert taken == {
        ("binary", "roc_auc"): every,
        ("binary", "log_loss"): ["greedy", "linear", "logistic"],
        ("multiclass", "roc_auc"): ["greedy", "linear", "logistic"],
        ("regression", "mae"): ["greedy", "linear"],
    }
    with pytest.raises(ConfigError, match="unknown blender 'greedi'; did you mean 'greedy'"):
        chosen(["greedi"], TASKS["binary"], METRICS["roc_auc"])


# --- Nested folds --------------------------------------------------------------------------------


@pytest.mark.parametrize("folds", [3, 1])
def test_labels_of_a_fold_do_not_influence_its_own_rows(folds: int) -> None:
    """A fold of poisoned labels changes the blend of all other rows, and not of its own."""
    y, outputs = drawn("binary", 90, [1.0, 1.2, 2.0])
    rows = index("binary", y, np.arange(90) % folds)
    pool, clean = blended(rows, outputs, "log_loss")
    assert len(np.unique(pool.folds)) == (3 if folds == 3 else QUICK.folds)
    own = pool.folds == 0
    poisoned = y.copy()
    poisoned[pool.rows[own]] = 1 - y[pool.rows[own]]
    scorer = Scorer(METRICS["log_loss"], poisoned, {})
    rows = index("binary", poisoned, np.arange(90) % folds)
    found = blending.blend(pool, rows, scorer, QUICK, 1)
    np.testing.assert_array_equal(found.outputs[own], clean.outputs[own])
    assert not np.isclose(found.outputs[~own], clean.outputs[~own]).all(axis=1).any()


def test_a_blend_of_noise_is_no_better_than_chance() -> None:
    """A blend scored on its own rows would gain by choosing the luckiest models."""
    rng, scores, n = np.random.default_rng(0), [], 120
    error = np.sqrt(0.25 / n)  # of an accuracy of chance
    for _ in range(4):
        y, second = rng.integers(2, size=n), rng.uniform(size=(6, n))
        outputs = np.stack([1 - second, second], axis=2)
        pool, found = blended(index("binary", y, np.arange(n) % 3), outputs, "accuracy")
        score = Scorer(METRICS["accuracy"], y, {})
        best = max(score(np.arange(n), each) for each in outputs)
        scores.append(score(pool.rows, found.outputs))
        assert scores[-1] <= best + error
    assert np.mean(scores) < 0.5 + 2 * error / np.sqrt(len(scores))


def test_a_blend_has_the_form_of_every_model_and_the_same_bytes_twice(tmp_path: Path) -> None:
    y, outputs = drawn("multiclass", 60, [1.0, 1.5])
    rows = index("multiclass", y, np.arange(60) % 4)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        pool, found = blended(rows, outputs, "accuracy")
        blending.write(tmp_path / name, found, pool)
    for file in (predictions.FILE, blending.FILE):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    table = pd.read_csv(tmp_path / "one" / predictions.FILE)
    given = tables(rows, outputs)["m0"]
    assert table.columns.tolist() == given.columns.tolist()
    pd.testing.assert_frame_equal(table[["part", "row"]], given[["part", "row"]])
    models, mixture = blending.read(tmp_path / "one")
    assert models == ["m0", "m1"]
    np.testing.assert_allclose(
        mixture.predict(outputs[:, :2]), predictions.outputs(table[table.part == "test"])
    )


def test_a_hold_out_is_dealt_to_folds_by_class_and_with_whole_groups() -> None:
    y = np.arange(40) % 2
    groups = [f"g{k // 4}" for k in range(40)] + ["", ""]
    rows = index("binary", y, np.where(np.arange(40) < 8, -1, 0), group=groups)
    held = rows.part("train")[8:]
    outputs = np.full((2, 40, 2), 0.5)
    given = {
        name: table[~table["row"].isin(np.arange(8))]
        for name, table in tables(rows, outputs).items()
    }
    pool = blending.pool(given, rows, LAYOUT, Blend(folds=4), 1)
    assert pool.rows.tolist() == held.tolist()
    assert np.bincount(pool.folds).tolist() == [8, 8, 8, 8]
    of_group = pd.Series(pool.folds).groupby(np.array(groups)[pool.rows]).nunique()
    assert (of_group == 1).all()


# --- What is refused -----------------------------------------------------------------------------


def lacking(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["row"] != 7]


def other_folds(table: pd.DataFrame) -> pd.DataFrame:
    own = table["part"] == "validation"
    return pd.concat([table[own].sort_values("row"), table[~own]])


def more_rows(table: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([table, table[:1].assign(row=99)])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lacking, r"1 of 12 validation rows of .*index\.csv are missing, the first is row 7"),
        (other_folds, r"its rows were held out in other folds than those of .*index\.csv"),
        (more_rows, r"row 99 is no validation row"),
    ],
)
def test_predictions_of_other_rows_or_folds_are_refused(changed: Any, message: str) -> None:
    y, outputs = drawn("binary", 12, [1.0, 1.0])
    rows = index("binary", y, np.arange(12) % 3)
    given = tables(rows, outputs)
    given["m1"] = changed(given["m1"])
    with pytest.raises(
        DataError, match=f"^data/cheese/models/m1/predictions.csv: {message}.*Fit it"
    ):
        blending.pool(given, rows, LAYOUT, QUICK, 1)


def test_without_held_out_rows_there_is_no_blend() -> None:
    rows = index("binary", [0, 1, 0, 1], [-1] * 4)
    with pytest.raises(DataError, match="no row is held out.*Set blend to null"):
        blending.pool({}, rows, LAYOUT, QUICK, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blend": {"models": ["svm", "forest"]}}, r"blend.models names 'forest', which is not in"),
        (
            {"models": {"svm": None}, "blend": {"models": ["svm", "ridge"]}},
            r"blend.models names 'svm', which is not in models",
        ),
        ({"models": {"blend": {"estimator": "svm"}}}, r"models\.blend: the blend has this name"),
        ({"blend": {"methods": ["greedi"]}}, r"blend\.methods: unknown blender 'greedi'; did you"),
        (
            {
                "models": {"svm": {"estimator": "svm", "folds": 1}},
                "blend": {"models": ["svm", "random_forest"]},
            },
            r"'svm', which predicts 1 of the folds\. Take it off the list, or set models\.svm",
        ),
        (
            {"blend": None, "predict": {"model": "blend"}},
            r"predict\.model is 'blend': no such model",
        ),
    ],
)
def test_settings_of_a_blend_that_cannot_be_are_refused(
    make_competition: Any, changes: dict[str, Any], message: str
) -> None:
    values = as_mapping(make_competition("titanic"))
    for key, section in changes.items():
        values[key] = section and values[key] | section
    with pytest.raises(ConfigError, match=message):
        complete("titanic", values, "test")


def test_members_are_the_models_of_every_fold(make_competition: Any) -> None:
    competition = make_competition("titanic")
    assert set(blending.members(competition)) == set(competition.models)
    some = changed(
        competition, models=competition.models | {"svm": {"estimator": "svm", "folds": 1}}
    )
    assert set(competition.models) - set(blending.members(some)) == {"svm"}
    assert blending.members(changed(competition, blend=None)) == []
