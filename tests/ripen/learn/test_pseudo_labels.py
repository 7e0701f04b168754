"""Pseudo-labels: which rows get them, what they add, and that nothing held out is in them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import KNeighborsClassifier

from ripen.competition import predictions
from ripen.competition.index import WEIGHT
from ripen.competition.splitters import splitter
from ripen.core.errors import ConfigError, DataError
from ripen.learn import fitting, pseudo_labels
from ripen.learn.estimators.head import Head
from ripen.learn.inputs import Input
from ripen.learn.model_fit import Fit
from ripen.settings.compose import changed
from ripen.settings.schema import PseudoLabels
from tests.ripen.learn import fits, tiny

N, TEST = 60, 30
SURE = PseudoLabels(confidence=0.9)
SVM = {"estimator": "svm"}
PRETRAINED = {"estimator": "pretrained", "inputs": ["images"], "net": "tiny", "batch_size": 4}
HEAD = {
    "estimator": "head",
    "inputs": ["tiny"],
    "batch_size": 20,
    "check_interval": 50,
    "solver": {"base_lr": 0.5, "lr_policy": "fixed", "momentum": 0.9, "max_iter": 100},
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.install(monkeypatch)


def numbers(seed: int, rows: int = N + TEST, columns: int = 2) -> np.ndarray[Any, Any]:
    """Return rows in whose first column the classes of `made` overlap a little."""
    x = np.random.default_rng(seed).normal(size=(rows, columns))
    x[:, 0] += np.where(np.arange(rows) % 2, 1.5, -1.5)
    return x


def made(
    section: dict[str, Any],
    taken: Input,
    targets: list[str] | None = None,
    settings: PseudoLabels | None = SURE,
    task: str = "binary",
    held: int = 20,
) -> Fit:
    """Return a fit of rows of which the first are held out, in one fold of a column's."""
    targets = targets or [["no", "yes"][row % 2] for row in range(N)] + [""] * TEST
    fold = [0] * held + [-1] * (N - held + TEST)
    index = fits.index_of(task, targets, fold, ["train"] * N + ["test"] * TEST)
    split = splitter({"split": "column", "column": "fold"})  # whose models are not refitted
    fit = fits.fit_of(section, index, taken, Path("model"), split)
    return replace(fit, pseudo_labels=settings)


def columns(values: np.ndarray[Any, Any]) -> Input:
    return fits.table_input(pd.DataFrame(values).rename(columns=str), 1.0)


def features(values: np.ndarray[Any, Any]) -> Input:
    return fits.features_input(values.astype(np.float32))


@pytest.mark.parametrize(
    ("section", "taken", "wide"),
    [
        ({"estimator": "logistic_regression"}, columns, 2),
        ({"estimator": "lightgbm", "encode": "target", "min_child_samples": 2}, columns, 2),
        ({"estimator": "k_nearest_neighbors", "seeds": 2, "tune": {"trials": 2}}, columns, 2),
        (HEAD, features, tiny.MAPS),
    ],
)
def test_nothing_of_a_folds_held_out_rows_is_in_its_pseudo_labels(
    section: dict[str, Any], taken: Any, wide: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answers are the same bytes whatever these rows, their labels and the test labels are."""
    monkeypatch.setattr(Head, "refits", False)  # or a model of all rows would answer
    answers, before = [], []
    for poisoned in (False, True):
        values = numbers(0, columns=wide)
        targets = [["no", "yes"][row % 2] for row in range(N)] + [""] * TEST
        if poisoned:
            values[:20] = np.random.default_rng(1).normal(9, 5, (20, wide))
            targets[:20] = [["no", "yes"][int(x > 9)] for x in values[:20, 0]]
            targets[N:] = [["yes", "no"][row % 2] for row in range(TEST)]  # wrong, and known
        tables, _ = fitting.run(made(section, taken(values), targets))
        answers.append(predictions.outputs(tables[1]))
        before.append(Path("model", pseudo_labels.BEFORE).read_text())
    assert answers[0].tobytes() == answers[1].tobytes()
    assert before[0] != before[1]
    plain, _ = fitting.run(made(section, taken(numbers(0, columns=wide)), settings=None))
    assert not np.array_equal(predictions.outputs(plain[1]), answers[0])  # they did change it


def test_each_fold_learns_what_its_own_model_is_sure_of() -> None:
    x, y = numbers(3), np.arange(N) % 2
    section = {"estimator": "k_nearest_neighbors", "n_neighbors": 7, "weights": "distance"}
    fit = made(section, columns(x))
    said: list[str] = []
    fit = replace(fit, index=with_folds(fit), say=said.append)
    (validation, test), _ = fitting.run(
        replace(fit, splitter=splitter({"split": "kfold", "folds": 2}))
    )

    def models(train: np.ndarray[Any, Any]) -> tuple[Any, Any, Any]:
        first = KNeighborsClassifier(7, weights="distance").fit(x[train], y[train])
        p = first.predict_proba(x[N:])
        sure = p.max(axis=1) >= 0.9
        more = KNeighborsClassifier(7, weights="distance").fit(
            np.concatenate([x[train], x[N:][sure]]),
            np.concatenate([y[train], p[sure].argmax(axis=1)]),
        )
        return first, more, int(sure.sum())

    halves = [models(np.flatnonzero(np.arange(N) % 4 // 2 != k)) for k in (0, 1)]
    whole = models(np.arange(N))
    by_fold = [np.flatnonzero(np.arange(N) % 4 // 2 == k) for k in (0, 1)]
    for table, place in ((validation, 1), (pd.read_csv(f"model/{pseudo_labels.BEFORE}"), 0)):
        assert table.row.tolist() == np.concatenate(by_fold).tolist()
        expected = [halves[k][place].predict_proba(x[by_fold[k]]) for k in (0, 1)]
        np.testing.assert_allclose(predictions.outputs(table), np.concatenate(expected), atol=1e-7)
    np.testing.assert_allclose(predictions.outputs(test), whole[1].predict_proba(x[N:]), atol=1e-7)
    assert [line for line in said if "labelled" in line] == [
        f"fold {k}: labelled {halves[k][2]} of {TEST} test rows" for k in (0, 1)
    ] + [f"all rows: labelled {whole[2]} of {TEST} test rows"]
    assert 0 < whole[2] < TEST


def with_folds(fit: Fit) -> Any:
    fold = np.where(np.arange(N + TEST) < N, np.arange(N + TEST) % 4 // 2, -1)
    return replace(fit.index, rows=fit.index.rows.assign(fold=fold))


def test_a_killed_fit_keeps_what_was_said_before() -> None:
    fit = made({"estimator": "logistic_regression"}, columns(numbers(3)))
    fit = replace(fit, index=with_folds(fit))
    fitting.run(fit)
    expected = Path("model", pseudo_labels.BEFORE).read_bytes()
    fitting.fit_fold(fit, 0, fit.kept)  # by a worker, or before the kill
    assert fitting.missing(fit) == []  # the last fold's model is the one that is left
    fitting.run(fit)
    assert Path("model", pseudo_labels.BEFORE).read_bytes() == expected


@pytest.mark.parametrize(
    ("task", "outputs", "taken", "targets"),
    [
        ("binary", [[0.9, 0.1], [0.3, 0.7], [0.05, 0.95]], [0, 2], ["no", "yes"]),
        ("regression", [[1.5], [-2.0], [0.1]], [0, 1, 2], ["1.5", "-2.0", "0.1"]),
    ],
)
def test_classes_are_taken_by_confidence_and_numbers_all_with_their_weight(
    task: str, outputs: list[list[float]], taken: list[int], targets: list[str]
) -> None:
    known = {"binary": ["no", "yes", "no"], "regression": ["1", "2", "3"]}[task]
    index = fits.index_of(task, [*known, "", *known[:2]], [0] * 6, ["train"] * 3 + ["test"] * 3)
    rows = np.arange(3, 6)
    found, sure = pseudo_labels.labelled(index, np.arange(3), rows, np.array(outputs), SURE)
    assert sure.tolist() == rows[taken].tolist()
    assert found.rows.target[sure].tolist() == targets
    assert found.rows.target[:3].tolist() == known
    assert found.weight is None
    half = replace(SURE, weight=0.5)
    found, _ = pseudo_labels.labelled(index, np.arange(3), rows, np.array(outputs), half)
    assert found.weight is not None
    assert found.weight[sure].tolist() == [0.5] * len(sure)
    assert found.weight[:3].tolist() == [1, 1, 1]
    weighted = replace(index, rows=index.rows.assign(**{WEIGHT: [2.0, 4.0, 6.0, 1.0, 1.0, 1.0]}))
    found, _ = pseudo_labels.labelled(weighted, np.arange(3), rows, np.array(outputs), half)
    assert found.weight is not None
    assert found.weight[sure].tolist() == [2.0] * len(sure)  # half the mean of the training rows'


def test_without_test_rows_there_is_nothing_to_label() -> None:
    fit = made({"estimator": "logistic_regression"}, columns(numbers(3)))
    rows = fit.index.rows.assign(part="train")
    rows = rows.assign(target=[["no", "yes"][row % 2] for row in range(N + TEST)])
    fit = replace(fit, index=replace(fit.index, rows=rows))
    with pytest.raises(DataError, match=r"^pseudo_labels: there are no test rows to label\. Set"):
        fitting.run(fit)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"pseudo_labels": {"models": ["swm"]}},
            r"pseudo_labels\.models names 'swm', which is not in models; did you mean 'svm'\?$",
        ),
        (
            {"pseudo_labels": {"models": ["zoo"]}, "models": {"zoo": PRETRAINED, "svm": SVM}},
            r"pseudo_labels\.models names 'zoo', which learns nothing\. Allowed: svm$",
        ),
        (
            {"validation": {"split": "time", "column": "day", "folds": 3}},
            "pseudo_labels: test rows are later than the rows held out.* Set it to null$",
        ),
        (
            {"task": "multilabel", "target": ["a", "b"]},
            "pseudo_labels: a row of task 'multilabel' has several labels.* Set it to null$",
        ),
    ],
)
def test_what_takes_no_pseudo_labels_is_one_line(changes: dict[str, Any], said: str) -> None:
    own = changed(fits.competition(), **({"pseudo_labels": {}} | changes))
    with pytest.raises(ConfigError, match=f"^here: {said}"):
        pseudo_labels.check(own, "here")


def test_models_that_learn_take_them_unless_some_are_named() -> None:
    models = {"zoo": PRETRAINED, "svm": SVM, "other": SVM}
    own = changed(fits.competition(), models=models)
    for settings, taken in ((None, []), ({}, ["svm", "other"]), ({"models": ["svm"]}, ["svm"])):
        found = changed(own, pseudo_labels=settings)
        pseudo_labels.check(found, "here")
        assert [model for model in models if pseudo_labels.of(found, model)] == taken
