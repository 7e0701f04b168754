"""scikit-learn's estimators as ours: the same numbers as scikit-learn's own pipelines."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import make_moons
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC, SVR

from ripen.competition import predictions
from ripen.core.errors import DataError
from ripen.learn import fitting
from ripen.learn.estimator import Rows, estimator
from ripen.learn.models import served
from ripen.learn.models.saved import PIPELINE
from tests.ripen.learn import fits

SEED = 7
# scikit-learn's estimators with the settings that ours have by default.
CLASSIFIERS: dict[str, Any] = {
    "logistic_regression": LogisticRegression(C=1.0, max_iter=1000),
    "gaussian_nb": GaussianNB(var_smoothing=1e-9),
    "svm": CalibratedClassifierCV(
        SVC(C=3.0, gamma="scale"),
        cv=StratifiedKFold(5, shuffle=True, random_state=SEED),
        ensemble=False,
    ),
    "k_nearest_neighbors": KNeighborsClassifier(15),
    "random_forest": RandomForestClassifier(200, min_samples_leaf=2, random_state=SEED),
}
REGRESSORS: dict[str, Any] = {
    # Of standardized values: its settings have their scale.
    "svm": TransformedTargetRegressor(SVR(C=3.0, gamma="scale"), transformer=StandardScaler()),
    "k_nearest_neighbors": KNeighborsRegressor(15),
    "random_forest": RandomForestRegressor(200, min_samples_leaf=2, random_state=SEED),
}
BINARY = fits.index_of("binary", ["no", "yes"], [0, 0])
VALUES = fits.index_of("regression", ["1.0", "2.0"], [0, 0])


def moons(n: int, seed: int) -> Rows:
    data, labels = make_moons(n, noise=0.1, random_state=seed)
    return Rows(data.astype(np.float32), labels.astype(np.int64))


def fit(section: dict[str, Any], rows: Rows, folder: Path, index: Any = BINARY) -> Any:
    return estimator(section, "models.m").fit(rows, None, fits.work(folder, index, seed=SEED))


def test_settings_are_those_of_the_section(tmp_path: Path) -> None:
    section = {"estimator": "svm", "C": 7.0, "kernel": "linear", "calibration_folds": 3}
    found = fit(section, moons(60, 0), tmp_path).pipeline.get_params()
    assert (found["estimator__estimator__C"], found["estimator__cv"].n_splits) == (7.0, 3)
    section = {"estimator": "random_forest", "n_estimators": 11, "max_depth": 2}
    found = fit(section, moons(60, 0), tmp_path).pipeline.get_params()
    names = ("n_estimators", "max_depth", "random_state")
    assert [found[f"estimator__{name}"] for name in names] == [11, 2, SEED]
    section = {"estimator": "k_nearest_neighbors", "n_neighbors": 4, "weights": "distance"}
    found = fit(section, moons(60, 0), tmp_path).pipeline.get_params()
    assert (found["estimator__n_neighbors"], found["estimator__weights"]) == (4, "distance")


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_is_scikit_learns_and_learns(name: str, tmp_path: Path) -> None:
    train, test = moons(400, 0), moons(400, 1)
    found = fit({"estimator": name}, train, tmp_path).predict(test.x)
    expected = CLASSIFIERS[name].fit(train.x, train.y).predict_proba(test.x)
    np.testing.assert_array_equal(found, expected)
    floor = 0.8 if name in ("logistic_regression", "gaussian_nb") else 0.97
    assert accuracy_score(test.y, found.argmax(axis=1)) > floor


@pytest.mark.parametrize("name", REGRESSORS)
def test_a_regressor_is_scikit_learns(name: str, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(80, 3))
    rows = Rows(x, x[:, 0] - x[:, 1] ** 2)
    found = fit({"estimator": name}, rows, tmp_path, VALUES).predict(x)
    expected = REGRESSORS[name].fit(x, rows.y).predict(x)
    np.testing.assert_array_equal(found, expected[:, None])


def test_a_class_that_training_rows_lack_has_probability_0(tmp_path: Path) -> None:
    index = fits.index_of("multiclass", ["a", "b", "c"], [0, 0, 0])
    rows = moons(60, 0)
    fitted = fit({"estimator": "gaussian_nb"}, Rows(rows.x, 2 * rows.y), tmp_path, index)
    found = fitted.predict(rows.x)
    assert (found[:, 1] == 0).all()
    np.testing.assert_array_equal(
        found[:, [0, 2]], GaussianNB().fit(rows.x, rows.y).predict_proba(rows.x)
    )


def features(n: int = 40) -> tuple[Any, Any]:
    """Return an index in two folds, and features that tell cats from dogs more or less."""
    labels = np.arange(n + 6) % 2
    data = np.random.default_rng(0).normal(0, 1, (n + 6, 8)).astype(np.float32)
    data[:, 0] += 4 * labels
    folds = [row // 2 % 2 for row in range(n)] + [-1] * 6
    parts = ["train"] * n + ["test"] * 6
    targets = [("no", "yes")[label] for label in labels[:n]] + [""] * 6
    return fits.index_of("binary", targets, folds, parts), fits.features_input(data)


@pytest.mark.slow
def test_each_row_is_predicted_by_a_pipeline_that_had_not_seen_it(tmp_path: Path) -> None:
    index, taken = features()
    section = {"estimator": "logistic_regression", "inputs": ["tiny"], "components": 4}
    table = pd.concat(
        fitting.run(fits.fit_of(section, index, taken, tmp_path / "model", seed=SEED))[0]
    )
    test = (index.rows["part"] == "test").to_numpy()
    for held_out in (index.folds == 0, index.folds == 1, test):
        learnt = (index.folds >= 0) & ~held_out
        pca = PCA(4, svd_solver="randomized", random_state=SEED)
        steps = MinMaxScaler(clip=True), StandardScaler(), pca
        expected = make_pipeline(*steps, LogisticRegression(C=1.0, max_iter=1000))
        expected.fit(taken.values[learnt], index.targets[learnt])
        np.testing.assert_allclose(
            predictions.outputs(table[held_out[table.row]]),
            expected.predict_proba(taken.values[held_out]),
            atol=1e-6,
        )


@pytest.mark.parametrize(("rows", "components"), [(3, 3), (40, 8)])
def test_there_are_no_more_components_than_rows_or_features(
    rows: int, components: int, tmp_path: Path
) -> None:
    _, taken = features()
    chosen = Rows(taken.values[:rows], np.arange(rows) % 2)
    section = {"estimator": "gaussian_nb", "inputs": ["tiny"], "components": 100}
    fitted = fit(section, chosen, tmp_path)
    assert fitted.pipeline.named_steps["pca"].n_components_ == components


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_what_is_kept_of_it_predicts_the_same(name: str, tmp_path: Path) -> None:
    index, taken = features()
    fitted = fit(
        {"estimator": name, "inputs": ["tiny"], "components": 4},
        fits.rows_of(index, taken, index.learnable()),
        tmp_path,
    )
    fitted.save(tmp_path)
    kept = skops.io.load(tmp_path / PIPELINE, trusted=served.TYPES)
    shown = taken.values[index.part("test")]
    np.testing.assert_allclose(kept.predict_proba(shown), fitted.predict(shown), atol=1e-6)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (
            {"estimator": "svm", "calibration_folds": 5},
            r"^without fold 0 class 'yes' has 4 rows, and the model needs 5$",
        ),
        (
            {"estimator": "k_nearest_neighbors", "n_neighbors": 25},
            r"^without fold 0 there are 24 rows to learn from, and the model needs 25$",
        ),
    ],
)
def test_too_few_rows_of_a_class_or_in_all(
    section: dict[str, Any], message: str, tmp_path: Path
) -> None:
    targets = ["no"] * 20 + ["yes"] * 5
    folds = [-1] * 20 + [0, -1, -1, -1, -1]
    index = fits.index_of("binary", targets, folds)
    taken = fits.features_input(np.random.default_rng(0).normal(size=(25, 2)).astype(np.float32))
    fit = fits.fit_of(section | {"inputs": ["tiny"]}, index, taken, tmp_path / "model")
    with pytest.raises(DataError, match=message):
        fitting.run(fit)
