"""A served model answers as the fitted one, for every estimator of the registry."""

import base64
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.model_selection import ShuffleSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from skops.io.exceptions import UntrustedTypesFoundException

import caffe
from ripen.competition.tasks import TASKS
from ripen.core.atomic import write_text
from ripen.core.errors import ConfigError, DataError
from ripen.data.encoders import Encoder
from ripen.learn.arrays import write_rows
from ripen.learn.estimator import ESTIMATORS, Fitted, Rows, Work, estimator
from ripen.learn.inputs import Table
from ripen.learn.models import mlp, served
from ripen.learn.models.image_features import image_files
from ripen.learn.models.saved import write_net, write_pipeline
from ripen.learn.target_transform import NAMES, describe
from ripen.nets.engines.engine import TorchEngine
from ripen.nets.zoo import lenet
from ripen.track.evaluations import REQUIREMENTS

DIGITS = load_digits()
N = 90
SOLVER = {"base_lr": 0.1, "lr_policy": "fixed", "max_iter": 3}
TRAIN = {
    "batch_size": 10,
    "check_interval": 3,
    "tolerance": 0.0,
    "patience": 5,
    "early_stopping": 9,
}
SETTINGS: Any = None  # of the competition, which no estimator of tables reads
NET = {"hidden_layers": [4], "activation": "sigmoid", "dropout": 0.0, "weights": "xavier"}
TREES = {"max_iter": 10, "early_stopping": 3}
TABLES: dict[str, dict[str, Any]] = {
    "caffe_net": {"net": NET, "solver": SOLVER, "train": TRAIN},
    "catboost": TREES,
    "elastic_net": {},
    "extra_trees": {"n_estimators": 5},
    "gaussian_nb": {},
    "hist_gradient_boosting": TREES,
    "k_nearest_neighbors": {"weights": "distance"},
    "lasso": {},
    "lightgbm": TREES,
    "logistic_regression": {},
    "random_forest": {"n_estimators": 5},
    "ridge": {},
    "svm": {},
    "xgboost": TREES,
}
"""The estimators that take any table, with settings."""
OTHERS = {"finetune", "finetune_images", "head", "pretrained"}


def mixed(n: int = N) -> pd.DataFrame:
    """Return a table as `prepared/table.parquet` holds it: numbers, blanks, and categories."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "size": rng.normal(5, 2, n),
            "colour": rng.choice(["red", "green", "blue", ""], n),
            "age": rng.normal(size=n),
            "grade": rng.choice(["1", "2", "3"], n),
        }
    )
    table.loc[::7, "age"] = np.nan
    return table


def pixels(n: int = N) -> pd.DataFrame:
    return pd.DataFrame(DIGITS.images[:n].reshape(n, 64)).add_prefix("pixel_").astype(np.int64)


def targets(task: str, table: pd.DataFrame) -> np.ndarray:
    if task == "regression":
        return table["size"].to_numpy() * 3 + 100
    return np.digitize(table["size"], [4, 6] if task == "multiclass" else [5]).astype(np.int64)


def fit(
    settings: dict[str, Any],
    rows: Rows,
    folder: Path,
    task: str = "binary",
    outputs: int = 2,
    scale: float | None = None,
) -> Fitted:
    folder.mkdir()
    encode = Table(rows.x, scale).encoder
    work = Work("toast", TASKS[task], outputs, 0, 1, TorchEngine, folder, encode, SETTINGS)
    held = Rows(rows.x[:20], rows.y[:20])
    return estimator(settings, "test").fit(rows, held, work)


def saved(fitted: Fitted, folder: Path) -> Path:
    folder.mkdir()
    fitted.save(folder)
    return folder


def test_every_estimator_of_the_registry_is_served_or_takes_images() -> None:
    assert set(ESTIMATORS) - OTHERS == set(TABLES)


@pytest.mark.parametrize("scale", [None, 4.0])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("name", TABLES)
def test_a_served_model_answers_as_the_fitted_one(
    tmp_path: Path, name: str, task: str, scale: float | None
) -> None:
    table = mixed()
    y = targets(task, table)
    outputs = {"binary": 2, "multiclass": 3, "regression": 1}[task]
    settings = {"estimator": name, **TABLES[name]}
    try:
        fitted = fit(settings, Rows(table, y), tmp_path / "fit", task, outputs, scale)
    except ConfigError as error:
        pytest.skip(str(error))
    found = served.read(saved(fitted, tmp_path / "served")).predict(table)
    expected = fitted.predict(table)
    if task == "regression":
        np.testing.assert_array_equal(found[["value"]], expected)
    else:
        np.testing.assert_array_equal(found[[f"p{k}" for k in range(outputs)]], expected)
        assert found["class"].tolist() == expected.argmax(axis=1).tolist()


def test_several_targets_have_a_column_each(tmp_path: Path) -> None:
    table = mixed()
    y = np.column_stack([targets("regression", table), -targets("regression", table)])
    fitted = fit({"estimator": "ridge"}, Rows(table, y), tmp_path / "fit", "regression", 2)
    folder = saved(fitted, tmp_path / "served")
    describe(folder, NAMES, ["height", "width"])
    found = served.read(folder).predict(table)
    assert list(found) == ["height", "width"]
    np.testing.assert_array_equal(found, fitted.predict(table))


@pytest.mark.slow
def test_the_trusted_types_are_exactly_those_of_the_registry(tmp_path: Path) -> None:
    table, types = mixed(), set()
    for task, outputs in (("binary", 2), ("regression", 1)):
        for name, settings in TABLES.items():
            for more in ({}, {"components": 2}) if name != "caffe_net" else ({},):
                folder = tmp_path / f"{task}-{name}-{len(more)}"
                rows = Rows(table, targets(task, table))
                given = {"estimator": name, **settings, **more}
                try:
                    fitted = fit(given, rows, folder, task, outputs)
                except ConfigError:
                    continue  # it only classifies
                for file in saved(fitted, folder / "served").glob("*.skops"):
                    types |= set(skops.io.get_untrusted_types(file=file))
    assert sorted(types) == served.TYPES


def test_a_class_without_training_rows_has_probability_0(tmp_path: Path) -> None:
    table = mixed()
    rows = Rows(table, targets("binary", table) * 2)  # of classes 0, 1, 2 the second is absent
    fitted = fit({"estimator": "gaussian_nb"}, rows, tmp_path / "fit", "multiclass", 3)
    found = served.read(saved(fitted, tmp_path / "served")).predict(table)
    np.testing.assert_array_equal(found[["p0", "p1", "p2"]], fitted.predict(table))
    assert (found["p1"] == 0).all()
    assert set(found["class"]) == {0, 2}


@pytest.mark.parametrize("name", ["svm", "caffe_net"])
def test_a_table_is_taken_as_pandas_reads_it(tmp_path: Path, name: str) -> None:
    """Columns by name and in any order, others ignored; blanks and codes as pandas types them."""
    table = mixed()
    rows = Rows(table, targets("binary", table))
    fitted = fit({"estimator": name, **TABLES[name]}, rows, tmp_path / "fit")
    model = served.read(saved(fitted, tmp_path / "served"))
    table.assign(id=range(N))[["grade", "id", "age", "size", "colour"]].to_csv(
        tmp_path / "raw.csv", index=False
    )
    raw = pd.read_csv(tmp_path / "raw.csv")
    assert raw["colour"].isna().any()
    assert raw["grade"].dtype == np.int64
    expected = fitted.predict(table)
    np.testing.assert_array_equal(model.predict(raw)[["p0", "p1"]], expected)
    raw["grade"] = raw["grade"].astype(np.float64)
    np.testing.assert_array_equal(model.predict(raw)[["p0", "p1"]], expected)

    with pytest.raises(DataError, match=r"column 'size' is missing\. Needed: size, colour, age, g"):
        model.predict(raw.drop(columns="size"))
    raw["size"] = raw["size"].astype(object)
    raw.loc[2, "size"] = "large"
    with pytest.raises(DataError, match=r"row 3, column 'size': 'large' is not a number"):
        model.predict(raw)


def test_columns_are_scaled_and_found_by_name() -> None:
    fitted = Encoder().fit(pd.DataFrame({"x": [8.0, 12.0], "y": [-4.0, 4.0]}))
    table = pd.DataFrame({"y": [4.0, -4.0], "z": [9.0, 9.0], "x": [12.0, 8.0]})
    found = fitted.transform(served.table_of(table, fitted))
    np.testing.assert_array_equal(found, [[1, 1], [-1, -1]])
    with pytest.raises(DataError, match=r"column 'x' is missing\. Needed: x, y"):
        served.table_of(table[["y"]], fitted)


@pytest.fixture(scope="module")
def finetuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Fitted, Path]:
    """A net trained on images of 8x8 by `finetune`, and the folder that serves it."""
    folder = tmp_path_factory.mktemp("finetuned")
    start = folder / "start"
    start.mkdir()
    arrays = np.float32(DIGITS.images[:20, None] / 16), DIGITS.target[:20] % 5
    parts = [(write_rows(start, name, *arrays), 10) for name in ("train", "validation")]
    write_text(start / "deploy.prototxt", mlp.to_text(lenet.lenet8_deploy(5)))
    write_text(start / "train_val.prototxt", mlp.to_text(lenet.lenet8_train_val(5, *parts)))
    changes = {"from": str(start), "replace": ["ip2"], "freeze_until": "relu3", "lr_mult_new": 10.0}
    settings = {
        "estimator": "finetune",
        "finetune": changes,
        "layers": "all",
        "pretrained": False,
        "solver": SOLVER,
        "train": TRAIN,
    }
    rows = Rows(pixels(), DIGITS.target[:N] % 3)
    fitted = fit(settings, rows, folder / "fit", "multiclass", 3, 16.0)
    return fitted, saved(fitted, folder / "served")


@pytest.mark.parametrize("shape", [(3, 64), (3, 8, 8), (3, 1, 8, 8)])
def test_pixels_are_taken_in_any_shape(
    finetuned: tuple[Fitted, Path], shape: tuple[int, ...]
) -> None:
    fitted, folder = finetuned
    model, expected = served.read(folder), fitted.predict(pixels(3))
    images = DIGITS.images[:3].astype(np.uint8).reshape(shape)
    for given in (images, pd.DataFrame(images.reshape(3, 64)), pixels(3)):
        np.testing.assert_array_equal(model.predict(given).drop(columns="class"), expected)


def test_pixels_are_scaled() -> None:
    encoder = Encoder(16.0).fit(pixels())
    found = encoder.transform(served.table_of(DIGITS.images[:3].astype(np.uint8), encoder))
    np.testing.assert_array_equal(found, np.float32(DIGITS.images[:3] / 16).reshape(3, 64))


def test_pixels_of_another_number_are_refused(finetuned: tuple[Fitted, Path]) -> None:
    with pytest.raises(DataError, match=r"shape \(3, 63\)\. Needed: \(n, 64\), or a table with"):
        served.read(finetuned[1]).predict(np.zeros((3, 63)))


def test_a_net_answers_as_before(tmp_path: Path) -> None:
    (tmp_path / "deploy.prototxt").write_text(mlp.to_text(lenet.lenet8_deploy(5)))
    drawn = caffe.Net(str(tmp_path / "deploy.prototxt"), caffe.TEST)
    drawn.save(str(tmp_path / "model.caffemodel"))
    files = tmp_path / "deploy.prototxt", tmp_path / "model.caffemodel"
    (tmp_path / "served").mkdir()
    encoder = Encoder(16.0).fit(pixels())
    write_net(tmp_path / "served", tmp_path, encoder, (1, 8, 8), (0.0, 1.0))
    found = served.read(tmp_path / "served").predict(DIGITS.images[:7])
    expected = TorchEngine().predict(*files, np.float32(DIGITS.images[:7, None] / 16))
    np.testing.assert_array_equal(found.drop(columns="class"), expected)


def test_an_image_is_given_by_its_path_its_bytes_or_in_base64(tmp_path: Path) -> None:
    content = bytes(range(64))
    (tmp_path / "a.png").write_bytes(content)
    given = [str(tmp_path / "a.png"), content]
    given += [base64.b64encode(bytes(size)).decode() for size in (300, 8000)]
    files = image_files(pd.DataFrame({"image": given}))
    assert [file.read() for file in files] == [content, content, bytes(300), bytes(8000)]
    for wrong in ("b.png", "nope", "." * 300, "." * 5001):
        with pytest.raises(DataError, match="input: row 0: .* is neither a file nor an image in b"):
            image_files(pd.DataFrame({"image": [wrong]}))


def test_an_object_of_another_type_is_not_loaded(tmp_path: Path) -> None:
    data, labels = DIGITS.data[:100], DIGITS.target[:100]
    split = ShuffleSplit(2, random_state=0)
    other = CalibratedClassifierCV(GaussianNB(), cv=split).fit(data, labels % 2)
    write_pipeline(tmp_path, other, "binary", 2)
    with pytest.raises(UntrustedTypesFoundException, match="ShuffleSplit"):
        served.read(tmp_path)


FEATURES = """
from sklearn.preprocessing import FunctionTransformer

class Firmness(FunctionTransformer):
    pass
"""


def test_own_code_is_loaded_where_the_clone_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ripen.competitions

    own = tmp_path / "own/pears"
    own.mkdir(parents=True)
    (own / "__init__.py").touch()
    (own / "features.py").write_text(FEATURES)
    name = "ripen.competitions.pears"
    data, labels = DIGITS.data[:50], DIGITS.target[:50] % 2
    with monkeypatch.context() as here:
        here.setattr(ripen.competitions, "__path__", [str(own.parent)])
        firmness = importlib.import_module(f"{name}.features").Firmness
        write_pipeline(
            tmp_path, make_pipeline(firmness(), GaussianNB()).fit(data, labels), "binary", 2
        )
        assert served.read(tmp_path).predict(data)["class"].tolist() == (
            GaussianNB().fit(data, labels).predict(data).tolist()
        )
    for module in (f"{name}.features", name):
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(UntrustedTypesFoundException, match=r"pears\.features\.Firmness"):
        served.read(tmp_path)


IMPORTED = """
import importlib.metadata, sys
import ripen.learn.models.served
names = {name.partition(".")[0] for name in sys.modules}
for name, distributions in importlib.metadata.packages_distributions().items():
    if name in names:
        print(*distributions)
"""


@pytest.mark.slow
def test_the_requirements_of_a_served_model_are_what_its_code_imports() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True
    )
    imported = set(done.stdout.lower().replace("_", "-").split())
    project = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[<>=\[]", each)[0] for each in project["dependencies"]}
    # joblib comes with scikit-learn, which imports it; caffe's own code goes along.
    assert imported & declared - {"joblib", "ripen-caffe"} <= set(REQUIREMENTS)
