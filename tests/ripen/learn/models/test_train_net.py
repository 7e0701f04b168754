from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import make_moons

import caffe
from ripen.core.errors import TrainingError
from ripen.learn.arrays import write_rows
from ripen.learn.convergence import Check, Reason, Training
from ripen.learn.estimator import Rows
from ripen.learn.estimators.caffe_net import CaffeNet
from ripen.learn.models import mlp
from ripen.learn.models.train_net import train_net
from ripen.nets.engines.engine import TorchEngine

MakeNet = Callable[..., CaffeNet]
QUICK = ("solver.max_iter=60", "train.check_interval=20", "train.batch_size=50")


def moons(n: int, seed: int) -> Rows:
    data, labels = make_moons(n, noise=0.1, random_state=seed)
    return Rows(data.astype(np.float32), labels.astype(np.int64))


def train(folder: Path, own: CaffeNet, seed: int = 2016) -> tuple[Training, list[Check]]:
    lists = [
        (write_rows(folder, name, rows.x, rows.y), min(batch, len(rows.x)))
        for name, rows, batch in (
            ("train", moons(200, 0), own.train.batch_size),
            ("validation", moons(100, 1), 100),
        )
    ]
    deploy = mlp.deploy(own.net, features=2, outputs=2)
    (folder / "deploy.prototxt").write_text(mlp.to_text(deploy))
    seen: list[Check] = []
    net = mlp.train_val(own.net, 2, *lists)
    return train_net(net, own.solver, own.train, seed, folder, seen.append), seen


def predicted(folder: Path, x: NDArray[np.float32]) -> NDArray[np.float32]:
    return TorchEngine().predict(folder / "deploy.prototxt", folder / "model.caffemodel", x)


@pytest.mark.slow
def test_it_learns_and_keeps_the_best(make_net: MakeNet, tmp_path: Path) -> None:
    own = make_net("solver.max_iter=3000", "solver.base_lr=0.5")
    training, checks = train(tmp_path, own)
    validation = moons(100, 1)
    probabilities = predicted(tmp_path, validation.x)
    assert (probabilities.argmax(axis=1) == validation.y).mean() > 0.97
    chosen = probabilities[np.arange(100), validation.y]
    best = min(check.validation_loss for check in checks)
    assert training.best_validation_loss == best
    assert -np.log(chosen).mean() == pytest.approx(best, rel=1e-5)
    assert [check.iteration for check in checks] == list(range(100, training.iterations + 1, 100))


def test_the_gradients_norm_is_of_the_gradients(make_net: MakeNet, tmp_path: Path) -> None:
    # Without momentum and decay the first update is the rate times the gradient.
    plain = ("solver.momentum=0.0", "solver.weight_decay=0.0", "solver.lr_policy=fixed")
    first = ("solver.max_iter=1", "train.check_interval=1", "solver.base_lr=0.5")
    _, (check,) = train(tmp_path, make_net(*plain, *first))
    solver = caffe.get_solver(str(tmp_path / "solver.prototxt"))
    before = [blob.data.copy() for blobs in solver.net.params.values() for blob in blobs]
    solver.step(1)
    after = [blob.data for blobs in solver.net.params.values() for blob in blobs]
    moved = np.sqrt(sum(np.sum((a - b) ** 2) for a, b in zip(after, before, strict=True)))
    assert check.gradient_norm == pytest.approx(moved / 0.5, rel=1e-3)
    assert check.learning_rate == 0.5


def test_the_same_seed_gives_the_same_bytes(make_net: MakeNet, tmp_path: Path) -> None:
    files = []
    for seed in (1, 1, 2):
        train(tmp_path, make_net(*QUICK), seed)
        files.append((tmp_path / "model.caffemodel").read_bytes())
    assert files[0] == files[1] != files[2]


def test_nothing_but_its_files_is_left(make_net: MakeNet, tmp_path: Path) -> None:
    train(tmp_path, make_net(*QUICK))
    left = {path.name for path in tmp_path.iterdir() if path.suffix not in (".h5", ".txt")}
    assert left == {
        "deploy.prototxt",
        "train_val.prototxt",
        "solver.prototxt",
        "model.caffemodel",
        "model.solverstate",
    }


def test_a_solver_goes_on_from_what_was_kept(make_net: MakeNet, tmp_path: Path) -> None:
    training, _ = train(tmp_path, make_net(*QUICK))
    solver = caffe.get_solver(str(tmp_path / "solver.prototxt"))
    solver.restore(str(tmp_path / "model.solverstate"))
    assert solver.iter == training.best_iteration
    kept = caffe.Net(str(tmp_path / "train_val.prototxt"), caffe.TEST)
    kept.copy_from(str(tmp_path / "model.caffemodel"))
    for name, blobs in solver.net.params.items():
        for ours, theirs in zip(blobs, kept.params[name], strict=True):
            np.testing.assert_array_equal(ours.data, theirs.data)


def test_each_reason_ends_it(make_net: MakeNet, tmp_path: Path) -> None:
    ends = {
        Reason.MAX_ITER: QUICK,
        Reason.CONVERGED: (*QUICK, "train.tolerance=10.0", "train.patience=1"),
        Reason.EARLY_STOPPING: (*QUICK, "train.early_stopping=1", "solver.base_lr=1e-20"),
    }
    for reason, overrides in ends.items():
        (tmp_path / reason).mkdir()
        training, _ = train(tmp_path / reason, make_net(*overrides))
        assert training.stopped is reason


def test_too_large_a_learning_rate_is_named(make_net: MakeNet, tmp_path: Path) -> None:
    own = make_net(*QUICK, "solver.base_lr=1e30", "net.activation=relu")
    with pytest.raises(TrainingError, match=r"diverged: .*solver\.base_lr=1e\+30 too large\?"):
        train(tmp_path, own)


def test_nodes_that_start_as_all_ones_stay_equal(make_net: MakeNet, tmp_path: Path) -> None:
    train(tmp_path, make_net(*QUICK, "net.weights=ones"))
    net = caffe.Net(str(tmp_path / "deploy.prototxt"), caffe.TEST)
    net.copy_from(str(tmp_path / "model.caffemodel"))
    hidden = net.params["hidden1"][0].data
    np.testing.assert_allclose(hidden, np.broadcast_to(hidden[:1], hidden.shape), rtol=1e-5)


def test_a_forward_pass_by_hand(make_net: MakeNet, tmp_path: Path) -> None:
    train(tmp_path, make_net(*QUICK))
    net = caffe.Net(str(tmp_path / "deploy.prototxt"), caffe.TEST)
    net.copy_from(str(tmp_path / "model.caffemodel"))
    values = moons(7, 5).x.astype(np.float64)
    layers = list(net.params.values())
    for weight, bias in layers[:-1]:
        values = 1 / (1 + np.exp(-(values @ weight.data.T + bias.data)))
    scores = np.exp(values @ layers[-1][0].data.T + layers[-1][1].data)
    expected = scores / scores.sum(axis=1, keepdims=True)
    found = predicted(tmp_path, moons(7, 5).x)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
