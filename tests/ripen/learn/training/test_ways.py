"""The three ways, with a tiny net of the zoo and small photographs: cats redder than dogs."""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

import caffe
from caffe import NetSpec
from caffe import layers as L
from caffe.net_spec import Top
from ripen.core.errors import ConfigError, UsageError
from ripen.core.layout import Layout
from ripen.data.images import index as indexes
from ripen.data.images.files import opened
from ripen.learn.training.ways import fed, order, run_ways, task_of, what_views_bring
from ripen.nets.engines.real import RealEngine
from ripen.nets.engines.torch import TorchEngine
from ripen.nets.zoo import DEFINITIONS
from ripen.nets.zoo.definition import (
    LEARNT,
    XAVIER,
    Definition,
    Source,
    average_pool,
    deploy,
    loss_and_accuracy,
    softmax,
    train_val,
)
from ripen.settings.compose import as_mapping, changed
from ripen.settings.schema import Config, Engine
from ripen.track.tracker import Tracker

WAYS = ("scratch", "head", "full")
Cats = Callable[..., Config]
DROPPED = 0.2
FILLED: dict[str, Any] = {"param": LEARNT, "weight_filler": XAVIER}
README = """---
name: Tiny
license: unrestricted
caffemodel: tiny.caffemodel
weights: {format: caffemodel}
input: {height: 32, width: 32, channel_order: BGR, raw_scale: 1.0, mean: [0.5, 0.5, 0.5]}
---
"""
DVC = """
stages:
  train:
    matrix: {competition: "${competitions}"}
    cmd: train
    deps: [code.py]
"""
SECTION = "competition.cats_vs_dogs.train.ways"
TINY = (
    f"{SECTION}.finetune.from=tiny",
    f"{SECTION}.finetune.replace=[ip]",
    f"{SECTION}.finetune.freeze_until=pool",
    f"{SECTION}.side=16",
    f"{SECTION}.batch_size=4",
    f"{SECTION}.check_interval=4",
    f"{SECTION}.check_pictures=5",
    f"{SECTION}.solver.max_iter=10",
    f"{SECTION}.solver.base_lr=0.05",
    f"{SECTION}.rates.scratch=10",
    f"{SECTION}.solver.iter_size=2",
)


def _body(n: NetSpec) -> Top:
    n.conv = L.Convolution(n.data, num_output=6, kernel_size=5, stride=2, **FILLED)
    n.relu = L.ReLU(n.conv, in_place=True)
    n.pool = average_pool(n.relu, global_pooling=True)
    n.drop = L.Dropout(n.pool, dropout_ratio=DROPPED, in_place=True)
    n.ip = L.InnerProduct(n.drop, num_output=5, **FILLED)
    return n.ip


@pytest.fixture
def tiny(cats: Cats, monkeypatch: pytest.MonkeyPatch) -> Cats:
    """As `cats`, and the zoo of that folder has one net more, with weights."""
    source = Source({"source": "train"}, {"source": "test"})
    definition = Definition(
        partial(deploy, "Tiny", (1, 3, 32, 32), _body, softmax),
        partial(train_val, "Tiny", source, _body, loss_and_accuracy),
    )

    def make(*overrides: str, **numbers: int) -> Config:
        config = cats(*TINY, *overrides, **numbers)
        monkeypatch.setitem(DEFINITIONS, "tiny", definition)
        Path("models").unlink()
        Path("models/tiny").mkdir(parents=True)
        Path("models/tiny/readme.md").write_text(README)
        caffe.set_random_seed(1)
        caffe.Net(definition.deploy(), caffe.TEST).save("models/tiny/tiny.caffemodel")
        Path("dvc.yaml").write_text(DVC)
        Path("params.yaml").write_text("seed: 1\n")
        Path("code.py").write_text("")
        return config

    return make


def trained(config: Config, folder: str) -> tuple[Path, pd.DataFrame]:
    """Train all ways into a folder; return it, and their predictions."""
    Path(folder).mkdir()
    with Tracker(config, "cats_vs_dogs", "train") as tracker:
        tables = run_ways(config, "cats_vs_dogs", Layout("cats_vs_dogs"), Path(folder), tracker)
    return Path(folder), pd.concat(tables)


def weights(folder: Path) -> dict[str, np.ndarray]:
    net = caffe.Net(
        str(folder / "deploy.prototxt"), caffe.TEST, weights=str(folder / "model.caffemodel")
    )
    return {name: blobs[0].data.copy() for name, blobs in net.params.items()}


def test_what_each_way_moves_leaves_and_predicts(tiny: Cats) -> None:
    config = tiny(each=9, tests=4)
    folder, found = trained(config, "train")
    again, found_again = trained(config, "again")
    start = caffe.Net(DEFINITIONS["tiny"].deploy(), caffe.TEST)
    start.copy_from("models/tiny/tiny.caffemodel")
    index = indexes.read(Layout("cats_vs_dogs").prepared / "index.csv")
    for way in WAYS:
        own = weights(folder / way)
        assert list(own) == ["conv", "ip_cats_vs_dogs"]
        assert own["ip_cats_vs_dogs"].shape == (2, 6)
        moved = float(np.abs(own["conv"] - start.params["conv"][0].data).mean() / own["conv"].std())
        assert {"head": moved == 0, "full": 0 < moved < 0.2, "scratch": moved > 0.7}[way], moved
        curve = pd.read_csv(folder / way / "curve.csv")
        assert curve.iteration.tolist() == [4, 8, 10]
        # 5 pictures are looked at.
        assert (curve.validation_accuracy * 5 % 1 == 0).all()
        rows = found[(found.model == way) & (found.part == "validation")]
        assert sorted(rows.id) == index.index[index.fold == 0].tolist()
        assert sorted(found.id[(found.model == way) & (found.part == "test")]) == [18, 19, 20, 21]
        np.testing.assert_allclose(rows.p0 + rows.p1, 1, rtol=1e-6)
        for file in ("model.caffemodel", "curve.csv", "views.csv"):
            assert (folder / way / file).read_bytes() == (again / way / file).read_bytes(), file
    pd.testing.assert_frame_equal(found, found_again)


def test_what_is_tracked(tiny: Cats) -> None:
    config = tiny()
    trained(config, "train")
    client = mlflow.MlflowClient(f"sqlite:///{Path('mlflow.db').absolute()}")
    experiment = client.get_experiment_by_name("cats_vs_dogs")
    assert experiment is not None
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(WAYS) < set(runs)
    run = runs["full"]
    assert run.data.params["finetune.from"] == "tiny"
    assert run.data.params["solver.base_lr"] == "0.05"
    assert [m.step for m in client.get_metric_history(run.info.run_id, "curve/loss")] == [4, 8, 10]
    views = pd.read_csv("train/full/views.csv").set_index("views")
    assert run.data.metrics["views/all/log_loss"] == views.log_loss["all"]
    assert {file.path for file in client.list_artifacts(run.info.run_id, "caffe")} == {
        f"caffe/{name}"
        for name in (
            "curve.csv",
            "deploy.prototxt",
            "model.caffemodel",
            "model.solverstate",
            "solver.prototxt",
            "train_val.prototxt",
            "training.json",
            "views.csv",
        )
    }


def test_two_folds_predict_all_and_the_test_is_their_mean(tiny: Cats) -> None:
    config = tiny(f"{SECTION}.folds=2", f"{SECTION}.views=whole")
    folder, found = trained(config, "train")
    full = found[found.model == "full"]
    assert sorted(full.id[full.part == "validation"]) == list(range(12))
    assert (folder / "full" / "fold_1" / "model.caffemodel").exists()
    # Of one view there is nothing to be gained.
    assert pd.read_csv(folder / "full" / "views.csv").log_loss.nunique() == 1


def test_what_is_fed(tiny: Cats) -> None:
    config = tiny()
    ways = config.competition.cats_vs_dogs.train.ways
    layout = Layout("cats_vs_dogs")
    index = indexes.read(layout.prepared / "index.csv")
    with opened(layout.raw) as archives:
        files = indexes.files(index, archives)
        task = task_of(ways, "cats_vs_dogs", index, files, 3, 2, TorchEngine())
        batches = list(fed(task, task.net("full"), 0))
    assert len(batches) == 10
    assert {data.shape for data, _ in batches} == {(8, 3, 16, 16)}  # 4 pictures, iter_size 2
    labels = np.concatenate([labels for _, labels in batches])
    assert labels.dtype == np.float32
    # Cats (0) are redder: the third channel of BGR, less the first.
    redder = np.concatenate(
        [data[:, 2].mean((1, 2)) - data[:, 0].mean((1, 2)) for data, _ in batches]
    )
    assert ((redder > 0) == (labels == 0)).mean() > 0.9


def test_a_net_that_cannot_be_had(tiny: Cats) -> None:
    config = tiny(f"{SECTION}.side=3")
    with pytest.raises(ConfigError, match=r"cannot be trained on pictures of this size: .*pool"):
        trained(config, "train")
    ways = config.competition.cats_vs_dogs.train.ways
    wrong = as_mapping(ways.finetune) | {"from": "tinny"}
    index = pd.DataFrame({"label": [0, 1]})
    with pytest.raises(UsageError, match=r"no net 'tinny' in models/; did you mean tiny\?"):
        task_of(changed(ways, finetune=wrong), "cats_vs_dogs", index, [], 0, 1, TorchEngine())


def test_real_caffe_comes_to_the_same(
    real: RealEngine, tiny: Cats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "DROPPED", 0)  # each engine draws its own masks
    config = tiny(each=9, tests=4)
    engines = (Engine(name="torch"), Engine(name="real"))
    results = [trained(replace(config, engine=one), f"train-{one.name}") for one in engines]
    folders, found = zip(*results, strict=True)
    assert found[1].id.tolist() == found[0].id.tolist()
    np.testing.assert_allclose(found[1].p0, found[0].p0, rtol=0, atol=1e-5)
    for way in WAYS:
        ours, theirs = (pd.read_csv(folder / way / "curve.csv") for folder in folders)
        shown = ["iteration", "validation_loss", "validation_accuracy", "gradient_norm"]
        np.testing.assert_allclose(theirs[shown], ours[shown], rtol=1e-4)


@pytest.mark.parametrize("balanced", [False, True])
def test_the_order_of_training(balanced: bool) -> None:
    labels = np.array([0] * 30 + [1] * 10)
    drawn = order(labels, 100, 5, balanced)
    assert len(drawn) == 100
    counts = np.bincount(drawn, minlength=40)
    if balanced:
        assert labels[drawn].tolist() == [0, 1] * 50
        assert set(counts[:30]) == {1, 2}
        assert set(counts[30:]) == {5}
    else:
        # All twice, and 20 of the third shuffle.
        assert sorted(drawn[:40]) == sorted(drawn[40:80]) == list(range(40))
        assert counts.max() == 3
    np.testing.assert_array_equal(drawn, order(labels, 100, 5, balanced))
    assert (drawn != order(labels, 100, 6, balanced)).any()


def test_what_views_bring() -> None:
    right = np.array([[0.4, 0.8], [0.9, 0.7], [0.2, 0.9]])  # of each view of three pictures
    labels = np.array([0, 1, 1])
    found = np.stack([right, 1 - right], axis=2)
    found[labels == 1] = found[labels == 1][..., ::-1]
    brought = what_views_bring(labels, found.astype(np.float32)).set_index("views")
    assert brought.accuracy.to_dict() == {"one": pytest.approx(1 / 3, abs=1e-4), "all": 1.0}
    assert brought.log_loss["one"] == pytest.approx(-np.log([0.4, 0.9, 0.2]).mean(), abs=1e-4)
    assert brought.log_loss["all"] == pytest.approx(-np.log([0.6, 0.8, 0.55]).mean(), abs=1e-4)
