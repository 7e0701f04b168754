"""Competitions that are a file and no code: of images in two forms, and of a table."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from ripen.competition import index as indexes
from ripen.competition import predictions
from ripen.core.layout import Layout
from ripen.learn.models import served
from ripen.settings.compose import load_competition
from tests.ripen.frozen import with_weights
from tests.ripen.images import cats_and_dogs, write_raw
from tests.ripen.learn import fits
from tests.ripen.stages.conftest import ORDER, ROOT, run_all, write_params

Params = Callable[..., dict[str, Any]]
IMAGES = """
defaults: [/kind/_images]
source: {kaggle: %s}
task: multiclass
metric: accuracy
submission: label
images: {labels: %s, min_side: 28}
validation: {split: stratified_group, folds: 2}
features: {colours: {extract: histogram, bins: 4}}
models: {bayes: {estimator: gaussian_nb, inputs: [colours], components: 20}}
learning_curve: []
"""
TABLE = """
defaults: [/kind/table]
source: {folder: mine}
files: {train: known.csv, test: unknown.csv, sample: form.csv}
id: number
target: %s
task: %s
metric: %s
submission: %s
columns: {drop: [remark]}
validation: {split: %s, folds: 3}
models: {net: null}
learning_curve: [30]
"""


@pytest.fixture
def new(here: Params, tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """Return a function that adds a competition's file to a copy of conf/, and composes it."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")

    def make(text: str) -> dict[str, Any]:
        assert len(text.strip().splitlines()) <= 20
        Path("conf/competition/mine.yaml").write_text(text)
        return write_params("competitions=[mine]", conf=Path("conf"))

    return make


@pytest.mark.slow
@pytest.mark.parametrize(
    ("slug", "labels", "sample", "rows"),
    [
        ("digit-recognizer-images", "{read: csv}", ["ImageId", "Label"], (3500, 1500)),
        ("sign-language-digits", "{read: folder}", ["filename", "label"], (1540, 522)),
    ],
)
def test_images_with_labels_in_a_table_and_in_folders(
    mirror: Path,
    new: Callable[[str], dict[str, Any]],
    slug: str,
    labels: str,
    sample: list[str],
    rows: tuple[int, int],
) -> None:
    values = new(IMAGES % (slug, labels))
    run_all("mine", values)
    layout = Layout("mine")
    index = indexes.read(layout, load_competition("mine"))
    assert index.rows.part.value_counts().to_dict() == dict(
        zip(("train", "test"), rows, strict=True)
    )
    assert len(index.classes) == 10
    validation = predictions.read(layout, ["bayes"])["bayes"].query("part == 'validation'")
    assert sorted(validation.row) == index.learnable().tolist()
    guessed = predictions.outputs(validation).argmax(axis=1)
    assert np.mean(guessed == index.targets[validation.row]) > 0.15  # of one in ten at random
    given = pd.read_csv(layout.raw / "sample_submission.csv", dtype=str)
    submission = pd.read_csv(layout.submission, dtype=str)
    assert list(submission) == list(given) == sample
    assert submission[sample[0]].tolist() == given[sample[0]].tolist()
    assert set(submission[sample[1]]) <= set(index.classes)
    assert submission[sample[1]].nunique() > 5


def write_tables(target: str, values: list[str], tests: int) -> None:
    """Write a folder of tables: numbers, some blank, a category, a remark, and the target."""
    frame, _ = fits.table(len(values) + tests)
    frame.insert(0, "number", [f"{row:04}" for row in range(len(frame))])
    frame["remark"] = [f"row {row}, with a comma" for row in range(len(frame))]
    Path("mine").mkdir()
    known, unknown = frame.iloc[: len(values)], frame.iloc[len(values) :]
    known.assign(**{target: values}).to_csv("mine/known.csv", index=False)
    unknown.to_csv("mine/unknown.csv", index=False)
    turned = unknown[["number"]].iloc[::-1].assign(**{target: "?"})
    turned.to_csv("mine/form.csv", index=False)


@pytest.mark.slow
def test_a_table_of_numbers_a_category_and_blanks(new: Callable[[str], dict[str, Any]]) -> None:
    _, signal = fits.table(60)
    targets = fits.targets_of("binary", signal[:50])
    write_tables("sold", targets, 10)
    values = new(TABLE % ("sold", "binary", "accuracy", "label", "stratified"))
    run_all("mine", values)
    layout = Layout("mine")
    index = indexes.read(layout, load_competition("mine"))
    assert index.classes == ("no", "yes")
    assert index.rows["id"].tolist() == [f"{row:04}" for row in range(60)]
    table = pd.read_parquet(layout.prepared / "table.parquet")
    assert [str(kind) for kind in table.dtypes] == ["float64", "float64", "category"]
    assert list(table) == ["width", "height", "colour"]
    assert table.height.isna().any()
    submission = pd.read_csv(layout.submission, dtype=str)
    assert submission.number.tolist() == [f"{row:04}" for row in range(59, 49, -1)]
    assert set(submission.sold) == {"no", "yes"}
    right = submission.sold.to_numpy() == np.where(
        signal[50:][::-1] > np.median(signal), "yes", "no"
    )
    assert right.mean() >= 0.7
    steps = pd.read_csv(layout.evaluate / "steps.csv")
    assert steps.step.tolist() == ["best single model", "blend", "decision"]
    board = pd.read_csv(layout.evaluate / "leaderboard.csv", index_col="model")
    assert board.loc["blend", "validation_n"] == 50
    scores = board.loc[["blend", steps.what[0]], "validation_score"]
    assert scores.iloc[0] - scores.iloc[1] == pytest.approx(steps.gain[1], abs=2e-6)


@pytest.mark.slow
def test_a_table_whose_target_is_a_number(new: Callable[[str], dict[str, Any]]) -> None:
    _, signal = fits.table(60)
    write_tables("price", fits.targets_of("regression", signal[:50]), 10)
    text = TABLE % ("price", "regression", "rmse", "value", "kfold")
    only = "models: {net: null, logistic_regression: null, gaussian_nb: null}"
    values = new(text.replace("models: {net: null}", only))
    run_all("mine", values)
    board = pd.read_csv(Layout("mine").evaluate / "leaderboard.csv", index_col="model")
    alone = board.drop(index="blend").validation_rmse
    assert board.validation_rmse["blend"] < alone.median()
    submission = pd.read_csv(Layout("mine").submission)
    truth = signal[50:][::-1]
    assert np.sqrt(np.mean((submission.price - truth) ** 2)) < 0.8 * np.std(truth)


WEIGHED = """
defaults: [/kind/_base]
reader: table
source: {folder: {path: mine}}
id: id
target: price
task: regression
metric: rmsle
submission: value
columns: {weight: worth}
validation: {split: kfold, folds: 3}
models: {ridge: {estimator: ridge, alpha: 2.0}}
learning_curve: []
predict: {model: ridge}
"""


@pytest.mark.slow
def test_a_weight_reaches_the_model_and_the_submission_has_no_value_that_the_metric_refuses(
    new: Callable[[str], dict[str, Any]],
) -> None:
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    table = pd.DataFrame({"id": range(60), "a": rng.normal(size=60), "b": rng.normal(size=60)})
    table["price"] = np.maximum(np.expm1(2 * table.a + rng.normal(size=60)), 0)
    table["worth"] = np.where(table.b > 0, 5.0, 0.25)
    table.loc[50:, "a"] = np.linspace(-5, 5, 10)
    Path("mine").mkdir()
    table[:50].to_csv("mine/train.csv", index=False)
    table.loc[50:, ["id", "a", "b"]].to_csv("mine/test.csv", index=False)
    table.loc[50:, ["id", "price"]].to_csv("mine/sample_submission.csv", index=False)
    run_all("mine", new(WEIGHED), "fetch", "prepare", "fit", "predict")

    layout = Layout("mine")
    index = indexes.read(layout, load_competition("mine"))

    def expected(train: Any, rows: Any) -> np.ndarray:
        """Return what scikit-learn's ridge says of rows of the table, fitted to others."""
        scaler = StandardScaler().fit(table.loc[train, ["a", "b"]])
        known = table.loc[train]
        ridge = Ridge(2.0).fit(
            scaler.transform(known[["a", "b"]]), np.log1p(known.price), sample_weight=known.worth
        )
        return np.asarray(np.expm1(ridge.predict(scaler.transform(table.loc[rows, ["a", "b"]]))))

    ids, learnable = index.rows["id"].astype(int).to_numpy(), index.learnable()
    found = predictions.read(layout, ["ridge"])["ridge"].query("part == 'validation'")
    for fold in range(3):
        held = found[index.folds[found.row] == fold]
        train = ids[learnable[index.folds[learnable] != fold]]
        np.testing.assert_allclose(held.p0, expected(train, ids[held.row]), rtol=1e-4, atol=1e-5)
    values = expected(range(50), range(50, 60))
    assert (values < 0).any()
    submission = pd.read_csv(layout.submission).price
    np.testing.assert_allclose(submission, np.maximum(values, 0), rtol=1e-4, atol=1e-5)
    assert submission.min() == 0


SEVERAL = """
defaults: [/kind/images]
source: {folder: mine}
target: [warm, dark]
task: multilabel
metric: mean_column_auc
images: {labels: {read: csv}, min_side: 8}
validation: {split: kfold, folds: 2}
features: {efficientnet_lite2: null, histogram: null, thumbnail: null,
  squeezenet: {sides: [67], views: whole}}
solver: {max_iter: 60, base_lr: 2.0e-4}
models: {net: {inputs: [squeezenet]}, squeezenet_head: null, scratch: null, head: null,
  full: {side: 67, batch_size: 2, check_images: 2, views: whole, solver: {max_iter: 1}},
  logistic_regression_features: null, gaussian_nb_features: null, svm_features: null,
  k_nearest_neighbors_features: null, random_forest_features: null,
  k_nearest_neighbors_histogram: null, random_forest_histogram: null,
  logistic_regression_histogram: null, svm_histogram: null, gaussian_nb_histogram: null,
  logistic_regression_thumbnail: null}
learning_curve: []
"""


@pytest.mark.slow
def test_images_with_several_labels_in_a_table(new: Callable[[str], dict[str, Any]]) -> None:
    images = cats_and_dogs(8, 4)
    values = new(SEVERAL)
    with_weights("squeezenet")
    layout = Layout("mine")
    write_raw(layout.raw, images, sample="sample_submission.csv")
    train = [Path(name).stem for name in images if name.startswith("train")]
    table = pd.DataFrame({"id": train})
    table["warm"] = [int(name.startswith("cat")) for name in train]
    table["dark"] = 1 - table["warm"]
    table.to_csv(layout.raw / "train.csv", index=False)
    sample = pd.DataFrame({"id": range(1, 5), "warm": 0, "dark": 0})
    sample.to_csv(layout.raw / "sample_submission.csv", index=False)
    run_all("mine", values, *[stage for stage in ORDER if stage != "fetch"])
    index = indexes.read(layout, load_competition("mine"))
    assert index.classes == ("warm", "dark")
    scores = json.loads(layout.metrics.read_text())["models"]
    assert {"net", "full"} <= set(scores)
    found = pd.read_csv(layout.submission)
    assert found.id.tolist() == [1, 2, 3, 4]
    best = predictions.outputs(predictions.read(layout, ["net"])["net"].query("part == 'test'"))
    assert best.shape == (4, 2)
    # Cats, which are redder, and dogs take turns among the test images.
    assert ((best > 0.5) == [[True, False], [False, True]] * 2).all()
    columns = found[["warm", "dark"]].to_numpy()
    assert ((columns >= 0) & (columns <= 1)).all()


BESIDE = """
defaults: [/kind/_base]
reader: table
source: {folder: {path: mine}}
files: {joined: [shops.csv], histories: [visits.csv], drop_unlabelled: true,
        keys: {shops.csv: {store: code}, visits.csv: {store: store}}}
id: "{store}_{day}"
target: [sales, returns]
task: regression
metric: mean_column_rmse
submission: value
validation: {split: kfold, folds: 3}
models: {ridge: {estimator: ridge}}
learning_curve: []
predict: {model: ridge}
"""


@pytest.mark.slow
def test_tables_beside_an_id_of_two_columns_and_partly_blank_targets(
    new: Callable[[str], dict[str, Any]],
) -> None:
    stores, rng = list("abcdefgh"), np.random.default_rng(0)
    table = pd.DataFrame([(store, day) for store in stores for day in range(1, 11)])
    table.columns = pd.Index(["store", "day"])
    size = table.store.map(dict(zip(stores, rng.normal(size=8), strict=True)))
    table["sales"], table["returns"] = 3 * size, size - 0.1 * table.day
    known, unknown = table[table.day < 8].copy(), table[table.day >= 8]
    known.loc[known.index[:2], "returns"] = np.nan
    Path("mine").mkdir()
    known.to_csv("mine/train.csv", index=False)
    unknown[["store", "day"]].to_csv("mine/test.csv", index=False)
    ids = unknown.store + "_" + unknown.day.astype(str)
    sample = pd.DataFrame({"id": ids, "sales": 0, "returns": 0})
    sample.to_csv("mine/sample_submission.csv", index=False)
    shops = pd.DataFrame({"code": stores, "size": size[::10]})
    shops.to_csv("mine/shops.csv", index=False)
    visits = pd.DataFrame({"store": table.store, "seen": size + table.day})
    visits.to_csv("mine/visits.csv", index=False)
    run_all("mine", new(BESIDE), "fetch", "prepare", "fit", "predict")

    layout = Layout("mine")
    assert len(indexes.read(layout, load_competition("mine")).learnable()) == 8 * 7 - 2
    prepared = pd.read_parquet(layout.table)
    assert {"size", "visits_seen_mean"} <= set(prepared)
    submission = pd.read_csv(layout.submission)
    assert submission["id"].tolist() == ids.tolist()
    error = np.sqrt(np.mean((submission.sales - unknown.sales.to_numpy()) ** 2))
    assert error < 0.2 * unknown.sales.std()
    # The model that MLflow serves answers each target by its name.
    client = mlflow.MlflowClient(f"sqlite:///{Path.cwd() / 'mlflow.db'}")
    (run,) = client.search_runs(["1"], "attributes.run_name = 'ridge'")
    folder = Path(client.download_artifacts(run.info.run_id, "served", str(Path.cwd())))
    found = served.read(folder).predict(prepared.tail(len(unknown)))
    expected = submission[["sales", "returns"]]
    pd.testing.assert_frame_equal(
        found, expected, check_dtype=False, check_index_type=False, atol=1e-5
    )
