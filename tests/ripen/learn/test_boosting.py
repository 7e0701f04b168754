"""Gradient boosting: early stopping, categories, missing values, monotone columns, weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ripen.core.errors import ConfigError
from ripen.learn.boosting import LEAST, Boosted, Known, Pace, held_out
from ripen.learn.estimator import ESTIMATORS, Rows, estimator
from tests.ripen.learn import fits

BOOSTED = [name for name, kind in ESTIMATORS.items() if issubclass(kind, Boosted)]
INDEX = fits.index_of("binary", ["no", "yes"], [0, 0])
VALUES = fits.index_of("regression", ["1.0", "2.0"], [0, 0])


def fit(section: dict[str, Any], rows: Rows, folder: Path, index: Any = INDEX) -> Any:
    work = fits.work(folder, index, fits.table_input(rows.x).encoder)
    return estimator(section, "models.m").fit(rows, None, work)


def noise(n: int = 120) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n)})
    return table, rng.integers(0, 2, n)


def trees(model: Any) -> int:
    last = model.pipeline[-1]
    last = last[-1] if hasattr(last, "steps") else last
    for name in ("n_iter_", "n_estimators_", "tree_count_"):
        if hasattr(last, name):
            return int(getattr(last, name))
    return int(last.get_booster().num_boosted_rounds())


@pytest.mark.parametrize("name", BOOSTED)
def test_noise_ends_early_and_all_rows_are_fitted(name: str, tmp_path: Path) -> None:
    table, y = noise()
    section = {"estimator": name, "max_iter": 200, "early_stopping": 5, "learning_rate": 0.3}
    model = fit(section, Rows(table, y), tmp_path)
    assert 1 <= trees(model) < 40


@pytest.mark.parametrize("name", BOOSTED)
def test_categories_and_gaps_tell_what_they_tell(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    n = 300
    table = pd.DataFrame({"a": rng.normal(size=n), "city": rng.choice(list("abcdefgh"), n)})
    y = (table.city.isin(list("aceg")) ^ (table.a > 0.8)).to_numpy().astype(np.int64)
    table.loc[table.a > 0.8, "a"] = np.nan  # so that only the gap tells it
    section = {"estimator": name, "max_iter": 60, "learning_rate": 0.3, "early_stopping": 20}
    model = fit(section, Rows(table, y), tmp_path)
    assert np.mean(model.predict(table).argmax(axis=1) == y) > 0.95
    strange = pd.DataFrame({"a": [0.0], "city": ["new"]})
    assert model.predict(strange).sum() == pytest.approx(1, abs=1e-6)


def test_rows_and_target_decide_what_is_not_given() -> None:
    own = Boosted(max_iter=50)
    many = (0.1, 50, 30)
    for rows, classes, expected in (
        *((20_000, True, (0.05, 50, 30)), (20_000, False, (0.05, 50, 100))),
        *((20_001, True, many), (20_001, False, many)),
    ):
        assert own.pace(rows, classes=classes) == Pace(*expected)


@pytest.mark.parametrize(("features", "share"), [(2, 1), (10, 1), (16, 0.625), (79, 0.5)])
def test_trees_see_half_of_many_features_and_all_of_few(features: int, share: float) -> None:
    assert Known(features).share(0.5) == share


@pytest.mark.parametrize(("given", "learnt"), [({}, True), ({"max_cat_to_onehot": 4}, False)])
def test_lightgbm_learns_a_category_of_thirty_rows_a_level(
    given: dict[str, Any], learnt: bool, tmp_path: Path
) -> None:
    names = list("abcdefgh")
    y = np.random.default_rng(0).integers(0, len(names), 240)
    table = pd.DataFrame({"shape": np.array(names)[y]})
    index = fits.index_of("multiclass", names, [0] * len(names), classes=names)
    section = {"estimator": "lightgbm", "max_iter": 40, "learning_rate": 0.3} | given
    found = fit(section, Rows(table, y), tmp_path, index).predict(table)
    assert (np.mean(found.argmax(axis=1) == y) > 0.99) == learnt


@pytest.mark.parametrize("quantile", [None, 0.5, 0.8])
def test_lightgbm_predicts_the_mean_or_a_quantile(quantile: float | None, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.integers(0, 2, 2000)})
    y = rng.exponential(1 + 9 * table.a)  # of mean 1 or 10, and median 0.69 or 6.9
    section = {"estimator": "lightgbm", "learning_rate": 0.3, "max_iter": 100} | (
        {} if quantile is None else {"quantile": quantile}
    )
    found = fit(section, Rows(table, y), tmp_path, VALUES).predict(pd.DataFrame({"a": [0, 1]}))
    own = [y[table.a == a] for a in (0, 1)]
    expected = [each.mean() if quantile is None else np.quantile(each, quantile) for each in own]
    np.testing.assert_allclose(found[:, 0], expected, rtol=0.06)


@pytest.mark.parametrize(
    ("metric", "quantile"),
    [("mae", 0.5), ("rmse", None), ("{metric: pinball, quantile: 0.8}", 0.8)],
)
def test_the_metric_says_which_quantile(
    metric: str, quantile: float | None, make_competition: Any
) -> None:
    models = make_competition("house_prices", f"metric={metric}").models
    assert models["lightgbm"].get("quantile") == quantile
    assert "quantile" not in models["hist_gradient_boosting"]


@pytest.mark.parametrize(
    ("known", "given", "bins"),
    [
        (Known(100), {}, 255),
        (Known(784), {}, 63),
        (Known(784, [783]), {}, 255),  # a category may have as many levels
        (Known(784), {"max_bins": 200}, 200),
    ],
)
def test_many_numbers_have_fewer_bins(
    known: Known, given: dict[str, Any], bins: int, tmp_path: Path
) -> None:
    section = {"estimator": "hist_gradient_boosting"} | given
    work = fits.work(tmp_path, INDEX, fits.table_input(pd.DataFrame({"a": [0.0]})).encoder)
    found = estimator(section, "models.m")
    assert isinstance(found, Boosted)
    assert found.boost(work, known, 0.1, 5).get_params()["max_bins"] == bins


@pytest.mark.parametrize("name", BOOSTED)
def test_a_monotone_column_only_raises_the_output(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"city": rng.choice(["x", "y"], 200), "a": rng.uniform(size=200)})
    y = np.sin(9 * table.a.to_numpy()) + 2 * (table.city == "x")
    section = {"estimator": name, "max_iter": 40, "learning_rate": 0.3, "monotone": {"a": 1}}
    model = fit(section, Rows(table, y), tmp_path, VALUES)
    line = pd.DataFrame({"city": "x", "a": np.linspace(0, 1, 50)})
    assert (np.diff(model.predict(line)[:, 0]) >= -1e-6).all()
    with pytest.raises(ConfigError, match=r"monotone: 'aa' is no numeric column; did you mean 'a'"):
        fit(section | {"monotone": {"aa": 1}}, Rows(table, y), tmp_path, VALUES)


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name != "k_nearest_neighbors"])
def test_rows_without_weight_do_not_count(name: str, tmp_path: Path) -> None:
    kind = ESTIMATORS[name]
    if not hasattr(kind, "build"):
        pytest.skip("nets take no weights")
    regresses = kind.does == "regresses"
    rng = np.random.default_rng(3)
    a = np.tile(np.linspace(-1, 1, 60), 2)
    table = pd.DataFrame({"a": a, "b": rng.normal(size=120) / 10})
    y: Any = a * 3 if regresses else (a > 0).astype(np.int64)
    y = np.where(np.arange(120) < 60, y, y.max() - y)  # the second half says the opposite
    weight = np.where(np.arange(120) < 60, 1.0, 1e-6)
    section: dict[str, Any] = {"estimator": name}
    if issubclass(kind, Boosted):
        section |= {"max_iter": 30, "learning_rate": 0.3}
    index = VALUES if regresses else INDEX
    found = fit(section, Rows(table, y, weight=weight), tmp_path, index).predict(table[:60])
    if regresses:
        assert np.corrcoef(found[:, 0], y[:60])[0, 1] > 0.9
    else:
        assert np.mean(found.argmax(axis=1) == y[:60]) > 0.9


def test_balanced_classes_count_alike(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(200, 1))
    y = (np.arange(200) < 20).astype(np.int64)
    for weight, least, most in ((None, 0.05, 0.15), ("balanced", 0.45, 0.55)):
        section = {"estimator": "logistic_regression", "class_weight": weight}
        model = fit(section, Rows(pd.DataFrame(x, columns=["a"]), y), tmp_path)
        assert least < model.predict(pd.DataFrame(x, columns=["a"]))[:, 1].mean() < most


@pytest.mark.parametrize("grouped", [False, True])
def test_held_out_rows_have_every_class_and_whole_groups(grouped: bool) -> None:
    y = np.arange(200) % 4
    y[0] = 4  # the only row of its class has to train
    groups = np.arange(200) // 8 if grouped else None
    parts = held_out(Rows(np.zeros((200, 1)), y, groups), 0.15, 0, True)
    assert parts is not None
    kept, held = parts
    assert sorted([*kept, *held]) == list(range(200))
    assert set(y[kept]) == set(y)
    assert 0 in kept or grouped
    assert 20 <= len(held) <= 48
    if groups is not None and len(set(y[kept])) == 5:
        assert not set(groups[kept]) & set(groups[held]) or 0 in kept
    assert held_out(Rows(np.zeros((9, 1)), y[:9]), 0.15, 0, True) is None
    assert LEAST > 9


@pytest.mark.parametrize("task", ["multilabel", "regression"])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_several_targets_at_once(name: str, task: str, tmp_path: Path) -> None:
    kind = ESTIMATORS[name]
    if not hasattr(kind, "build") or kind.does == {"multilabel": "regresses"}.get(
        task, "classifies"
    ):
        pytest.skip("takes images, or does something else")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3)).astype(np.float32)
    y: Any = np.stack([x[:, 0], x[:, 1] - x[:, 2], x[:, 2]], axis=1).astype(np.float64)
    index = VALUES
    if task == "multilabel":
        y = (y > 0).astype(np.int64)
        y[:, 2] = 1  # a label that every row has
        index = INDEX
    section: dict[str, Any] = {"estimator": name}
    if issubclass(kind, Boosted):
        section |= {"max_iter": 20, "learning_rate": 0.3}
    rows = Rows(x, y)
    found = estimator(section, "m").fit(rows, None, fits.work(tmp_path, index)).predict(x)
    assert found.shape == (80, 3)
    for column in (0, 1):
        assert np.corrcoef(found[:, column], y[:, column])[0, 1] > 0.6
    if task == "multilabel":
        np.testing.assert_allclose(found[:, 2], 1)
        assert ((found >= 0) & (found <= 1)).all()
