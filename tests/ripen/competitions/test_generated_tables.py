"""Breast cancer and the price tomorrow: their files, and the best possible guess of the latter."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LinearRegression

from ripen.competitions import breast_cancer, price_tomorrow
from ripen.core.errors import ConfigError


def test_breast_cancer_is_scikit_learns(tmp_path: Path) -> None:
    breast_cancer.generate({"n_train": 400}, 1, tmp_path)
    train, test, solution, sample = (
        pd.read_csv(tmp_path / f"{name}.csv", index_col="id")
        for name in ("train", "test", "solution", "sample_submission")
    )
    whole = pd.concat([train, test.join(solution)])
    assert whole.index.tolist() == list(range(569))
    data, target = load_breast_cancer(return_X_y=True)
    benign = (whole.pop("diagnosis") == "benign").to_numpy(np.float64)
    # The same rows in another order, each with its own diagnosis.
    ours, theirs = (np.column_stack(each) for each in ((whole, benign), (data, target)))
    assert np.array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])
    assert len(train) == 400
    assert abs((train["diagnosis"] == "benign").mean() - target.mean()) < 0.005
    assert list(sample.index) == list(test.index)


def test_the_best_guess_is_what_the_price_is_drawn_by() -> None:
    table = price_tomorrow.series(20_000, 0.7, 3)
    rest = table["tomorrow"] - price_tomorrow.best_guess(table)
    assert rest.std() == pytest.approx(0.7, rel=0.02)
    assert abs(rest.mean()) < 0.02
    assert abs(np.corrcoef(rest, table["change"])[0, 1]) < 0.02
    # What a linear model of the row finds is no better, and nearly as good.
    dates = pd.to_datetime(table["date"])
    inputs = pd.get_dummies(dates.dt.day_of_week).assign(
        change=table["change"], log=np.log(table["price"]), day=np.arange(len(table))
    )
    inputs.columns = inputs.columns.astype(str)
    fitted = LinearRegression().fit(inputs, table["tomorrow"])
    assert np.std(table["tomorrow"] - fitted.predict(inputs)) == pytest.approx(rest.std(), rel=0.01)
    assert table["tomorrow"].std() > 1.05 * rest.std()


def test_a_row_knows_the_days_before_it() -> None:
    table = price_tomorrow.series(30, 1.0, 0)
    assert table["change"].iloc[1:].tolist() == table["tomorrow"].iloc[:-1].tolist()
    assert table["change_3"].iloc[3:].tolist() == table["change"].iloc[:-3].tolist()
    steps = 100 * np.diff(np.log(table["price"]))
    assert np.allclose(steps, table["tomorrow"].iloc[:-1])
    assert pd.to_datetime(table["date"]).dt.day_of_week.max() == 4


def test_the_test_days_are_later(tmp_path: Path) -> None:
    price_tomorrow.generate({"n_train": 60, "n_test": 20, "noise": 1.0}, 5, tmp_path)
    train, test = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("train", "test"))
    assert train["date"].max() < test["date"].min()
    assert (len(train), len(test)) == (60, 20)
    solution = pd.read_csv(tmp_path / "solution.csv")
    assert solution["id"].tolist() == test["id"].tolist() == list(range(60, 80))
    with pytest.raises(ConfigError, match=r"source\.generate: n_train is 0"):
        price_tomorrow.generate({"n_train": 0, "n_test": 20, "noise": 1.0}, 5, tmp_path)
