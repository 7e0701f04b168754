"""Both engines get the same results for the same nets and files."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caffe
from caffe.formats import read_text
from caffe.proto.caffe_pb2 import NetParameter
from ripen.competition import index as indexes
from ripen.competition.metrics import scores
from ripen.core.errors import EngineRefused, TrainingError
from ripen.core.layout import Layout
from ripen.learn import fitting
from ripen.learn.convergence import Training
from ripen.learn.estimator import Rows, estimator
from ripen.learn.inputs import opened
from ripen.learn.models.train_net import train_net
from ripen.nets.engines.engine import Engine, RealEngine, TorchEngine
from ripen.settings import compose as settings
from ripen.settings import yaml_files
from ripen.settings.schema import Competition, Solver, Train
from ripen.stages import fetch, prepare
from ripen.stages.settings import compose
from tests.ripen.learn import fits

QUICK = ("solver.max_iter=60", "train.check_interval=20", "train.batch_size=50")


def params(name: str, *overrides: str) -> Competition:
    """Write `params.yaml` into the working folder; return the competition's settings."""
    values, _ = compose([f"competitions=[{name}]", *overrides], fits.ROOT / "conf")
    settings.PARAMS.write_text(yaml_files.dump(values), encoding="utf-8")
    return settings.load_competition(name)


@pytest.fixture
def here(real: RealEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RealEngine]:
    """Leave the test in a folder of its own, with a process of real Caffe that is there too.

    Paths of a competition's files are relative, and that of the session has another folder.
    """
    monkeypatch.chdir(tmp_path)
    with RealEngine() as own:
        yield own


def digits(competition: Competition, model: str, engine: Engine) -> tuple[Any, Training]:
    """Fit a model of the prepared digits with an engine: the test probabilities, its training."""
    layout = Layout("digits")
    index = indexes.read(layout, competition)
    folder = Path(f"{model}-{type(engine).__name__}-{competition.engine}")
    with opened(["table"], competition, layout, index) as taken:
        fit = fits.fit_of(
            competition.models[model],
            index,
            taken,
            folder,
            key=str(folder),
            seed=2016,
            settings=competition,
            engine=engine,
        )
        (_, test), fitted = fitting.run(replace(fit, work=replace(fit.work, competition="digits")))
    assert fitted.training is not None
    return test, fitted.training


def test_digits_in_three_trainings_from_the_same_start(here: RealEngine) -> None:
    competition = params("digits")
    fetch.run("digits")
    prepare.run("digits")
    for name in ("net", "head", "scratch"):
        found, trained = zip(
            *(digits(competition, name, engine) for engine in (TorchEngine(), here)), strict=True
        )
        columns = [f"p{k}" for k in range(5)]
        # Measured: 3e-6.
        np.testing.assert_allclose(found[1][columns], found[0][columns], rtol=0, atol=2e-5)
        _assert_same_course(*trained, 1e-4)


def test_digits_with_a_pretraining_of_each_engine(here: RealEngine) -> None:
    """Where `engine: real` names the one, `torch` the other, as `fetch` and `fit` run them."""
    found = []
    for engine in (TorchEngine(), here):
        competition = params("digits")
        fetch.run("digits")
        pretrain_with(engine, competition)
        prepare.run("digits")
        test, _ = digits(competition, "net", engine)
        index = indexes.read(Layout("digits"), competition)
        probabilities = test[[f"p{k}" for k in range(5)]].to_numpy()
        names = ("accuracy", "log_loss")
        found.append(scores(names, index.targets[test.row], probabilities))
    # Rounding errors grow over 400 iterations: measured 0 and 0.0042, the largest of four seeds.
    assert found[1]["accuracy"] == pytest.approx(found[0]["accuracy"], abs=0.015)
    assert found[1]["log_loss"] == pytest.approx(found[0]["log_loss"], abs=0.02)


def pretrain_with(engine: Engine, competition: Competition) -> None:
    """Train the net that the others begin with by an engine: `fetch` has ours for it."""
    folder = Layout("digits").raw / "pretrained"
    section = competition.source["generate"]["pretrain"]
    definition = read_text(folder / "train_val.prototxt", NetParameter())
    train_net(
        definition,
        settings.check(section["solver"], Solver, "solver"),
        settings.check(section["train"], Train, "train"),
        competition.seed,
        folder,
        lambda check: None,
        engine=engine,
    )


def table(n: int, seed: int) -> Rows:
    """Rows whose class is the sign of their first two values' product."""
    data = np.random.default_rng(seed).normal(size=(n, 6)).astype(np.float32)
    return Rows(data, (data[:, 0] * data[:, 1] > 0).astype(np.int64))


def net(*overrides: str) -> Competition:
    return fits.competition("competitions=[avocado]", *overrides)


def train(folder: Path, own: Competition, engine: Engine) -> Training:
    """Train the competition's net on such rows."""
    index = fits.index_of("binary", ["no", "yes"], [0, 0])
    work = fits.work(folder, index, seed=own.seed, settings=own, engine=engine)
    fitted = estimator(own.models["net"], "models.net").fit(table(200, 0), table(100, 1), work)
    assert fitted.training is not None
    return fitted.training


@pytest.mark.parametrize("weights", ["xavier", "random", "ones"])
def test_a_table(real: RealEngine, tmp_path: Path, weights: str) -> None:
    own = net(f"net.weights={weights}", "solver.max_iter=1000", "seed=3")
    ours = train(tmp_path / "torch", own, TorchEngine())
    theirs = train(tmp_path / "real", own, real)
    _assert_same_course(ours, theirs, 1e-3)
    rows = table(50, 2).x
    found = [
        engine.predict(folder / "deploy.prototxt", folder / "model.caffemodel", rows)
        for engine, folder in ((TorchEngine(), tmp_path / "torch"), (real, tmp_path / "real"))
    ]
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=1e-4)


def _assert_same_course(ours: Training, theirs: Training, rtol: float) -> None:
    assert (theirs.stopped, theirs.iterations) == (ours.stopped, ours.iterations)
    assert theirs.best_iteration == ours.best_iteration
    np.testing.assert_allclose(theirs.curve(), ours.curve(), rtol=rtol, atol=1e-6)


def test_either_predicts_with_what_the_other_trained(real: RealEngine, tmp_path: Path) -> None:
    train(tmp_path / "real", net(*QUICK), real)
    files = tmp_path / "real/deploy.prototxt", tmp_path / "real/model.caffemodel"
    rows = table(50, 2).x
    expected = real.predict(*files, rows)
    np.testing.assert_allclose(TorchEngine().predict(*files, rows), expected, rtol=1e-5)
    assert expected.dtype == np.float32


def test_our_solver_resumes_from_real_caffes_snapshot(real: RealEngine, tmp_path: Path) -> None:
    training = train(tmp_path / "real", net(*QUICK), real)
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
    rows = table(200, 0)
    data, labels = rows.x, rows.y
    size = 5 * iter_size
    losses, norms, found = [], [], []
    for engine in (TorchEngine(), real):
        fed = engine.fed_solver(tmp_path / "solver.prototxt", tmp_path / "net.prototxt")
        steps = []
        for i in range(20):
            chosen = slice(i * size, (i + 1) * size)
            images = np.ascontiguousarray(data[chosen, :, None, None])
            steps.append(fed.step(images, labels[chosen].astype(np.float32), i % 2 == 1))
        losses.append([loss for loss, _ in steps])
        norms.append([norm for _, norm in steps])
        found.append(fed.probabilities(table(50, 2).x[:, :, None, None]))
        fed.snapshot()
        kept = tmp_path / "fed_iter_20.caffemodel"
        again = engine.predict(tmp_path / "net.prototxt", kept, table(50, 2).x[..., None, None])
        np.testing.assert_allclose(again, found[-1], rtol=1e-6)
        kept.unlink()
    assert np.isfinite(norms).tolist() == [[i % 2 == 1 for i in range(20)]] * 2
    np.testing.assert_allclose(norms[1][1::2], norms[0][1::2], rtol=1e-4)
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=1e-5)
    assert np.ptp(found[0][:, 0]) > 0.2  # the output depends on the input
    if iter_size == 1:
        np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)


def test_divergence_and_refusal(real: RealEngine, tmp_path: Path) -> None:
    wild = net(*QUICK, "solver.base_lr=1e30", "net.activation=relu")
    with pytest.raises(TrainingError, match=r"diverged: .*solver\.base_lr=1e\+30 too large\?"):
        train(tmp_path / "wild", wild, real)
    files = tmp_path / "wild/deploy.prototxt", tmp_path / "nothing.caffemodel"
    refused = r"real Caffe 1\.0 refuses: .*nothing\.caffemodel"
    with pytest.raises(EngineRefused, match=refused) as caught:
        real.predict(*files, table(2, 0).x)
    assert "\n" not in str(caught.value)
    # A process that has ended is started again.
    train(tmp_path / "after", net(*QUICK), real)
