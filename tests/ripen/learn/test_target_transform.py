"""Transforms of a regression's targets: against scikit-learn's, and of every kind of model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ripen.competition.metrics import METRICS
from ripen.core.errors import ConfigError, DataError
from ripen.learn import target_transform
from ripen.learn.complete import complete
from ripen.learn.estimator import estimator
from ripen.learn.models import served
from ripen.learn.target_transform import TRANSFORMS
from ripen.settings.compose import as_mapping
from tests.ripen.learn import fits

N = 60
FRAME, SIGNAL = fits.table(N)
PRICES = np.expm1(8 + 2 * SIGNAL)
INDEX = fits.index_of("regression", [repr(float(price)) for price in PRICES], [0, 1] * (N // 2))
NET: dict[str, Any] = {
    "net": {"hidden_layers": [4], "activation": "relu", "dropout": 0.0, "weights": "xavier"},
    "solver": {"base_lr": 0.05, "lr_policy": "fixed", "max_iter": 40},
    "train": {
        "batch_size": 20, "check_interval": 20, "tolerance": 0.0, "patience": 9, "early_stopping": 9
    },
}  # fmt: skip
MODELS: dict[str, dict[str, Any]] = {
    "ridge": {},
    "svm": {},
    "random_forest": {"n_estimators": 5},
    "hist_gradient_boosting": {"max_iter": 20},
    "caffe_net": NET,
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_that_of_transformed_targets_brought_back(name: str, tmp_path: Path) -> None:
    taken = fits.table_input(FRAME)
    rows = fits.rows_of(INDEX, taken, range(40)), fits.rows_of(INDEX, taken, range(40, N))
    model = estimator({"estimator": name, "transform": "log1p"} | MODELS[name], "test")
    found = target_transform.fit(model, *rows, fits.work(tmp_path / "a", INDEX, taken.encoder))
    logs = [replace(each, y=np.log1p(each.y)) for each in rows]
    plain = model.fit(logs[0], logs[1], fits.work(tmp_path / "b", INDEX, taken.encoder))
    expected = np.expm1(plain.predict(FRAME).astype(np.float64))
    np.testing.assert_array_equal(found.predict(FRAME), expected)
    (tmp_path / "served").mkdir()
    found.save(tmp_path / "served")
    answer = served.read(tmp_path / "served").predict(FRAME)
    np.testing.assert_array_equal(answer[["value"]], expected)


def test_it_is_what_scikit_learn_does(tmp_path: Path) -> None:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.linear_model import Ridge

    taken = fits.table_input(FRAME)
    work = fits.work(tmp_path / "a", INDEX, taken.encoder)
    model = estimator({"estimator": "ridge", "alpha": 2.0, "transform": "log1p"}, "test")
    found = target_transform.fit(model, fits.rows_of(INDEX, taken, range(N)), None, work)
    x = taken.encoder("one_hot", sparse=True, seed=0).fit_transform(FRAME, PRICES)
    # Ridge's answer is linear in the targets, so standardizing them changes nothing.
    same = TransformedTargetRegressor(Ridge(2.0), func=np.log1p, inverse_func=np.expm1)
    expected = same.fit(x, PRICES).predict(x)  # in float32
    np.testing.assert_allclose(found.predict(FRAME)[:, 0], expected, rtol=1e-5)


def test_outputs_without_bounds_stay_finite() -> None:
    found = TRANSFORMS["log1p"].back(np.array([[0.0], [np.log(3)], [1e9]]))
    assert found[:2, 0].tolist() == pytest.approx([0, 2])
    assert np.isfinite(found**2).all()


def test_a_target_that_has_no_logarithm_is_one_line(tmp_path: Path) -> None:
    index = fits.index_of("regression", ["1.0", "-1.0", "2.5"], [0, 0, 1])
    taken = fits.table_input(FRAME[:3])
    model = estimator({"estimator": "ridge", "transform": "log1p"}, "test")
    rows = fits.rows_of(index, taken, range(3))
    with pytest.raises(DataError, match=r"^a target is -1, .*'log1p' .*above -1\. .*: none$"):
        target_transform.fit(model, rows, None, fits.work(tmp_path / "a", index, taken.encoder))


def test_every_metric_names_a_transform_or_none() -> None:
    named = {name: metric.transform for name, metric in METRICS.items() if metric.transform}
    assert named == dict.fromkeys(("mean_column_rmsle", "rmsle"), "log1p")
    assert set(named.values()) <= set(TRANSFORMS)


@pytest.mark.parametrize(
    ("metric", "own", "expected"),
    [("rmsle", {}, "log1p"), ("rmsle", {"transform": "none"}, "none"), ("rmse", {}, None)],
)
def test_the_metric_says_it_unless_the_model_does(
    metric: str, own: dict[str, str], expected: str | None
) -> None:
    values = as_mapping(fits.competition("competitions=[house_prices]"))
    ridge = {"estimator": "ridge"} | own
    found = complete("house_prices", values | {"metric": metric, "models": {"ridge": ridge}}, "a")
    assert found.models["ridge"].get("transform") == expected
    again = complete("house_prices", as_mapping(found), "a")
    assert again.models == found.models


def test_classes_have_no_transform() -> None:
    values = as_mapping(fits.competition("competitions=[titanic]"))
    model = {"estimator": "svm", "transform": "log1p"}
    with pytest.raises(ConfigError, match=r"^a: models\.m: transform 'log1p' is of numbers\. "):
        complete("titanic", values | {"models": {"m": model}}, "a")
