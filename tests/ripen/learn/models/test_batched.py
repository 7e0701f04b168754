"""Each trial of a stack against `train_net` training it alone."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_blobs, make_moons

import caffe
from ripen.core.errors import TrainingError
from ripen.learn.arrays import write_rows
from ripen.learn.convergence import Check, Reason, Training
from ripen.learn.estimator import Rows
from ripen.learn.estimators.caffe_net import CaffeNet
from ripen.learn.models import mlp
from ripen.learn.models.batched import first_weights, fit_each, fits
from ripen.learn.models.group import Callback, Trial
from ripen.learn.models.train_net import train_net

MakeNet = Callable[..., CaffeNet]
BUDGET = ("solver.max_iter=170", "train.check_interval=20", "solver.stepsize=50")
# Measured: at most 2e-6 where training does not jump about.
CLOSE = {"rtol": 1e-4, "atol": 1e-6}


def moons(n: int, seed: int) -> Rows:
    data, labels = make_moons(n, noise=0.1, random_state=seed)
    return Rows(data.astype(np.float32), labels.astype(np.int64))


TRAIN, VALIDATION = moons(130, 0), moons(70, 1)  # 130 rows in batches of 50: each is another one


def trial(base: CaffeNet, seed: int = 2016, **settings: Any) -> Trial:
    """Return the net's trial with other settings, of whichever section has their names."""
    sections = []
    for section in (base.net, base.solver, base.train):
        names = {field.name for field in fields(section)} & set(settings)
        sections.append(replace(section, **{name: settings.pop(name) for name in names}))
    assert not settings
    return Trial(*sections, seed)


def fit(
    trials: Sequence[Trial],
    classes: int,
    train: Rows,
    validation: Rows,
    callback: Callback = lambda number, check: True,
) -> list[Training]:
    """Return all trainings in the trials' order."""
    ended = dict(fit_each(trials, classes, train, validation, callback))
    return [ended[number] for number in range(len(trials))]


def alone(one: Trial, folder: Path, classes: int, train: Rows, validation: Rows) -> Training:
    """Train by Caffe's solver."""
    folder.mkdir()
    lists = [
        (write_rows(folder, name, rows.x, rows.y), len(rows.x))
        for name, rows in (("train", train), ("validation", validation))
    ]
    batch = (lists[0][0], min(one.train.batch_size, lists[0][1]))
    net = mlp.train_val(one.net, classes, batch, lists[1])
    return train_net(net, one.solver, one.train, one.seed, folder, lambda check: None)


def compare(found: Training, expected: Training) -> None:
    """Assert the same end and curve."""
    ends = [(one.stopped, one.iterations, one.best_iteration) for one in (found, expected)]
    assert ends[0] == ends[1]
    np.testing.assert_allclose(found.curve(), expected.curve(), **CLOSE)
    assert found.best_validation_loss == pytest.approx(expected.best_validation_loss, rel=1e-4)


@pytest.mark.parametrize(
    ("activation", "depth"),
    [
        pytest.param(activation, depth, marks=[pytest.mark.slow] if row != depth else [])
        for row, activation in enumerate(["sigmoid", "tanh", "relu"], 1)
        for depth in (1, 2, 3)
    ],
)
def test_each_trial_is_as_if_alone(
    make_net: MakeNet, activation: str, depth: int, tmp_path: Path
) -> None:
    base = make_net(*BUDGET, f"net.activation={activation}", "train.batch_size=50")
    trials = [
        trial(
            base, seed, hidden_layers=[width] * depth, weights=weights, base_lr=rate,
            momentum=momentum, weight_decay=decay, lr_policy=policy,
        )
        for width, weights, rate, momentum, decay, policy, seed in (
            (4, "xavier", 0.05, 0.9, 0.0, "fixed", 1),
            (7, "xavier", 0.02, 0.5, 0.01, "step", 2),
            (2, "random", 0.1, 0.0, 0.001, "step", 3),
        )
    ]  # fmt: skip
    results = fit(trials, 2, TRAIN, VALIDATION)
    for i, (one, found) in enumerate(zip(trials, results, strict=True)):
        compare(found, alone(one, tmp_path / str(i), 2, TRAIN, VALIDATION))


def test_each_ends_for_its_own_reason_and_the_others_go_on(
    make_net: MakeNet, tmp_path: Path
) -> None:
    settings: dict[Reason, dict[str, Any]] = {
        Reason.MAX_ITER: {},
        Reason.CONVERGED: {"tolerance": 0.02, "patience": 2},
        Reason.EARLY_STOPPING: {"early_stopping": 2, "base_lr": 1e-20},
    }
    base = make_net(*BUDGET, "net.activation=relu", "solver.base_lr=0.05")
    trials = [trial(base, **own) for own in settings.values()]
    order = [number for number, _ in fit_each(trials, 2, TRAIN, VALIDATION)]
    assert order == [2, 1, 0]
    results = fit(trials, 2, TRAIN, VALIDATION)
    assert [one.stopped for one in results] == list(settings)
    for i, (one, found) in enumerate(zip(trials, results, strict=True)):
        compare(found, alone(one, tmp_path / str(i), 2, TRAIN, VALIDATION))


def test_one_that_diverges_says_so_and_spoils_no_other(make_net: MakeNet, tmp_path: Path) -> None:
    base = make_net(*BUDGET, "net.activation=relu", "solver.base_lr=0.05")
    good, bad = trial(base), trial(base, base_lr=1e30)
    later = trial(base, momentum=0.0, weight_decay=42.0)  # weights grow, sign by sign
    with_bad = fit([bad, good, later], 2, TRAIN, VALIDATION)
    without = fit([good], 2, TRAIN, VALIDATION)[0]
    np.testing.assert_allclose(with_bad[1].curve(), without.curve(), rtol=1e-5)
    for i, one in ((0, bad), (2, later)):
        assert with_bad[i].stopped is Reason.DIVERGED
        with pytest.raises(TrainingError) as error:
            alone(one, tmp_path / str(i), 2, TRAIN, VALIDATION)
        assert f"at iteration {with_bad[i].iterations}." in str(error.value)
    assert [len(one.checks) for one in with_bad] == [0, 9, 1]


def test_first_weights_are_those_of_the_solvers_net(make_net: MakeNet, tmp_path: Path) -> None:
    one = trial(make_net(*BUDGET), seed=5, hidden_layers=[3, 4])
    alone(one, tmp_path / "alone", 2, TRAIN, VALIDATION)
    solver = caffe.get_solver(str(tmp_path / "alone" / "solver.prototxt"))
    first = first_weights(one.net, 2, 2, 5)
    for blobs, arrays in zip(solver.net.params.values(), first, strict=True):
        for blob, array in zip(blobs, arrays, strict=True):
            np.testing.assert_array_equal(blob.data, array)


def test_a_callback_prunes(make_net: MakeNet) -> None:
    base = make_net(*BUDGET)
    trials = [trial(base, seed) for seed in range(3)]
    seen: list[tuple[int, int]] = []

    def callback(number: int, check: Check) -> bool:
        seen.append((number, check.iteration))
        return not (number == 1 and check.iteration == 40)

    pruned = fit(trials, 2, TRAIN, VALIDATION, callback)
    assert [one.stopped for one in pruned] == [
        Reason.MAX_ITER, Reason.PRUNED, Reason.MAX_ITER,
    ]  # fmt: skip
    assert pruned[1].iterations == 40
    assert seen[:6] == [(number, at) for at in (20, 40) for number in range(3)]
    untouched = fit(trials, 2, TRAIN, VALIDATION)
    for i in (0, 2):
        np.testing.assert_allclose(pruned[i].curve(), untouched[i].curve(), rtol=1e-5)


def blobs(n: int, seed: int) -> Rows:
    data, labels = make_blobs(n, 20, centers=np.eye(3, 20) * 4, random_state=seed)
    return Rows(data.astype(np.float32), labels.astype(np.int64))


def test_nets_without_hidden_layers_and_with_a_batch_of_all_rows(
    make_net: MakeNet, tmp_path: Path
) -> None:
    base = make_net(*BUDGET, "train.batch_size=1000")  # more than there are: all at once
    train, validation = blobs(90, 0), blobs(60, 1)
    trials = [
        trial(base, seed, hidden_layers=[], base_lr=rate, weight_decay=decay)
        for rate, decay, seed in itertools.product((0.1, 0.01), (0.0, 0.1), (1, 2))
    ]
    results = fit(trials, 3, train, validation)
    for i, (one, found) in enumerate(zip(trials, results, strict=True)):
        compare(found, alone(one, tmp_path / str(i), 3, train, validation))
    assert results[0].checks[-1].validation_accuracy > 0.8


def test_room_for_many_probabilities_or_few(
    make_net: MakeNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = trial(make_net(*BUDGET, "train.batch_size=40"))
    whole = fit([one], 2, TRAIN, VALIDATION)[0]
    monkeypatch.setattr("ripen.learn.models.group.ROOM", 3 * 40)
    pieces = fit([one], 2, TRAIN, VALIDATION)[0]
    np.testing.assert_allclose(pieces.curve(), whole.curve(), rtol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {"dropout": 0.5},
        {"type": "Nesterov"},
        {"regularization_type": "L1"},
        {"clip_gradients": 1.0},
        {"iter_size": 2},
    ],
)
def test_trials_that_cannot_be_stacked_are_refused(
    make_net: MakeNet, settings: dict[str, Any]
) -> None:
    one = trial(make_net(), **settings)
    assert not fits(one)
    assert fits(trial(make_net()))
    with pytest.raises(ValueError, match="only SGD can be stacked"):
        fit([one], 2, TRAIN, VALIDATION)


def test_every_policy(make_net: MakeNet, tmp_path: Path) -> None:
    base = make_net(*BUDGET, "solver.gamma=0.99", "solver.base_lr=0.05")
    policies: list[dict[str, Any]] = [
        {"lr_policy": "exp"},
        {"lr_policy": "inv", "power": 0.75},
        {"lr_policy": "multistep", "stepvalue": [30, 30, 90], "gamma": 0.5},
        {"lr_policy": "poly", "power": 2.0},
        {"lr_policy": "sigmoid", "stepsize": 60},
    ]
    trials = [trial(base, hidden_layers=[4], **own) for own in policies]
    for i, found in enumerate(fit(trials, 2, TRAIN, VALIDATION)):
        compare(found, alone(trials[i], tmp_path / str(i), 2, TRAIN, VALIDATION))


def numbers(results: Sequence[Training]) -> list[float]:
    return [one.best_validation_loss for one in results]


def test_results_are_in_the_trials_order_whatever_their_group(make_net: MakeNet) -> None:
    base = make_net(*BUDGET, "solver.max_iter=40")
    trials = [
        trial(base, seed, hidden_layers=layers)
        for seed, layers in ((1, [4]), (2, [4, 4]), (3, [4]), (4, [3, 3, 3]))
    ]
    apart = [fit([one], 2, TRAIN, VALIDATION)[0] for one in trials]
    assert numbers(fit(trials, 2, TRAIN, VALIDATION)) == pytest.approx(numbers(apart), rel=1e-5)
