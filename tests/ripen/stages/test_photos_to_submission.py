"""evaluate and predict for photographs, from what models left to the submission."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

import caffe
from caffe import layers as L
from caffe.formats import to_text
from ripen.competition import predictions
from ripen.core.layout import Layout
from ripen.data.images import index as indexes
from ripen.judge import terminal
from ripen.judge.calibration import scaled
from ripen.settings.schema import Config
from ripen.stages import evaluate, predict, prepare
from tests.ripen.conftest import ROOT
from tests.ripen.photographs import cats_and_dogs, write_raw

LAYOUT = Layout("cats_vs_dogs")
EACH, TESTS = 8, 12


def sure(index: pd.DataFrame, wrong: list[int]) -> np.ndarray:
    """Probabilities of a model that is sure of itself, and wrong at some rows of an index."""
    dog = np.where(index.label == 1, 0.97, 0.03) + 0.002 * np.arange(len(index)) / len(index)
    dog[wrong] = 1 - dog[wrong]
    return np.stack([1 - dog, dog], axis=1)


def write_net(folder: Path) -> None:
    """Write what training leaves of a net that takes photographs."""
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [1, 3, 12, 12]})
    n.conv1 = L.Convolution(n.data, num_output=4, kernel_size=3, weight_filler={"type": "xavier"})
    n.prob = L.Softmax(L.InnerProduct(n.conv1, num_output=2, weight_filler={"type": "xavier"}))
    folder.mkdir(parents=True)
    (folder / "deploy.prototxt").write_text(to_text(n.to_proto()))
    caffe.Net(n.to_proto(), caffe.TEST).save(str(folder / "model.caffemodel"))
    training = {"stopped": "max_iter", "iterations": 20, "best_iteration": 20}
    (folder / "training.json").write_text(json.dumps(training))
    curve = {"iteration": [10, 20], "loss": [0.7, 0.5], "validation_loss": [0.6, 0.4]}
    pd.DataFrame(curve).to_csv(folder / "curve.csv", index=False)


@pytest.fixture
def left(
    cats: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Config, pd.DataFrame]]:
    """Return a function that leaves what models leave, and gives configuration and index.

    The second test picture is broken.
    """

    def make(*overrides: str) -> tuple[Config, pd.DataFrame]:
        config = cats(*overrides, each=EACH, tests=TESTS)
        files = cats_and_dogs(EACH, TESTS) | {"test1/2.jpg": b"no picture"}
        shutil.rmtree(LAYOUT.raw)
        write_raw(LAYOUT.raw, files)
        prepare.run(config, "cats_vs_dogs")
        shutil.copy(ROOT / "dvc.yaml", ".")
        shutil.copy(ROOT / "params.yaml", ".")
        index = indexes.read(LAYOUT.prepared / "index.csv")
        train = index[index.part == "train"]
        test = index[(index.part == "test") & (index.problem == "")]
        alone = train[train.fold == 0]
        said = np.stack([np.linspace(1, 0, len(test)), np.linspace(0, 1, len(test))], axis=1)
        for stage, model, rows, wrong in (
            ("baselines", "svm_features", train, [1, 9, 12]),
            ("train", "full", alone, []),
        ):
            tables = [
                predictions.table(model, "validation", rows.index.to_numpy(), sure(rows, wrong)),
                predictions.table(model, "test", test.index.to_numpy(), said),
            ]
            predictions.write(LAYOUT.models / stage / "predictions.csv", tables)
        write_net(LAYOUT.train / "full")
        return config, index

    return make


def test_from_predictions_to_the_submission(
    left: Callable[..., tuple[Config, pd.DataFrame]], capsys: pytest.CaptureFixture[str]
) -> None:
    # A net that none publishes weights of, so that none are fetched.
    config, index = left("competition.cats_vs_dogs.evaluate.nets.full=cifar10_quick")
    evaluate.run(config, "cats_vs_dogs")
    metrics = json.loads(LAYOUT.metrics.read_text())
    train = index[index.part == "train"]
    labels, said = train.label.to_numpy(), sure(train, [1, 9, 12])
    svm, full = (metrics["models"][name] for name in ("svm_features", "full"))
    assert svm["validation"] == {
        "n": 16,
        "accuracy": 13 / 16,
        "log_loss": round(log_loss(labels, said), 4),
        "roc_auc": round(roc_auc_score(labels, said[:, 1]), 4),
        "brier": round(float(np.mean((said[:, 1] - labels) ** 2)), 4),
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
    assert sorted(mistakes.id) == [1, 9, 12]
    assert mistakes.name.tolist() == index.name.loc[mistakes.id].tolist()
    assert len(re.findall("<image ", (drawn / "svm_features/mistakes.svg").read_text())) == 3
    assert {path.name for path in drawn.iterdir()} == {
        "calibration.csv",
        "leaderboard.csv",
        "roc.csv",
        "roc.svg",
        "full",
        "svm_features",
    }
    shown = {"activations", "confusion", "error", "filters", "mistakes", "reliability", "roc"}
    shown |= {"saliency"}
    assert {path.stem for path in (drawn / "full").glob("*.svg")} == shown
    filters = (drawn / "full" / "filters.svg").read_text()
    assert "as trained: 4 filters" in filters

    predict.run(config, "cats_vs_dogs")
    (warning,) = capsys.readouterr().out.splitlines()[-1:]
    assert warning == "predict: warning: broken, so that they get the prior: test1/2.jpg"
    rows = pd.read_csv(LAYOUT.submission, dtype=str)
    assert rows.columns.tolist() == ["id", "label"]
    assert rows.id.tolist() == [str(i) for i in range(1, TESTS + 1)]
    certain = np.linspace(0, 1, TESTS - 1)
    warm = scaled(np.stack([1 - certain, certain], 1), fitted.temperature)
    limit = fitted.clip_scaled
    expected = np.insert(np.clip(warm[:, 1], limit, 1 - limit), 1, 0.5)
    np.testing.assert_allclose(rows.label.astype(float), expected, rtol=1e-12)

    terminal.show("cats_vs_dogs", {})
    table = capsys.readouterr().out
    assert "svm_features (best)" in table
    assert "validation AUC" in table
    assert "submission: data/cats_vs_dogs/submission.csv" in table

    client = mlflow.MlflowClient(f"sqlite:///{Path.cwd() / 'mlflow.db'}")
    (pipeline,) = client.search_runs(["1"])
    logged = pipeline.data.metrics
    assert logged["svm_features/validation/roc_auc"] == svm["validation"]["roc_auc"]
    assert logged["svm_features/calibration/temperature"] == fitted.temperature
    assert pipeline.data.tags["submitted"] == "svm_features"
    artifacts = {file.path for file in client.list_artifacts(pipeline.info.run_id, "evaluate")}
    assert artifacts == {
        f"evaluate/{name}" for name in ("calibration.csv", "leaderboard.csv", "roc.svg")
    }
