"""fit: what a model leaves behind, what is tracked of it, and that it has learnt."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

import caffe
from ripen.competition import index as indexes
from ripen.competition import predictions
from ripen.core.errors import DataError
from ripen.core.layout import Layout
from ripen.data import image_index, image_input
from ripen.data.decode import decode, open_archives
from ripen.data.image_input import Input
from ripen.learn.models import served
from ripen.learn.spread_folds import content
from ripen.nets.published import caffemodel
from ripen.settings.compose import load_competition
from ripen.stages import features, fetch, fit, prepare
from tests.ripen.frozen import ALONE, CLASSIC, KINDS, with_weights
from tests.ripen.images import cats_and_dogs, write_raw
from tests.ripen.learn import tiny

LAYOUT = Layout("cats_vs_dogs")
COLOURS = [f"models.{name}_{kind}=null" for name in CLASSIC for kind in KINDS]
Params = Callable[..., dict[str, Any]]


def client() -> mlflow.MlflowClient:
    return mlflow.MlflowClient(f"sqlite:///{Path.cwd() / 'mlflow.db'}")


def run_of(name: str) -> Any:
    (run,) = client().search_runs(["1"], f"attributes.run_name = '{name}'")
    return run


@pytest.mark.slow
def test_classic_models_of_a_table_and_what_is_tracked_of_them(here: Params) -> None:
    here(
        "competitions=[avocado]",
        "source.generate={n_train: 60, n_test: 40, n_more: 20, label_noise: 0.05}",
        "learning_curve=[30,60,1000]",
        "models.random_forest.n_estimators=10",
    )
    fetch.run("avocado")
    prepare.run("avocado")
    layout = Layout("avocado")
    for name in ("svm", "random_forest"):
        fit.run("avocado", name)
        own = layout.model(name)
        assert {path.name for path in own.iterdir()} == {"predictions.csv", "learning_curve.csv"}
        table = predictions.read(layout, [name])[name]
        assert table.part.value_counts().to_dict() == {"test": 40, "validation": 12}
        curve = pd.read_csv(own / "learning_curve.csv")
        # 48 rows train without the held-out ones, and 20 more follow.
        assert curve.n_train.tolist() == [30, 60]
        run = run_of(name)
        assert run.info.status == "FINISHED"
        assert run.data.tags["dvc.stage"] == f"fit@avocado.{name}"
        assert {"training_seconds"} <= set(run.data.metrics)
        folder = Path(client().download_artifacts(run.info.run_id, "served", Path.cwd()))
        shown = pd.read_csv(layout.raw / "test.csv")
        found = served.read(folder).predict(shown)
        test = table[table.part == "test"]
        np.testing.assert_allclose(found[["p0", "p1"]], test[["p0", "p1"]], atol=1e-6)
        shutil.rmtree(folder)
    assert run_of("svm").data.params["C"] == "3.0"
    assert run_of("random_forest").data.params["n_estimators"] == "10"
    assert run_of("svm").data.params["seed"] == "2016"
    # Made from the same, it is the same run.
    fit.run("avocado", "svm")
    assert run_of("svm").info.status == "FINISHED"


@pytest.mark.slow  # starts processes
def test_folds_spread_over_processes_give_the_same_bytes(here: Params) -> None:
    layout, found = Layout("avocado"), []
    for launcher in ("basic", "joblib"):
        here(
            "competitions=[avocado]",
            f"launcher={launcher}",
            "source.generate={n_train: 60, n_test: 40, n_more: 0, label_noise: 0.05}",
            "validation={split: stratified, folds: 3}",
            "solver.max_iter=100",
            "learning_curve=[]",
            "models.random_forest={estimator: random_forest, n_estimators: 5, seeds: 2}",
        )
        if launcher == "basic":
            fetch.run("avocado")
            prepare.run("avocado")
        own = [layout.model(name) for name in ("random_forest", "net")]
        for folder in own:
            fit.run("avocado", folder.name)
        found.append([content(folder) for folder in own])
    for serial, spread in zip(*found, strict=True):
        assert serial.keys() == spread.keys()
        assert [name for name in serial if serial[name] != spread[name]] == []


def test_what_is_tracked_of_a_net_that_is_trained_further(
    here: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here("competitions=[avocado]")  # to be in a folder of its own
    tiny.install(monkeypatch)
    section = json.dumps(tiny.FINETUNED).replace('"', "")
    here(
        "competitions=[cats_vs_dogs]",
        "validation.folds=2",
        *COLOURS,
        *(f"models.{name}=null" for name in ("net", "squeezenet_head", "scratch", "head")),
        *(f"features.{name}=null" for name in ("histogram", "efficientnet_lite2", "squeezenet")),
        f"models.full={section}",
    )
    write_raw(LAYOUT.raw, cats_and_dogs())
    prepare.run("cats_vs_dogs")
    fit.run("cats_vs_dogs", "full")
    run = run_of("full")
    assert run.data.params["finetune.from"] == "tiny"
    assert run.data.params["solver.base_lr"] == "0.05"
    assert run.data.tags["stopped"] == "max_iter"
    history = client().get_metric_history(run.info.run_id, "curve/loss")
    assert [metric.step for metric in history] == [4, 8, 10]
    curve = pd.read_csv(LAYOUT.model("full") / "curve.csv")
    assert [metric.value for metric in history] == pytest.approx(curve.loss.tolist())
    assert {file.path for file in client().list_artifacts(run.info.run_id, "caffe")} == {
        f"caffe/{name}"
        for name in (
            "deploy.prototxt",
            "model.caffemodel",
            "model.solverstate",
            "solver.prototxt",
            "train_val.prototxt",
        )
    }


@pytest.mark.slow
def test_heads_of_one_net_and_of_two(cats: Params) -> None:
    narrow = "{extract: frozen, net: squeezenet, layers: [fire5/concat], pools: [AVE], "
    cats(
        *ALONE,
        *COLOURS,
        "features.squeezenet.sides=[83]",
        f"features.narrow={narrow}sides: [67], views: mirror}}",
        "models.net.inputs=[squeezenet,narrow]",
        *(
            f"models.{name}.solver.{key}"
            for name in ("net", "squeezenet_head")
            for key in ("max_iter=60", "base_lr=2e-4")
        ),
        each=12,
        tests=6,
    )
    with_weights("squeezenet")
    for name in ("squeezenet", "narrow"):
        features.run("cats_vs_dogs", name)
    index = indexes.read(LAYOUT, load_competition("cats_vs_dogs"))
    labels = index.targets.astype(np.int64)
    for name in ("net", "squeezenet_head"):
        fit.run("cats_vs_dogs", name)
    tables = predictions.read(LAYOUT, ["net", "squeezenet_head"])
    for name, rows in tables.items():
        validation, test = rows[rows.part == "validation"], rows[rows.part == "test"]
        assert sorted(validation.row) == list(range(24))
        assert test.row.tolist() == list(range(24, 30))
        found = predictions.outputs(validation).argmax(axis=1)
        assert np.mean(found == labels[validation.row]) >= 0.9, name
        # The first test image is a cat, the next a dog, and so on.
        assert predictions.outputs(test).argmax(axis=1).tolist() == [0, 1] * 3
    curve = pd.read_csv(LAYOUT.model("net") / "curve.csv")
    assert curve["iteration"].tolist() == [20, 40, 60]
    # Two folds of equal size: the loss of all rows is the mean of the folds' losses.
    rows = tables["net"][tables["net"].part == "validation"]
    right = predictions.outputs(rows)[np.arange(24), labels[rows.row]]
    assert curve["validation_loss"].iloc[-1] == pytest.approx(-np.log(right).mean(), rel=1e-4)
    check_whole_net(index, tables["net"][tables["net"].part == "test"])
    check_served(index, tables["net"][tables["net"].part == "test"])


def check_served(index: indexes.Index, rows: pd.DataFrame) -> None:
    """What MLflow serves gives of the files, and of their bytes, what the head gave."""
    folder = Path(client().download_artifacts(run_of("net").info.run_id, "served", Path.cwd()))
    served.complete(folder, caffemodel)
    model = served.read(folder)
    with open_archives(LAYOUT.raw) as archives:
        content = [file.read() for file in image_index.files(index.rows, archives)[24:]]
    found = model.predict(pd.DataFrame({"content": content}))
    np.testing.assert_allclose(found[["p0", "p1"]], rows[["p0", "p1"]], atol=1e-4)
    Path("one.jpg").write_bytes(content[0])
    path = model.predict(pd.DataFrame({"path": ["one.jpg"]}))
    np.testing.assert_allclose(path, found[:1], atol=1e-4)
    with pytest.raises(DataError, match=r"row 0: none\.jpg "):
        model.predict(pd.DataFrame({"path": ["none.jpg"]}))


def check_whole_net(index: indexes.Index, rows: pd.DataFrame) -> None:
    """The whole net, given the two views in the two sizes, gives what the head gave."""
    folder = LAYOUT.model("net")
    net = caffe.Net(
        str(folder / "deploy.prototxt"), caffe.TEST, weights=str(folder / "model.caffemodel")
    )
    with open_archives(LAYOUT.raw) as archives:
        files = image_index.files(index.rows, archives)
        image = decode(files[24].read(), files[24].name)
    for name, side in (("squeezenet/data", 83), ("narrow/data", 67)):
        wanted = Input(
            height=side, width=side, channel_order="BGR", raw_scale=255.0, mean=[104, 117, 123]
        )
        views = [image_input.values(image, wanted, mirror=mirror) for mirror in (False, True)]
        net.blobs[name].reshape(2, 3, side, side)
        net.blobs[name].data[...] = np.stack(views)
    net.forward()
    scores = net.blobs["scores"].data.mean(axis=0)
    expected = np.exp(scores) / np.exp(scores).sum()
    np.testing.assert_allclose(rows[["p0", "p1"]].iloc[0], expected, rtol=2e-3)


def test_a_model_that_cannot_be_fitted_leaves_no_folder(here: Params) -> None:
    here(
        "competitions=[avocado]",
        "source.generate={n_train: 20, n_test: 4, n_more: 5, label_noise: 0.05}",
    )
    fetch.run("avocado")
    prepare.run("avocado")
    with pytest.raises(DataError, match=r"^without fold 0 there are 16 rows.*the model needs 17$"):
        fit_with("k_nearest_neighbors.n_neighbors=17", here)
    assert not Layout("avocado").model("k_nearest_neighbors").exists()
    assert run_of("k_nearest_neighbors").info.status == "FAILED"


def fit_with(override: str, here: Params) -> None:
    here("competitions=[avocado]", f"models.{override}")
    fit.run("avocado", "k_nearest_neighbors")
