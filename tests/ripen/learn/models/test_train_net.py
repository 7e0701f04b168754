from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import make_moons

import caffe
from ripen.competition.datasets.prepared import Part, write_part
from ripen.core.errors import TrainingError
from ripen.learn.convergence import Reason
from ripen.learn.models import mlp
from ripen.learn.models.train_net import CaffeNet, Check, Training, fit
from ripen.settings.schema import Config

MakeConfig = Callable[..., Config]
QUICK = ("solver.max_iter=60", "train.check_interval=20", "train.batch_size=50")


def moons(n: int, seed: int) -> Part:
    data, labels = make_moons(n, noise=0.1, random_state=seed)
    return Part(np.arange(n), data.astype(np.float32), labels.astype(np.int64))


def train(folder: Path, config: Config) -> tuple[Training, list[Check]]:
    lists = [
        (write_part(folder, name, part), len(part.ids))
        for name, part in (("train", moons(200, 0)), ("validation", moons(100, 1)))
    ]
    deploy = mlp.deploy(config.net, features=2, classes=2)
    (folder / "deploy.prototxt").write_text(mlp.to_text(deploy))
    seen: list[Check] = []
    own = config.competition.avocado.train, config.seed, 2
    return fit(*own, *lists, folder, seen.append), seen


def test_it_learns_and_keeps_the_best(make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config("solver.max_iter=3000", "solver.base_lr=0.5")
    training, checks = train(tmp_path, config)
    net = CaffeNet(tmp_path / "deploy.prototxt", tmp_path / "model.caffemodel")
    validation = moons(100, 1)
    probabilities = net.predict_proba(validation.data)
    assert (probabilities.argmax(axis=1) == validation.labels).mean() > 0.97
    chosen = probabilities[np.arange(100), validation.arrays()[1]]
    best = min(check.validation_loss for check in checks)
    assert training.best_validation_loss == best
    assert -np.log(chosen).mean() == pytest.approx(best, rel=1e-5)
    assert [check.iteration for check in checks] == list(range(100, training.iterations + 1, 100))


def test_the_gradients_norm_is_of_the_gradients(make_config: MakeConfig, tmp_path: Path) -> None:
    # Without momentum and decay the first update is the rate times the gradient.
    plain = ("solver.momentum=0.0", "solver.weight_decay=0.0", "solver.lr_policy=fixed")
    first = ("solver.max_iter=1", "train.check_interval=1", "solver.base_lr=0.5")
    _, (check,) = train(tmp_path, make_config(*plain, *first))
    solver = caffe.get_solver(str(tmp_path / "solver.prototxt"))
    before = [blob.data.copy() for blobs in solver.net.params.values() for blob in blobs]
    solver.step(1)
    after = [blob.data for blobs in solver.net.params.values() for blob in blobs]
    moved = np.sqrt(sum(np.sum((a - b) ** 2) for a, b in zip(after, before, strict=True)))
    assert check.gradient_norm == pytest.approx(moved / 0.5, rel=1e-3)
    assert check.learning_rate == 0.5


def test_the_same_seed_gives_the_same_bytes(make_config: MakeConfig, tmp_path: Path) -> None:
    files = []
    for seed in (1, 1, 2):
        train(tmp_path, make_config(*QUICK, f"seed={seed}"))
        files.append((tmp_path / "model.caffemodel").read_bytes())
    assert files[0] == files[1] != files[2]


def test_nothing_but_its_files_is_left(make_config: MakeConfig, tmp_path: Path) -> None:
    train(tmp_path, make_config(*QUICK))
    left = {path.name for path in tmp_path.iterdir() if path.suffix not in (".h5", ".txt")}
    assert left == {
        "deploy.prototxt",
        "train_val.prototxt",
        "solver.prototxt",
        "model.caffemodel",
        "model.solverstate",
    }


def test_a_solver_goes_on_from_what_was_kept(make_config: MakeConfig, tmp_path: Path) -> None:
    training, _ = train(tmp_path, make_config(*QUICK))
    solver = caffe.get_solver(str(tmp_path / "solver.prototxt"))
    solver.restore(str(tmp_path / "model.solverstate"))
    assert solver.iter == training.best_iteration
    kept = caffe.Net(str(tmp_path / "train_val.prototxt"), caffe.TEST)
    kept.copy_from(str(tmp_path / "model.caffemodel"))
    for name, blobs in solver.net.params.items():
        for ours, theirs in zip(blobs, kept.params[name], strict=True):
            np.testing.assert_array_equal(ours.data, theirs.data)


def test_which_one_ended_it(make_config: MakeConfig, tmp_path: Path) -> None:
    ends = {
        Reason.MAX_ITER: QUICK,
        Reason.CONVERGED: (*QUICK, "train.tolerance=10.0", "train.patience=1"),
        Reason.EARLY_STOPPING: (*QUICK, "train.early_stopping=1", "solver.base_lr=1e-20"),
    }
    for reason, overrides in ends.items():
        (tmp_path / reason).mkdir()
        training, _ = train(tmp_path / reason, make_config(*overrides))
        assert training.stopped is reason


def test_too_large_a_learning_rate_is_named(make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(*QUICK, "solver.base_lr=1e30", "net.activation=relu")
    with pytest.raises(TrainingError, match=r"diverged: .*solver\.base_lr=1e\+30 too large\?"):
        train(tmp_path, config)


def test_nodes_that_start_as_all_ones_stay_equal(make_config: MakeConfig, tmp_path: Path) -> None:
    train(tmp_path, make_config(*QUICK, "net.weights=ones"))
    net = caffe.Net(str(tmp_path / "deploy.prototxt"), caffe.TEST)
    net.copy_from(str(tmp_path / "model.caffemodel"))
    hidden = net.params["hidden1"][0].data
    np.testing.assert_allclose(hidden, np.broadcast_to(hidden[:1], hidden.shape), rtol=1e-5)


def test_a_forward_pass_by_hand(make_config: MakeConfig, tmp_path: Path) -> None:
    train(tmp_path, make_config(*QUICK))
    net = caffe.Net(str(tmp_path / "deploy.prototxt"), caffe.TEST)
    net.copy_from(str(tmp_path / "model.caffemodel"))
    values = moons(7, 5).data.astype(np.float64)
    layers = list(net.params.values())
    for weight, bias in layers[:-1]:
        values = 1 / (1 + np.exp(-(values @ weight.data.T + bias.data)))
    scores = np.exp(values @ layers[-1][0].data.T + layers[-1][1].data)
    expected = scores / scores.sum(axis=1, keepdims=True)
    found = CaffeNet(tmp_path / "deploy.prototxt", tmp_path / "model.caffemodel").predict_proba(
        moons(7, 5).data
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)
