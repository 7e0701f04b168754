"""The one way to fit: folds, test rows, the learning curve, and a fit that was killed."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from ripen.competition import predictions
from ripen.competition.index import Index
from ripen.competition.splitters import Splitter, splitter
from ripen.core.errors import DataError
from ripen.learn import fitting
from ripen.learn.convergence import Check, Reason, Training
from ripen.learn.estimator import Estimator, Rows, Work
from ripen.learn.model_fit import KEPT, Fit
from ripen.settings.typed import typed
from tests.ripen.learn import fits

pytestmark = pytest.mark.slow

N, TEST, MORE = 30, 5, 10
FITS: list[set[int]] = []
"""The rows that each fit of `Means` learnt from, in the order of the fits."""


def training(n: int) -> Training:
    """Return a training of two checks whose losses say how many rows there were."""
    checks = [Check(i, 1 / i, n / i, i / n, 0.1, 1.0, 0.5) for i in (1, 2)]
    return Training(Reason.MAX_ITER, 2, 2, n / 2, tuple(checks))


@dataclass(frozen=True)
class Mean:
    """Predicts the mean of its training rows' number, as the probability of the second class."""

    mean: float
    training: Training | None
    asked: list[set[int]] = field(default_factory=list)

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.stack([1 - np.full(len(x), self.mean), np.full(len(x), self.mean)], axis=1)

    def save(self, folder: Path) -> None:
        """Write nothing."""


@typed
class Means(Estimator):
    """Learns the mean of the rows' numbers over 1,000; `refits` is the tests' to set."""

    fails_at: int | None = None  # the number of the fit that is killed
    trains: bool = False

    refits: ClassVar[bool | None] = None

    def fit(self, train: Rows, validation: Rows | None, work: Work) -> Mean:
        if self.fails_at is not None and len(FITS) == self.fails_at:
            raise KeyboardInterrupt
        FITS.append(set(train.x[:, 0].astype(int).tolist()))
        (work.folder / "model.txt").write_text(f"{sorted(FITS[-1])}")
        mean = float(train.x[:, 0].mean() / 1000)
        found = training(len(train.y)) if self.trains else None
        for check in found.checks if found else ():
            work.callback(check)
        return Mean(mean, found)


@typed
class Refitted(Means):
    """Is fitted again to all rows."""

    refits: ClassVar[bool | None] = True


@typed
class NotRefitted(Means):
    """Is not."""

    refits: ClassVar[bool | None] = False


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    FITS.clear()


def index(folds: int = 3, more: int = 0) -> Index:
    """Return labelled rows that take turns in folds and classes, then test rows, then more."""
    targets = [("no", "yes")[row % 2] for row in range(N)] + [""] * TEST + ["no", "yes"] * more
    fold = [row // 2 % folds for row in range(N)] + [-1] * (TEST + 2 * more)
    parts = ["train"] * N + ["test"] * TEST + ["more"] * (2 * more)
    return fits.index_of("binary", targets[: len(parts)], fold, parts)


def fit_of(
    model: Estimator, given: Index | None = None, split: Splitter | None = None, **more: Any
) -> Fit:
    own = index() if given is None else given
    numbers = np.arange(len(own.rows), dtype=np.float32)[:, None]
    fit = fits.fit_of(
        {"estimator": "gaussian_nb"},
        own,
        fits.features_input(numbers),
        Path("model"),
        split,
        **more,
    )
    return replace(fit, estimator=model)


def test_each_row_is_predicted_once_by_a_model_that_has_not_seen_it() -> None:
    fit = fit_of(Refitted())
    (validation, test), _ = fitting.run(fit)
    folds = fit.index.folds
    assert [
        *(set(np.flatnonzero((folds != k) & (folds >= 0))) for k in range(3)),
        {*range(N)},
    ] == FITS
    assert sorted(validation.row) == list(range(N))
    for k in range(3):
        rows = validation[folds[validation.row] == k]
        expected = np.mean(sorted(FITS[k])) / 1000
        np.testing.assert_allclose(rows.p1, expected, rtol=1e-6)
    assert test.row.tolist() == list(range(N, N + TEST))


@pytest.mark.parametrize("model", [Refitted(), NotRefitted()])
def test_out_of_fold_predictions_are_the_mean_over_repeats(model: Means) -> None:
    own = index()
    second = np.where(own.folds >= 0, np.arange(len(own.rows)) // 3 % 2, -1)
    own = Index(own.rows.assign(fold_2=second), own.task, own.classes, own.names)
    (validation, test), _ = fitting.run(fit_of(model, own))
    rows = np.arange(N)
    seen = [rows[folds[:N] != k] for folds, m in ((own.folds, 3), (second, 2)) for k in range(m)]
    assert [set(each) for each in seen] == FITS[:5]
    assert sorted(validation.row) == rows.tolist()
    means = [each.mean() / 1000 for each in seen]
    for row, p1 in zip(validation.row, validation.p1, strict=True):
        expected = (means[own.folds[row]] + means[3 + second[row]]) / 2
        assert p1 == pytest.approx(expected, rel=1e-6)
    whole = rows.mean() / 1000 if model.refits else np.mean(means)
    np.testing.assert_allclose(test.p1, whole, rtol=1e-6)


def test_a_model_of_one_fold_takes_that_of_the_first_split() -> None:
    own = index()
    own = Index(own.rows.assign(fold_2=own.folds), own.task, own.classes, own.names)
    (validation, _), _ = fitting.run(fit_of(Refitted(folds=1), own))
    assert sorted(validation.row) == np.flatnonzero(own.folds == 0).tolist()


def test_with_a_gap_in_time_the_rows_before_a_fold_do_not_train() -> None:
    own = index()
    fold = np.array([-1] * 10 + [0] * 10 + [1] * 10 + [-1] * TEST)
    rows = own.rows.assign(fold=fold, group=[str(k) for k in range(len(fold))])
    used = splitter({"split": "time", "column": "day", "folds": 2, "gap": 3})
    fitting.run(fit_of(Refitted(), Index(rows, own.task, own.classes, own.names), used))
    assert FITS[:2] == [set(range(7)), set(range(17))]


SEVERAL = {
    "multilabel": [f"{row % 2} {int(row % 3 == 0)}" for row in range(N)],
    "regression": [f"{row * 10.0} {row % 2 - 0.5}" for row in range(N)],
}


@pytest.mark.parametrize("task", SEVERAL)
@pytest.mark.parametrize("name", ["logistic_regression", "random_forest", "caffe_net"])
def test_models_learn_several_targets(task: str, name: str) -> None:
    if (task, name) == ("regression", "logistic_regression"):
        return  # which only classifies
    own = fits.index_of(
        task, SEVERAL[task] * 4, [k // 6 % 2 for k in range(4 * N)], classes=("x", "y")
    )
    x = own.targets.astype(np.float32)
    sections: dict[str, dict[str, Any]] = {
        "logistic_regression": {},
        "random_forest": {"n_estimators": 20},
        "caffe_net": {
            "net": {"hidden_layers": [], "activation": "relu", "dropout": 0.0, "weights": "xavier"},
            "solver": {"base_lr": 0.1, "lr_policy": "fixed", "momentum": 0.9, "max_iter": 300},
            "train": {
                "batch_size": 40,
                "check_interval": 100,
                "tolerance": 0.0,
                "patience": 9,
                "early_stopping": 9,
            },
        },
    }
    taken = fits.features_input((x - x.mean(axis=0)) / x.std(axis=0))
    fit = fits.fit_of({"estimator": name} | sections[name], own, taken, Path("model"))
    (validation,), _ = fitting.run(fit)
    found = predictions.outputs(validation)
    truth = own.targets[validation.row]
    assert found.shape == truth.shape == (4 * N, 2)
    if task == "multilabel":
        assert ((found > 0.5) == truth).all()
        assert found.min() >= 0
        assert found.max() <= 1
    else:  # each column in its own unit
        np.testing.assert_allclose(found / truth.std(axis=0), truth / truth.std(axis=0), atol=0.25)


def test_the_test_rows_are_predicted_by_a_model_of_all_rows() -> None:
    (_, test), fitted = fitting.run(fit_of(Refitted()))
    np.testing.assert_allclose(test.p1, np.mean(range(N)) / 1000, rtol=1e-6)
    assert isinstance(fitted, Mean)
    assert fitted.mean == pytest.approx(np.mean(range(N)) / 1000)
    assert Path("model/model.txt").read_text() == str(list(range(N)))
    assert not list(Path("model").glob("fold_*"))


def test_or_by_the_mean_of_the_folds_models() -> None:
    (_, test), fitted = fitting.run(fit_of(NotRefitted()))
    assert len(FITS) == 3
    means = [np.mean(sorted(rows)) / 1000 for rows in FITS]
    np.testing.assert_allclose(test.p1, np.mean(means), rtol=1e-6)
    # The first fold's files stand for the model, the others' are beside.
    for folder, rows in zip(("model", "model/fold_1", "model/fold_2"), FITS, strict=True):
        assert Path(folder, "model.txt").read_text() == str(sorted(rows))


@pytest.mark.parametrize(("name", "refits"), [("stratified", True), ("holdout", False)])
def test_the_splitter_decides_where_the_estimator_does_not(name: str, refits: bool) -> None:
    settings: dict[str, Any] = {"stratified": {"folds": 3}, "holdout": {"size": 0.2}}[name]
    fit = fit_of(Means(), split=splitter({"split": name} | settings))
    assert fit.refits is refits
    fitting.run(fit)
    assert len(FITS) == (4 if refits else 3)


def test_rows_before_the_first_fold_always_train() -> None:
    given = index()
    folds = np.where(np.arange(len(given.rows)) < 6, -1, given.folds)
    fitting.run(fit_of(NotRefitted(), replace(given, rows=given.rows.assign(fold=folds))))
    assert all(set(range(6)) <= rows for rows in FITS)


def test_in_time_no_model_trains_on_what_comes_later() -> None:
    given = index()
    rows = given.rows.assign(fold=[row // 10 - 1 if row < N else -1 for row in range(N + TEST)])
    split = splitter({"split": "time", "column": "when", "folds": 2})
    fitting.run(fit_of(NotRefitted(), replace(given, rows=rows), split))
    assert [set(range(10)), set(range(20))] == FITS


def test_a_model_of_fewer_folds_leaves_the_others_out() -> None:
    (validation, _), _ = fitting.run(fit_of(NotRefitted(folds=1)))
    assert len(FITS) == 1
    assert (index().folds[validation.row] == 0).all()


def test_without_folds_only_the_test_rows_are_predicted() -> None:
    given = index()
    (test,), _ = fitting.run(
        fit_of(
            Means(), replace(given, rows=given.rows.assign(fold=-1)), splitter({"split": "none"})
        )
    )
    assert set(test.part) == {"test"}
    assert [{*range(N)}] == FITS


def test_excluded_rows_are_neither_learnt_nor_predicted() -> None:
    given = index()
    rows = given.rows.copy()
    rows.loc[[0, N], "problem"] = "is broken"
    (validation, test), _ = fitting.run(fit_of(Refitted(), replace(given, rows=rows)))
    assert 0 not in set.union(*FITS)
    assert sorted(validation.row) == list(range(1, N))
    assert test.row.tolist() == list(range(N + 1, N + TEST))


def test_a_curves_validation_is_the_mean_of_the_folds() -> None:
    checks: list[Check] = []
    fit = fit_of(Refitted(trains=True), callback=checks.append)
    _, fitted = fitting.run(fit)
    curve = pd.read_csv("model/curve.csv")
    assert curve.iteration.tolist() == [1, 2]
    # Of 20 training rows in each fold; the loss is that of the model of all rows.
    assert curve.validation_loss.tolist() == [20, 10]
    assert curve.validation_accuracy.tolist() == pytest.approx([1 / 20, 2 / 20])
    assert "seconds_per_iteration" not in curve
    assert '"stopped": "max_iter"' in Path("model/training.json").read_text()
    # The run's curve is the file's: rows that the model learns are no validation.
    assert [(check.loss, check.validation_loss) for check in checks] == list(
        zip(curve.loss, curve.validation_loss, strict=True)
    )


def test_each_fold_of_a_model_that_is_not_refitted_has_its_own_curve() -> None:
    checks: list[Check] = []
    fitting.run(fit_of(NotRefitted(trains=True), callback=checks.append))
    for folder in ("model", "model/fold_1", "model/fold_2"):
        assert pd.read_csv(Path(folder, "curve.csv")).validation_loss.tolist() == [20, 10]
        assert Path(folder, "training.json").exists()
    assert len(checks) == 2  # of the first fold alone


@pytest.mark.parametrize("kind", [Refitted, NotRefitted])
def test_a_killed_fit_goes_on_with_the_next_fold(kind: type[Means]) -> None:
    given = index()
    expected, _ = fitting.run(fit_of(kind(trains=True), key="whole"))
    files = {p.relative_to("model"): p.read_bytes() for p in Path("model").rglob("*.*")}
    whole = list(FITS)
    FITS.clear()
    for path in sorted(Path("model").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    with pytest.raises(KeyboardInterrupt):
        fitting.run(fit_of(kind(trains=True, fails_at=2), given, key="killed"))
    assert whole[:2] == FITS
    # What `fresh_folder` does with what a killed stage left.
    for path in sorted(Path("model").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    found, _ = fitting.run(fit_of(kind(trains=True), given, key="killed"))
    assert whole == FITS  # each once
    pd.testing.assert_frame_equal(pd.concat(found), pd.concat(expected))
    assert {p.relative_to("model"): p.read_bytes() for p in Path("model").rglob("*.*")} == files
    assert not list(KEPT.glob("*"))


def test_folds_of_other_inputs_are_not_taken() -> None:
    with pytest.raises(KeyboardInterrupt):
        fitting.run(fit_of(Refitted(fails_at=2), key="before"))
    FITS.clear()
    fitting.run(fit_of(Refitted(), key="after"))
    assert len(FITS) == 4


@pytest.mark.parametrize("content", [b"", b"PK\3\4 and no more", b"\x93NUMPY"])
def test_a_damaged_fold_is_fitted_again(content: bytes) -> None:
    expected, _ = fitting.run(fit_of(Refitted(), key="whole"))
    FITS.clear()
    with pytest.raises(KeyboardInterrupt):
        fitting.run(fit_of(Refitted(fails_at=2), key="damaged"))
    (KEPT / "damaged" / "0.npz").write_bytes(content)
    FITS.clear()
    found, _ = fitting.run(fit_of(Refitted(), key="damaged"))
    assert len(FITS) == 3  # the first fold, the third, and all rows
    pd.testing.assert_frame_equal(pd.concat(found), pd.concat(expected))


def test_a_last_fold_that_was_kept_is_fitted_again_for_its_model() -> None:
    """Killed while the test rows were predicted: all folds are there, and no model."""
    fit = fit_of(NotRefitted(), key="killed")
    expected, _ = fitting.run(fit)
    FITS.clear()
    with pytest.raises(KeyboardInterrupt):
        fitting.run(replace(fit, say=interrupted()))
    assert len(FITS) == 3
    found, fitted = fitting.run(fit)
    assert len(FITS) == 4
    assert isinstance(fitted, Mean)
    pd.testing.assert_frame_equal(pd.concat(found), pd.concat(expected))


def interrupted() -> Any:
    """Return a progress that is interrupted at the last fold."""

    def say(line: str) -> None:
        if line == "without fold 2":
            raise KeyboardInterrupt

    return say


def table_fit(given: Index, folder: str = "model") -> Fit:
    frame, _ = fits.table(len(given.rows))
    section = {"estimator": "logistic_regression"}
    numbers = frame[["width"]]
    return fits.fit_of(section, given, fits.table_input(numbers, 1.0), Path(folder))


def test_the_learning_curve_fits_on_the_first_rows_and_scores_the_known_test_rows() -> None:
    given = index(more=MORE)
    rows = given.rows.copy()
    rows.loc[rows.part == "test", "target"] = ["no", "yes", "no", "yes", "no"]
    fit = table_fit(replace(given, rows=rows))
    # What trains without the first fold, then more; not the test rows.
    pool = [row for row in range(N) if fit.index.folds[row] != 0]
    pool += list(range(N + TEST, N + TEST + 2 * MORE))
    x = fit.input.take(np.arange(len(rows))).to_numpy(np.float32)
    y, held = fit.index.targets, np.arange(N, N + TEST)
    found = fitting.learning_curve(fit, [20, len(pool), len(pool) + 1])
    expected = [
        LogisticRegression(max_iter=1000).fit(x[pool[:n]], y[pool[:n]]).score(x[held], y[held])
        for n in (20, len(pool))
    ]
    assert found.n_train.tolist() == [20, len(pool)]
    assert found.score.tolist() == pytest.approx(expected)


def test_without_known_test_rows_it_is_scored_on_the_first_fold() -> None:
    fit = table_fit(index())
    held = np.flatnonzero(fit.index.folds == 0)
    others = np.flatnonzero(fit.index.folds > 0)
    drawn = np.random.default_rng(0).permutation(others)
    x = fit.input.take(np.arange(N)).to_numpy(np.float32)
    y = fit.index.targets
    found = fitting.learning_curve(fit, [1, 12, len(others)])
    model = LogisticRegression(max_iter=1000)
    expected = [
        model.fit(x[drawn[:n]], y[drawn[:n]]).score(x[held], y[held]) for n in (12, len(others))
    ]
    assert found.n_train.tolist() == [12, len(others)]  # of one row there is a class too few
    assert found.score.tolist() == pytest.approx(expected)


def test_in_regression_its_score_is_the_root_of_the_mean_squared_error() -> None:
    frame, signal = fits.table(40)
    given = fits.index_of("regression", fits.targets_of("regression", signal), [0] * 20 + [1] * 20)
    section = {"estimator": "k_nearest_neighbors", "n_neighbors": 1}
    fit = fits.fit_of(section, given, fits.table_input(frame), Path("model"))
    held = np.arange(20)
    found = fitting.learning_curve(fit, [20])
    order = np.random.default_rng(0).permutation(np.arange(20, 40))
    fitted = fit.estimator.fit(fit.rows(order), None, fit.work)
    errors = fitted.predict(fit.input.take(held))[:, 0] - signal[held]
    assert found.score.tolist() == [pytest.approx(np.sqrt(np.mean(errors**2)))]


def test_an_estimator_without_a_learning_curve_has_none() -> None:
    @typed
    class Without(Means):
        has_learning_curve: ClassVar[bool] = False

    assert fitting.learning_curve(fit_of(Without()), [10]).empty
    given = index()
    unfolded = replace(given, rows=given.rows.assign(fold=-1))
    assert fitting.learning_curve(fit_of(Means(), unfolded), [10]).empty  # nothing to score on
    assert FITS == []


def test_too_few_rows_are_named_before_anything_is_fitted() -> None:
    @typed
    class Demanding(Refitted):
        def least(self) -> tuple[int, int]:
            return (11, 1)

    message = r"^without fold 0 class 'no' has 10 rows, and the model needs 11$"
    with pytest.raises(DataError, match=message):
        fitting.run(fit_of(Demanding()))
    assert FITS == []
    assert predictions.FILE not in {path.name for path in Path("model").iterdir()}
