"""Classes of too few rows: no model learns them, and yet each has its probability."""

from pathlib import Path

import numpy as np
import pytest

from ripen.core.errors import DataError
from ripen.learn import fitting, rare
from ripen.learn.estimator import Rows
from ripen.learn.models import served
from tests.ripen.learn import fits


def test_the_classes_that_can_be_learnt_are_numbered_anew() -> None:
    labels = np.array([0, 0, 2, 2, 2, 3])
    assert rare.learnt(labels, 5, 1) == (0, 2, 3)
    assert rare.learnt(labels, 5, 2) == (0, 2)
    rows = rare.renumbered(Rows(np.zeros((4, 1)), np.array([2, 0, 3, 2])), (0, 2, 3))
    assert rows.y.tolist() == [1, 0, 2, 1]
    found = rare.widened(np.array([[0.25, 0.75]]), (0, 2), 4, 0.1)
    np.testing.assert_allclose(found, [[0.2, 0.1, 0.6, 0.1]])


def test_a_served_model_has_all_classes(tmp_path: Path) -> None:
    frame, _ = fits.table(31)
    targets = ["a", "b"] * 15 + ["c"]
    index = fits.index_of("multiclass", targets, [row // 2 % 2 for row in range(31)])
    least = {"estimator": "svm", "calibration_folds": 3, "seeds": 2}
    fit = fits.fit_of(least, index, fits.table_input(frame), tmp_path / "model")
    tables, fitted = fitting.run(fit)
    found = fitted.predict(frame)
    np.testing.assert_allclose(found[:, 2], 1 / 31)
    (tmp_path / "served").mkdir()
    fitted.save(tmp_path / "served")
    np.testing.assert_allclose(served.read(tmp_path / "served").of_rows(frame), found)
    alone = fits.index_of(
        "multiclass", ["a"] * 29 + ["b", "c"], [row // 2 % 2 for row in range(31)]
    )
    fit = fits.fit_of(least, alone, fits.table_input(frame), tmp_path / "model")
    with pytest.raises(DataError, match="class .[bc]. has 0 rows, and the model needs 3$"):
        fitting.run(fit)
