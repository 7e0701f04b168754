from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from skops.io.exceptions import UntrustedTypesFoundException

import caffe
from ripen.core.errors import DataError
from ripen.learn.models import mlp, served
from ripen.learn.models.baselines import estimators
from ripen.learn.models.train_net import CaffeNet
from ripen.nets.zoo import lenet
from ripen.settings.schema import Config

MakeConfig = Callable[..., Config]
NAMES = ("logistic_regression", "gaussian_nb", "svm", "k_nearest_neighbors", "random_forest")
DIGITS = load_digits()
PIXELS = served.Pixels((8, 8), 16)


def test_columns_are_scaled_and_found_by_name() -> None:
    columns = served.Columns({"x": (10.0, 2.0), "y": (0.0, 4.0)})
    table = pd.DataFrame({"y": [4.0, -4.0], "z": [9.0, 9.0], "x": [12.0, 8.0]})
    np.testing.assert_array_equal(columns.values(table), [[1, 1], [-1, -1]])
    with pytest.raises(DataError, match=r"column 'x' is missing\. Needed: x, y"):
        columns.values(table[["y"]])


@pytest.mark.parametrize("shape", [(3, 64), (3, 8, 8), (3, 1, 8, 8)])
def test_pixels_are_taken_in_any_shape(shape: tuple[int, ...]) -> None:
    pictures = DIGITS.images[:3].astype(np.uint8).reshape(shape)
    found = PIXELS.values(pictures)
    np.testing.assert_array_equal(found, np.float32(DIGITS.images[:3, None] / 16))
    table = pd.DataFrame(pictures.reshape(3, 64))
    np.testing.assert_array_equal(PIXELS.values(table), found)


def test_pixels_of_another_number_are_refused() -> None:
    with pytest.raises(DataError, match=r"shape \(3, 63\)\. Needed: \(n, 8, 8\) or \(n, 64\)"):
        PIXELS.values(np.zeros((3, 63)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("features", [6, 64])
def test_every_baseline_answers_as_before(
    make_config: MakeConfig, tmp_path: Path, name: str, features: int
) -> None:
    data, labels = np.float32(DIGITS.images.reshape(-1, 64)[:300] / 16), DIGITS.target[:300]
    data = data[:, -features:]
    model = estimators(make_config().baselines, seed=0)[name].fit(data, labels)
    given = PIXELS
    if features != 64:
        given = served.Columns({f"c{k}": (0.0, 1.0) for k in range(features)})
    served.write_estimator(tmp_path / "served", model, given)
    table = pd.DataFrame(data * (16 if features == 64 else 1)).add_prefix("c")
    found = served.read(tmp_path / "served").predict(table)
    expected = model.predict_proba(data)
    np.testing.assert_array_equal(found[[f"p{k}" for k in range(10)]], expected)
    assert found["class"].tolist() == expected.argmax(axis=1).tolist()


def test_a_net_answers_as_before(tmp_path: Path) -> None:
    (tmp_path / "deploy.prototxt").write_text(mlp.to_text(lenet.lenet8_deploy(5)))
    drawn = caffe.Net(str(tmp_path / "deploy.prototxt"), caffe.TEST)
    drawn.save(str(tmp_path / "model.caffemodel"))
    net = CaffeNet(tmp_path / "deploy.prototxt", tmp_path / "model.caffemodel")
    served.write_net(tmp_path / "served", tmp_path, PIXELS)
    found = served.read(tmp_path / "served").predict(DIGITS.images[:7])
    expected = net.predict_proba(np.float32(DIGITS.images[:7, None] / 16))
    np.testing.assert_array_equal(found.drop(columns="class"), expected)


def test_what_is_no_baseline_is_not_loaded(tmp_path: Path) -> None:
    data, labels = DIGITS.data[:100], DIGITS.target[:100]
    other = CalibratedClassifierCV(LogisticRegression(), cv=KFold(2)).fit(data, labels % 2)
    served.write_estimator(tmp_path / "served", other, PIXELS)
    with pytest.raises(UntrustedTypesFoundException, match="KFold"):
        served.read(tmp_path / "served")
