"""Seed averaging and tuning: both inside the fold, and the same after any interruption."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from sklearn.linear_model import LogisticRegression

from ripen.competition.metrics import METRICS
from ripen.competition.splitters import splitter
from ripen.core.errors import ConfigError
from ripen.data.encoders import Encoder
from ripen.learn import averaging, fitting, target_transform, tuning
from ripen.learn.estimator import ESTIMATORS, estimator
from ripen.learn.model_fit import Fit
from ripen.learn.models import served
from tests.ripen.learn import fits
from tests.ripen.learn.estimators.test_every_estimator import section_of

N = 90
LINE = "C=tag(log,interval(0.0001,100))"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a fit keeps its folds in .ripen/


def fit_of(section: dict[str, Any], split: dict[str, Any], task: str = "binary") -> Fit:
    frame, signal = fits.table(N)
    noisy = signal + np.random.default_rng(1).normal(0, 1, N)
    folds = {"holdout": [0] * 30 + [-1] * 60}.get(split["split"], [n // 30 for n in range(N)])
    index = fits.index_of(task, fits.targets_of(task, noisy), folds)
    taken = fits.table_input(frame)
    return fits.fit_of(section, index, taken, Path("model"), splitter(split))


KFOLD = {"split": "kfold", "folds": 3}


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_seeds_are_averaged_and_served(task: str, tmp_path: Path) -> None:
    section = {"estimator": "random_forest", "n_estimators": 5, "seeds": 3}
    if task == "regression":
        section["transform"] = "log1p"
    fit = fit_of(section, KFOLD, task)
    train, held = np.arange(60), np.arange(60, N)
    rows = fit.rows(train)
    if task == "regression":
        rows = replace(rows, y=np.abs(rows.y))
    fitted = averaging.fit(fit.estimator, rows, None, fit.work)
    x = fit.input.take(held)
    each = [
        target_transform.fit(fit.estimator, rows, None, replace(fit.work, seed=seed)).predict(x)
        for seed in (0, 1000, 2000)
    ]
    assert not np.allclose(each[0], each[1])
    np.testing.assert_array_equal(fitted.predict(x), np.mean(each, axis=0))
    folder = tmp_path / "served"
    folder.mkdir()
    fitted.save(folder)
    loaded = served.read(folder)
    np.testing.assert_array_equal(loaded.outputs(loaded.values(x)), fitted.predict(x))
    assert not list(fit.work.folder.iterdir())


@pytest.mark.parametrize(
    ("split", "train", "expected"),
    [
        (KFOLD, range(60), [(range(30), range(30, 60)), (range(30, 60), range(30))]),
        ({"split": "time", "column": "day", "folds": 3}, range(60), [(range(30), range(30, 60))]),
        ({"split": "time", "column": "day", "folds": 3}, range(30), []),
    ],
    ids=["kfold", "time", "first of time"],
)
def test_inner_folds_are_the_other_folds_of_the_training_rows(
    split: dict[str, Any], train: range, expected: list[tuple[range, range]]
) -> None:
    fit = fit_of({"estimator": "logistic_regression", "tune": {}}, split)
    found = tuning.inner_folds(fit, np.array(train))
    assert [(list(a), list(b)) for a, b in found] == [(list(a), list(b)) for a, b in expected]


def test_training_rows_of_a_hold_out_are_split_once_more() -> None:
    fit = fit_of(
        {"estimator": "logistic_regression", "tune": {}}, {"split": "holdout", "size": 0.3}
    )
    ((kept, held),) = tuning.inner_folds(fit, np.arange(30, N))
    assert sorted([*kept, *held]) == list(range(30, N))
    assert len(held) == 12


def test_trials_share_an_encoder_and_score_as_with_one_of_their_own() -> None:
    fit = fit_of({"estimator": "lightgbm", "tune": {"trials": 2}}, KFOLD)
    rows, metric, fitted = (np.arange(60), np.arange(60, N)), METRICS["log_loss"], list[str]()
    encode = fit.work.encode

    class Counted(Encoder):
        def fit_transform(self, *given: Any) -> Any:
            fitted.append(self.encode)
            return super().fit_transform(*given)

    def counted(*arguments: Any, **more: Any) -> Any:
        return Counted(**encode(*arguments, **more).get_params())

    part = tuning.Part(replace(fit, work=replace(fit.work, encode=counted)), *rows)
    for settings in ({"num_leaves": 4}, {"num_leaves": 8}, {"encode": "target"}):
        own = tuning.with_settings(fit.estimator, settings)
        alone = own.fit(fit.rows(rows[0]), None, fit.work).predict(fit.input.take(rows[1]))
        assert part.score(own, metric) == metric(fit.index.targets[rows[1]], alone)
    assert fitted == ["native", "target"]
    # Of other targets an encoder learns again.
    shared, one = part.encode("target"), part.train
    assert shared is not None
    shared.fit_transform(one.x, 1 - one.y, one.groups)
    shared.fit_transform(one.x, 1 - one.y, one.groups)
    assert len(fitted) == 3


def test_the_best_of_the_trials_is_taken_as_scikit_learn_scores_them() -> None:
    section = {"estimator": "logistic_regression", "tune": {"trials": 6, "space": [LINE]}}
    fit = fit_of(section, KFOLD)
    train = np.arange(60)
    best = tuning.tuned(fit, train, "fold 2")
    losses = {}
    for C in (1.0, best.C):  # type: ignore[attr-defined]
        found = []
        for kept, held in tuning.inner_folds(fit, train):
            encoder = fit.input.encoder(sparse=True)
            x = encoder.fit_transform(fit.input.take(kept), fit.index.targets[kept])
            model = LogisticRegression(C=C, max_iter=1000).fit(x, fit.index.targets[kept])
            out = model.predict_proba(encoder.transform(fit.input.take(held)))
            found.append(METRICS["log_loss"](fit.index.targets[held], out))
        losses[C] = np.mean(found)
    assert len(losses) == 2
    assert losses[best.C] < losses[1.0]  # type: ignore[attr-defined]
    assert best == tuning.tuned(fit, train, "fold 2")


def test_an_interrupted_search_has_the_same_trials() -> None:
    section = {"estimator": "logistic_regression", "tune": {"trials": 12, "folds": 1}}
    storage, told = optuna.storages.InMemoryStorage(), []

    def say(line: str) -> None:
        told.append(line)
        if len(told) == 5:
            raise KeyboardInterrupt

    fit = fit_of(section, KFOLD)
    kept = replace(fit, studies=lambda: storage)
    train = np.arange(60)
    with pytest.raises(KeyboardInterrupt):
        tuning.tuned(replace(kept, say=say), train, "fold 2")
    assert tuning.tuned(kept, train, "fold 2") == tuning.tuned(fit, train, "fold 2")
    (study,) = optuna.get_all_study_summaries(storage)
    assert study.n_trials == 12


def test_a_tuned_model_is_fitted_by_every_fold_with_its_own_settings() -> None:
    section = {"estimator": "logistic_regression", "tune": {"trials": 3}, "seeds": 2}
    fit, lines = fit_of(section, KFOLD), list[str]()
    tables, _ = fitting.run(replace(fit, say=lines.append))
    chosen = [line for line in lines if line.startswith("tuned for")]
    assert [line.partition(":")[0] for line in chosen] == [
        *(f"tuned for fold {k}" for k in range(3)), "tuned for all rows",
    ]  # fmt: skip
    kept = json.loads((fit.work.folder / tuning.TUNED).read_text())
    assert all(f"{key}={value}" in chosen[-1] for key, value in kept.items())
    assert len(tables[0]) == N


@pytest.mark.parametrize("name", [name for name, kind in ESTIMATORS.items() if kind.space])
def test_every_space_has_settings_that_its_estimator_takes(name: str) -> None:
    found = estimator(section_of(name) | {"tune": {"trials": 1}}, name)
    assert tuning.space(found).axes


@pytest.mark.parametrize(
    ("tune", "message"),
    [
        ({"space": ["D=1,2"]}, r"^tune: unknown key 'D'\. Allowed: .*C, max_iter"),
        ({"space": ["C=-1,2"]}, r"^tune: C is -1: input should be greater than 0"),
        ({"space": ["C=1"]}, r"no setting has several values"),
        ({"trials": 0}, r"tune\.trials is 0"),
    ],
)
def test_a_wrong_space_is_one_line(tune: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tuning.space(estimator({"estimator": "logistic_regression", "tune": tune}, "model"))
