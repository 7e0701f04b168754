from collections.abc import Callable

import numpy as np
import pytest
from sklearn.datasets import make_moons
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import StratifiedKFold

from ripen.competition.datasets.prepared import Part
from ripen.learn.models.baselines import estimators, folds
from ripen.settings.schema import Config
from ripen.stages.baselines import cross_validation, learning_curve

MakeConfig = Callable[..., Config]
NAMES = ("logistic_regression", "gaussian_nb", "svm", "k_nearest_neighbors", "random_forest")


def moons(n: int, seed: int) -> Part:
    data, labels = make_moons(n, noise=0.1, random_state=seed)
    return Part(np.arange(n), data.astype(np.float32), labels.astype(np.int64))


def test_settings_are_those_of_conf(make_config: MakeConfig) -> None:
    config = make_config("baselines.svm.C=7.0", "baselines.random_forest.n_estimators=11")
    models = estimators(config.baselines, seed=5)
    assert tuple(models) == NAMES
    assert models["svm"].get_params()["estimator__C"] == 7.0
    forest = models["random_forest"].get_params()
    assert (forest["n_estimators"], forest["random_state"]) == (11, 5)


@pytest.mark.parametrize("name", NAMES)
def test_every_baseline_gives_probabilities_and_learns(make_config: MakeConfig, name: str) -> None:
    model = estimators(make_config().baselines, seed=0)[name]
    train, test = moons(400, 0), moons(400, 1)
    probabilities = model.fit(*train.arrays()).predict_proba(test.data)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-6)
    floor = 0.8 if name in ("logistic_regression", "gaussian_nb") else 0.97
    assert accuracy_score(test.labels, probabilities.argmax(axis=1)) > floor


def test_cross_validation_is_the_mean_over_the_folds(make_config: MakeConfig) -> None:
    config, part = make_config("baselines.folds=4", "seed=9"), moons(100, 2)
    data, labels = part.arrays()
    accuracies, losses = [], []
    for fit, held in StratifiedKFold(4, shuffle=True, random_state=9).split(data, labels):
        model = LogisticRegression().fit(data[fit], labels[fit])
        accuracies.append(model.score(data[held], labels[held]))
        losses.append(log_loss(labels[held], model.predict_proba(data[held])))
    found = cross_validation(LogisticRegression(), part, folds(config.baselines, config.seed))
    expected = {
        "accuracy": np.mean(accuracies),
        "accuracy_sd": np.std(accuracies),
        "log_loss": np.mean(losses),
    }
    assert found == pytest.approx(expected)


def test_the_learning_curve_fits_on_the_first_rows() -> None:
    pool, test = moons(60, 3), moons(50, 4)
    found = list(learning_curve(LogisticRegression(), pool, test, [20, 60, 61]))
    expected = [
        {
            "n_train": n,
            "accuracy": LogisticRegression()
            .fit(pool.data[:n], pool.labels[:n])  # type: ignore[index]
            .score(test.data, test.labels),
        }
        for n in (20, 60)
    ]
    assert found == expected


def test_without_test_labels_there_is_no_learning_curve() -> None:
    test = Part(np.arange(2), np.zeros((2, 2), np.float32), None)
    assert list(learning_curve(LogisticRegression(), moons(60, 3), test, [20])) == []
