"""Some rows of many: each class by its share, and a model that is fitted to no more."""

from pathlib import Path

import numpy as np
import pytest

from ripen.learn import fitting
from ripen.learn.estimator import Rows, estimator
from ripen.learn.model_fit import thinned
from tests.ripen.learn import fits


def test_each_class_keeps_its_share_and_a_row_at_least() -> None:
    targets = np.array([0] * 600 + [1] * 399 + [2] * 2)
    train = np.arange(1, 1001)
    found = thinned(train, targets, 100, 0)
    assert np.bincount(targets[found]).tolist() == [59, 40, 1]
    assert (np.diff(found) > 0).all()
    assert set(found) <= set(train)
    assert set(found) != set(thinned(train, targets, 100, 1))


@pytest.mark.parametrize("targets", [np.linspace(0, 1, 50), np.zeros((50, 2), np.int64)])
def test_numbers_and_labels_are_drawn_alike(targets: np.ndarray) -> None:
    train = np.arange(5, 50)
    assert len(np.unique(thinned(train, targets, 7, 3))) == 7
    for most in (None, 45):
        assert thinned(train, targets, most, 3) is train


def test_a_model_learns_from_as_many_rows_as_its_settings_say(tmp_path: Path) -> None:
    frame, signal = fits.table(60)
    index = fits.index_of(
        "binary", fits.targets_of("binary", signal), [row % 3 for row in range(60)]
    )
    settings = {"estimator": "k_nearest_neighbors", "n_neighbors": 5, "rows": 12}
    fit = fits.fit_of(settings, index, fits.table_input(frame), tmp_path)
    _, fitted = fitting.run(fit)
    neighbours = fitted.pipeline[-1]  # type: ignore[attr-defined]
    assert neighbours.n_samples_fit_ == 12
    assert estimator({"estimator": "svm"}, "").most == 5_000
    assert estimator({"estimator": "svm", "rows": 20_000}, "").most == 20_000
    assert estimator({"estimator": "ridge"}, "").most is None


def test_trees_of_many_rows_see_some_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ripen.learn.forest.ROWS", 30)
    frame, signal = fits.table(60)
    index = fits.index_of("binary", fits.targets_of("binary", signal), [0] * 60)
    for name, few, drawn in (("random_forest", {}, 30), ("extra_trees", {"max_samples": 20}, 20)):
        settings = {"estimator": name, "n_estimators": 3, "min_samples_leaf": 1} | few
        fit = fits.fit_of(settings, index, fits.table_input(frame), tmp_path)
        own = fit.estimator
        for rows, wanted in ((60, drawn), (20, None)):
            learnt: Rows = fit.rows(np.arange(rows))
            forest = own.fit(learnt, None, fit.work).pipeline[-1]  # type: ignore[attr-defined]
            assert forest.max_samples == wanted
            assert forest.estimators_[0].tree_.weighted_n_node_samples[0] == (wanted or rows)
