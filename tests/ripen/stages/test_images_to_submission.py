"""evaluate and predict for images, from what models left to the submission."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.metrics import log_loss, roc_auc_score

import caffe
from caffe import layers as L
from caffe.formats import to_text
from ripen.competition import index as indexes
from ripen.competition import predictions
from ripen.competition.index import Index
from ripen.core.layout import Layout
from ripen.data.image_input import Input
from ripen.judge import terminal
from ripen.learn import seen
from ripen.settings.compose import load_competition
from ripen.stages import evaluate, predict, prepare
from tests.ripen.frozen import CLASSIC
from tests.ripen.images import cats_and_dogs, write_raw

LAYOUT = Layout("cats_vs_dogs")
EACH, TESTS = 8, 12
KEPT = ("svm_features", "full")
OTHERS = [f"{name}_{kind}" for name in CLASSIC for kind in ("histogram", "features")]
NULL = [
    f"models.{name}=null"
    for name in (
        *OTHERS,
        "logistic_regression_thumbnail",
        "net",
        "squeezenet_head",
        "scratch",
        "head",
    )
    if name not in KEPT
]


def sure(labels: NDArray[np.int64], wrong: list[int]) -> NDArray[np.float64]:
    """Probabilities of a model that is sure of itself, and wrong at some rows."""
    dog = np.where(labels == 1, 0.97, 0.03) + 0.002 * np.arange(len(labels)) / len(labels)
    dog[wrong] = 1 - dog[wrong]
    return np.stack([1 - dog, dog], axis=1)


def write_net(folder: Path) -> None:
    """Write what training leaves of a net that takes images."""
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [1, 3, 12, 12]})
    n.conv1 = L.Convolution(n.data, num_output=4, kernel_size=3, weight_filler={"type": "xavier"})
    n.prob = L.Softmax(L.InnerProduct(n.conv1, num_output=2, weight_filler={"type": "xavier"}))
    deploy, weights = folder / "deploy.prototxt", folder / "model.caffemodel"
    deploy.write_text(to_text(n.to_proto()))
    caffe.Net(n.to_proto(), caffe.TEST).save(str(weights))
    training = {"stopped": "max_iter", "iterations": 20, "best_iteration": 20}
    (folder / "training.json").write_text(json.dumps(training))
    curve = {"iteration": [10, 20], "loss": [0.7, 0.5], "validation_loss": [0.6, 0.4]}
    pd.DataFrame(curve).to_csv(folder / "curve.csv", index=False)
    wanted = Input(height=12, width=12, channel_order="BGR", raw_scale=255.0, mean=[104, 117, 123])
    seen.write(folder, deploy, weights, None, wanted)


@pytest.fixture
def left(cats: Callable[..., dict[str, Any]]) -> Index:
    """What two models leave, one of them on one fold alone; the second test image is broken."""
    cats(*NULL, each=EACH, tests=TESTS)
    shutil.rmtree(LAYOUT.raw)
    write_raw(LAYOUT.raw, cats_and_dogs(EACH, TESTS) | {"test1/2.jpg": b"no image"})
    prepare.run("cats_vs_dogs")
    index = indexes.read(LAYOUT, load_competition("cats_vs_dogs"))
    train, test = index.learnable(), index.part("test")
    found = np.stack([np.linspace(1, 0, len(test)), np.linspace(0, 1, len(test))], axis=1)
    for model, rows, wrong in (
        ("svm_features", train, [1, 9, 12]),
        ("full", train[index.folds[train] == 0], []),
    ):
        folder = LAYOUT.model(model)
        folder.mkdir(parents=True)
        labels = index.targets[rows].astype(np.int64)
        tables = [
            predictions.table("validation", rows, sure(labels, wrong)),
            predictions.table("test", test, found),
        ]
        predictions.write(folder, tables)
    write_net(LAYOUT.model("full"))
    return index


def test_from_predictions_to_the_submission(
    left: Index, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate.run("cats_vs_dogs")
    metrics = json.loads(LAYOUT.metrics.read_text())
    train = left.learnable()
    labels = left.targets[train].astype(np.int64)
    found = sure(labels, [1, 9, 12])
    svm, full = (metrics["models"][name] for name in KEPT)
    assert svm["validation"] == {
        "n": 16,
        "accuracy": 13 / 16,
        "log_loss": round(log_loss(labels, found), 4),
        "roc_auc": round(roc_auc_score(labels, found[:, 1]), 4),
        "brier": round(float(np.mean((found[:, 1] - labels) ** 2)), 4),
        "score": pytest.approx(log_loss(labels, found), abs=1e-6),
        "standard_error": svm["validation"]["standard_error"],
    }
    assert full["validation"]["n"] == 8
    assert full["stopped"] == "max_iter"
    # The other has no mistake, on half of the rows.
    assert (metrics["best"], metrics["best_by"]) == ("svm_features", "validation/log_loss")
    fitted = pd.read_csv(LAYOUT.calibration, index_col="model").loc["svm_features"]
    assert fitted.temperature > 1.5
    assert fitted["scaled"] < fitted["raw"]

    drawn = LAYOUT.evaluate
    mistakes = pd.read_csv(drawn / "svm_features" / "mistakes.csv")
    names = left.rows["name"].iloc[train[[1, 9, 12]]]
    assert sorted(mistakes.name) == sorted(names)
    assert len(re.findall("<image ", (drawn / "svm_features/mistakes.svg").read_text())) == 3
    assert {path.name for path in drawn.iterdir()} == {
        "calibration.csv",
        "decisions.json",
        "steps.csv",
        "leaderboard.csv",
        "roc.csv",
        "roc.svg",
        "scores.svg",
        "full",
        "svm_features",
    }
    shown = {"activations", "confusion", "error", "filters", "mistakes", "reliability", "roc"}
    shown |= {"saliency"}
    assert {path.stem for path in (drawn / "full").glob("*.svg")} == shown
    filters = (drawn / "full" / "filters.svg").read_text()
    assert "as trained: 4 filters" in filters

    predict.run("cats_vs_dogs")
    (warning,) = capsys.readouterr().out.splitlines()[-1:]
    assert warning == ("predict: warning: broken, so they get the training rows' mean: test1/2.jpg")
    rows = pd.read_csv(LAYOUT.submission, dtype=str)
    assert rows.columns.tolist() == ["id", "label"]
    assert rows.id.tolist() == [str(i) for i in range(1, TESTS + 1)]
    certain = np.linspace(0, 1, TESTS - 1)
    tiny = np.finfo(np.float64).eps
    warm = np.stack([1 - certain, certain], 1).clip(tiny, 1) ** (1 / fitted.temperature)
    warm /= warm.sum(axis=1, keepdims=True)
    limit = fitted.clip_scaled
    expected = np.insert(np.clip(warm[:, 1], limit, 1 - limit), 1, 0.5)
    np.testing.assert_allclose(rows.label.astype(float), expected, rtol=1e-12)

    terminal.show("cats_vs_dogs", {})
    table = capsys.readouterr().out
    assert "svm_features (best)" in table
    assert "AUC" in table
    assert "submission: data/cats_vs_dogs/submission.csv" in table

    client = mlflow.MlflowClient(f"sqlite:///{Path.cwd() / 'mlflow.db'}")
    (pipeline,) = client.search_runs(["1"])
    logged = pipeline.data.metrics
    assert logged["validation/log_loss/svm_features"] == svm["validation"]["log_loss"]
    assert pipeline.data.tags["submitted"] == "svm_features"
    artifacts = {file.path for file in client.list_artifacts(pipeline.info.run_id, "evaluate")}
    assert artifacts == {
        f"evaluate/{name}" for name in ("calibration.csv", "leaderboard.csv", "roc.svg")
    }
