"""Both engines get the same results for the same nets and files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import caffe
from ripen.competition.datasets.digits import DATASET
from ripen.competition.datasets.prepared import Part, write_part
from ripen.competition.metrics import scores
from ripen.core.errors import EngineRefused, TrainingError
from ripen.data.sources import builtin
from ripen.learn.models import mlp
from ripen.learn.models.train_net import Training, fit
from ripen.learn.training.pictures import Task, predict, pretrain, train_way, ways_from
from ripen.nets.engines.engine import Engine, RealEngine, TorchEngine
from ripen.settings.schema import Config
from ripen.stages.prepare import prepare_pictures

MakeConfig = Callable[..., Config]
QUICK = ("solver.max_iter=60", "train.check_interval=20", "train.batch_size=50")


@pytest.fixture
def digits(make_config: MakeConfig, tmp_path: Path) -> tuple[Config, dict[str, Part], Path]:
    """The digits, prepared: settings, parts and the folder that holds them."""
    config = make_config()
    (tmp_path / "raw").mkdir()
    builtin.fetch(DATASET, config.competition.digits.fetch, 2016, tmp_path / "raw")
    parts = prepare_pictures(DATASET, tmp_path / "raw", 0.2, 2016)
    for name, part in parts.items():
        write_part(tmp_path, name, part)
    return config, parts, tmp_path


def test_digits_in_three_trainings_from_the_same_start(
    real: RealEngine, digits: tuple[Config, dict[str, Part], Path]
) -> None:
    config, parts, folder = digits
    settings = config.competition.digits.train
    ours, theirs = (Task(settings, DATASET, 2016, engine) for engine in (TorchEngine(), real))
    start = pretrain(ours, folder, folder / "pretrained")
    lists = (folder / "train.txt", 25), (folder / "validation.txt", 25)
    for name in ("net", "head", "scratch"):
        trained, found = [], []
        for engine, task in (("torch", ours), ("real", theirs)):
            own = folder / f"{name}-{engine}"
            own.mkdir()
            trained.append(train_way(ways_from(task, start)[name], task, lists, own))
            found.append(predict(task, own, parts["test"]))
        # Measured: 3e-6.
        np.testing.assert_allclose(found[1], found[0], rtol=0, atol=2e-5)
        _assert_same_course(*trained, 1e-4)


def test_digits_with_a_pretraining_of_their_own(
    real: RealEngine, digits: tuple[Config, dict[str, Part], Path]
) -> None:
    config, parts, folder = digits
    lists = (folder / "train.txt", 25), (folder / "validation.txt", 25)
    found = []
    for name, engine in (("torch", TorchEngine()), ("real", real)):
        task = Task(config.competition.digits.train, DATASET, 2016, engine)
        own = folder / name
        own.mkdir()
        start = pretrain(task, folder, own / "pretrained")
        train_way(ways_from(task, start)["net"], task, lists, own)
        found.append(scores(parts["test"].arrays()[1], predict(task, own, parts["test"])))
    # Rounding errors grow over 400 iterations: measured 0 and 0.0042, the largest of four seeds.
    assert found[1]["accuracy"] == pytest.approx(found[0]["accuracy"], abs=0.015)
    assert found[1]["log_loss"] == pytest.approx(found[0]["log_loss"], abs=0.02)


def table(n: int, seed: int) -> Part:
    """Rows whose class is the sign of their first two values' product."""
    data = np.random.default_rng(seed).normal(size=(n, 6)).astype(np.float32)
    return Part(np.arange(n), data, (data[:, 0] * data[:, 1] > 0).astype(np.int64))


def train(folder: Path, config: Config, engine: Engine) -> Training:
    folder.mkdir()
    lists = [
        (write_part(folder, name, part), len(part.ids))
        for name, part in (("train", table(200, 0)), ("validation", table(100, 1)))
    ]
    deploy = mlp.deploy(config.net, features=6, classes=2)
    (folder / "deploy.prototxt").write_text(mlp.to_text(deploy))
    own = config.competition.avocado.train, config.seed, 2
    return fit(*own, *lists, folder, lambda check: None, engine)


@pytest.mark.parametrize("weights", ["xavier", "random", "ones"])
def test_a_table(real: RealEngine, make_config: MakeConfig, tmp_path: Path, weights: str) -> None:
    config = make_config(f"net.weights={weights}", "solver.max_iter=1000", "seed=3")
    ours = train(tmp_path / "torch", config, TorchEngine())
    theirs = train(tmp_path / "real", config, real)
    _assert_same_course(ours, theirs, 1e-3)
    rows = table(50, 2).data
    found = [
        engine.predict(folder / "deploy.prototxt", folder / "model.caffemodel", rows)
        for engine, folder in ((TorchEngine(), tmp_path / "torch"), (real, tmp_path / "real"))
    ]
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=1e-4)


def _assert_same_course(ours: Training, theirs: Training, rtol: float) -> None:
    assert (theirs.stopped, theirs.iterations) == (ours.stopped, ours.iterations)
    assert theirs.best_iteration == ours.best_iteration
    np.testing.assert_allclose(theirs.curve(), ours.curve(), rtol=rtol, atol=1e-6)


def test_either_predicts_with_what_the_other_trained(
    real: RealEngine, make_config: MakeConfig, tmp_path: Path
) -> None:
    train(tmp_path / "real", make_config(*QUICK), real)
    files = tmp_path / "real/deploy.prototxt", tmp_path / "real/model.caffemodel"
    rows = table(50, 2).data
    expected = real.predict(*files, rows)
    np.testing.assert_allclose(TorchEngine().predict(*files, rows), expected, rtol=1e-5)
    assert expected.dtype == np.float32


def test_our_solver_resumes_from_real_caffes_snapshot(
    real: RealEngine, make_config: MakeConfig, tmp_path: Path
) -> None:
    training = train(tmp_path / "real", make_config(*QUICK), real)
    left = {path.name for path in (tmp_path / "real").glob("model*")}
    assert left == {"model.caffemodel", "model.solverstate"}
    solver = caffe.get_solver(str(tmp_path / "real/solver.prototxt"))
    solver.restore(str(tmp_path / "real/model.solverstate"))
    assert solver.iter == training.best_iteration
    solver.step(1)
    assert float(solver.net.blobs["loss"].data) == pytest.approx(training.checks[-1].loss, rel=0.2)


FED = """
layer { name: "data" type: "MemoryData" top: "data" top: "label" include { phase: TRAIN }
  memory_data_param { batch_size: 5 channels: 6 height: 1 width: 1 } }
layer { name: "data" type: "Input" top: "data" include { phase: TEST }
  input_param { shape { dim: [1, 6, 1, 1] } } }
layer { name: "hidden" type: "InnerProduct" bottom: "data" top: "hidden"
  inner_product_param { num_output: 8 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "hidden" top: "hidden" }
layer { name: "scores" type: "InnerProduct" bottom: "hidden" top: "scores"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "scores" bottom: "label" top: "loss"
  include { phase: TRAIN } }
layer { name: "prob" type: "Softmax" bottom: "scores" top: "prob" include { phase: TEST } }
"""


@pytest.mark.parametrize("iter_size", [1, 2])
def test_solvers_with_memory_data(real: RealEngine, tmp_path: Path, iter_size: int) -> None:
    (tmp_path / "net.prototxt").write_text(FED)
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path}/net.prototxt" snapshot_prefix: "{tmp_path}/fed" base_lr: 0.1 '
        f'momentum: 0.9 lr_policy: "fixed" max_iter: 20 iter_size: {iter_size} random_seed: 3'
    )
    data, labels = table(200, 0).arrays()
    rows = 5 * iter_size
    losses, norms, found = [], [], []
    for engine in (TorchEngine(), real):
        fed = engine.fed_solver(tmp_path / "solver.prototxt", tmp_path / "net.prototxt")
        steps = []
        for i in range(20):
            chosen = slice(i * rows, (i + 1) * rows)
            images = np.ascontiguousarray(data[chosen, :, None, None])
            steps.append(fed.step(images, labels[chosen].astype(np.float32), i % 2 == 1))
        losses.append([loss for loss, _ in steps])
        norms.append([norm for _, norm in steps])
        found.append(fed.probabilities(table(50, 2).data[:, :, None, None]))
        fed.snapshot()
        kept = tmp_path / "fed_iter_20.caffemodel"
        again = engine.predict(tmp_path / "net.prototxt", kept, table(50, 2).data[..., None, None])
        np.testing.assert_allclose(again, found[-1], rtol=1e-6)
        kept.unlink()
    assert np.isfinite(norms).tolist() == [[i % 2 == 1 for i in range(20)]] * 2
    np.testing.assert_allclose(norms[1][1::2], norms[0][1::2], rtol=1e-4)
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=1e-5)
    assert np.ptp(found[0][:, 0]) > 0.2  # the output depends on the input
    if iter_size == 1:
        np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)


def test_divergence_and_refusal(real: RealEngine, make_config: MakeConfig, tmp_path: Path) -> None:
    wild = make_config(*QUICK, "solver.base_lr=1e30", "net.activation=relu")
    with pytest.raises(TrainingError, match=r"diverged: .*solver\.base_lr=1e\+30 too large\?"):
        train(tmp_path / "wild", wild, real)
    files = tmp_path / "wild/deploy.prototxt", tmp_path / "nothing.caffemodel"
    refused = r"real Caffe 1\.0 refuses: .*nothing\.caffemodel"
    with pytest.raises(EngineRefused, match=refused) as caught:
        real.predict(*files, table(2, 0).data)
    assert "\n" not in str(caught.value)
    train(
        tmp_path / "after", make_config(*QUICK), real
    )  # a process that has ended is started again
