"""The classic classifiers on colours and on features: each row by a model that had not seen it."""

from collections.abc import Callable
from pathlib import Path

import h5py
import mlflow
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ripen.competition import predictions
from ripen.core.errors import DataError
from ripen.core.layout import Layout
from ripen.data import image_index as indexes
from ripen.learn.models import served
from ripen.learn.training import heads, photo_baselines
from ripen.settings.schema import Config
from ripen.stages import baselines
from tests.ripen.frozen import pipeline

LAYOUT = Layout("cats_vs_dogs")
SECTION = "competition.cats_vs_dogs"
TRAIN, TEST = 40, 6


@pytest.fixture
def table(cats: Callable[..., Config]) -> pd.DataFrame:
    """The probabilities of all classifiers, on features that tell cats from dogs more or less."""
    config = cats(
        f"{SECTION}.baselines.components=4",
        f"{SECTION}.learning_curve=[16,20,400]",
        "baselines.random_forest.n_estimators=10",
        "baselines.folds=2",
        each=TRAIN // 2,
        tests=TEST,
    )
    pipeline()
    rng = np.random.default_rng(0)
    labels = indexes.read(LAYOUT.prepared / "index.csv")["label"].to_numpy()
    labels = np.where(labels < 0, np.arange(len(labels)) % 2, labels)
    LAYOUT.features.mkdir(parents=True)
    for name, told in (("efficientnet_lite2", 4.0), ("histogram", 1.0)):
        data = rng.normal(0, 1, (len(labels), 2, 8))
        data[:, :, 0] += told * labels[:, np.newaxis]
        with h5py.File(LAYOUT.features / f"{name}.h5", "w") as file:
            file["features"], file["row"] = data.astype(np.float32), np.arange(len(labels))
    baselines.run(config, "cats_vs_dogs")
    return predictions.read(LAYOUT.baselines / "predictions.csv")


def test_a_class_of_too_few(make_config: Callable[..., Config]) -> None:
    settings = make_config("baselines.folds=4").baselines
    labels, fold = np.repeat([0, 1, 2], [15, 10, 5]), np.arange(30) % 5
    rows, none = heads.Rows(np.zeros((30, 2), np.float32), labels), np.empty(0, np.int64)
    known = heads.Known(np.arange(30), rows, fold, none, np.zeros((0, 2), np.float32))
    photo_baselines.check(known, settings)
    settings = make_config("baselines.folds=5").baselines
    with pytest.raises(DataError, match=r"^without fold 0 there are fewer than 5 pictures of a cl"):
        photo_baselines.check(known, settings)


def test_all_are_on_the_leaderboard(table: pd.DataFrame) -> None:
    names = ["logistic_regression", "gaussian_nb", "svm", "k_nearest_neighbors", "random_forest"]
    assert table["model"].unique().tolist() == [
        f"{name}_{kind}" for kind in ("histogram", "features") for name in names
    ]
    for _, rows in table.groupby("model"):
        assert rows["id"].tolist() == list(range(TRAIN + TEST))
        assert rows["part"].tolist() == ["validation"] * TRAIN + ["test"] * TEST
        np.testing.assert_allclose(rows["p0"] + rows["p1"], 1, atol=1e-6)
    crossed = pd.read_csv(LAYOUT.baselines / "cross_validation.csv", index_col="model")
    assert crossed.loc["logistic_regression_features", "accuracy"] >= 0.8
    curve = pd.read_csv(LAYOUT.baselines / "learning_curve.csv")
    assert curve.groupby("model")["n_train"].apply(list).tolist() == [[16, 20]] * 10
    for name, rows in table[table.part == "test"].groupby("model"):
        check_kept(str(name), rows)


def check_kept(name: str, rows: pd.DataFrame) -> None:
    """What MLflow keeps of a classifier says what it has said."""
    client = mlflow.MlflowClient(f"sqlite:///{Path.cwd() / 'mlflow.db'}")
    (run,) = client.search_runs(["1"], f"attributes.run_name = '{name}'")
    file = client.download_artifacts(run.info.run_id, f"{served.FOLDER}/{served.ESTIMATOR}")
    kind = "histogram" if name.endswith("histogram") else "efficientnet_lite2"
    with h5py.File(LAYOUT.features / f"{kind}.h5") as features:
        data = features["features"][()][TRAIN:].mean(axis=1)
    found = skops.io.load(file, trusted=served.TYPES).predict_proba(data)
    np.testing.assert_allclose(found, rows[["p0", "p1"]], atol=1e-6)


def test_each_row_by_a_model_that_had_not_seen_it(table: pd.DataFrame) -> None:
    index = indexes.read(LAYOUT.prepared / "index.csv")
    with h5py.File(LAYOUT.features / "efficientnet_lite2.h5") as file:
        data = file["features"][()].mean(axis=1)
    rows = table[table.model == "logistic_regression_features"]
    for held_out in (index["fold"] == 0, index["fold"] == 1, index["part"] == "test"):
        learnt = (index["fold"] >= 0) & ~held_out
        pca = PCA(4, svd_solver="randomized", random_state=2016)
        expected = make_pipeline(StandardScaler(), pca, LogisticRegression(C=1.0, max_iter=1000))
        expected.fit(data[learnt], index["label"][learnt])
        np.testing.assert_allclose(
            rows.loc[held_out.to_numpy(), ["p0", "p1"]],
            expected.predict_proba(data[held_out]),
            atol=1e-6,
        )
