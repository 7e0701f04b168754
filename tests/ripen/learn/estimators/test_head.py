"""Heads on features: the very net that the whole one becomes when all below the head is frozen."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge

import caffe
from caffe.formats import to_text
from caffe.proto.caffe_pb2 import NetParameter
from ripen.core.atomic import write_text
from ripen.learn.arrays import write_rows
from ripen.learn.convergence import Training, to_the_end
from ripen.learn.estimator import Rows
from ripen.learn.estimators.head import DEPLOY, FOLDER, SHARD, Head
from ripen.learn.models.train_net import train_net
from ripen.nets import head_layers as head
from ripen.nets.engines.engine import TorchEngine
from ripen.nets.surgery import output, trunk
from ripen.nets.zoo import DEFINITIONS
from ripen.settings.schema import Solver
from tests.ripen.learn import fits, tiny

SOLVER = Solver(base_lr=0.05, lr_policy="fixed", momentum=0.9, weight_decay=0.05, max_iter=40)
SETTINGS = Head(inputs=["tiny"], batch_size=8, check_interval=10, solver=SOLVER)
INDEX = fits.index_of("binary", ["no", "yes"], [0, 0])


def two_convolutions() -> NetParameter:
    """Return a net of two convolutions."""
    n = caffe.NetSpec()
    n.data = caffe.layers.Input(shape={"dim": [1, 3, 12, 12]})
    filler = {"type": "gaussian", "std": 0.3}
    for name, outputs in (("first", 6), ("second", 10)):
        bottom = n.data if name == "first" else n.relu
        n[name] = caffe.layers.Convolution(
            bottom, num_output=outputs, kernel_size=3, weight_filler=filler
        )
        n.relu = caffe.layers.ReLU(n[name], in_place=True)
    return n.to_proto()


def features_of(net: caffe.Net, images: NDArray[np.float32]) -> NDArray[np.float32]:
    net.blobs["data"].reshape(*images.shape)
    (found,) = net.forward(data=images).values()
    return np.array(found).reshape(len(images), -1)


def whole_train_val(
    frozen: NetParameter, lists: tuple[Path, Path], sizes: tuple[int, int], classes: int
) -> NetParameter:
    """Return the whole net to be trained as Caffe users do it: all rates of the frozen part 0."""
    net = head.train_val(classes, (lists[0], sizes[0]), (lists[1], sizes[1]))
    data, rest = list(net.layer[:2]), list(net.layer[2:])
    rest[0].bottom[:] = [output(frozen)]
    whole = NetParameter(name="whole")
    whole.layer.extend([*data, *frozen.layer[1:], *rest])
    for layer in whole.layer:
        if layer.type == "Convolution":
            del layer.param[:]
            for _ in range(2):
                layer.param.add(lr_mult=0, decay_mult=0)
        if layer.type == "Dropout":
            layer.dropout_param.dropout_ratio = 0
    return whole


@pytest.mark.slow
@pytest.mark.parametrize(
    ("net", "layers", "pools", "side"),
    [
        ("two", ["second"], ["AVE"], 12),
        ("two", ["first", "second"], ["AVE", "MAX"], 14),
        ("squeezenet", ["fire9/concat", "conv_final"], ["AVE", "MAX"], 83),
    ],
)
def test_the_head_alone_is_the_whole_net_with_rates_0(
    net: str, layers: list[str], pools: list[str], side: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    n = 12 if net == "squeezenet" else 40
    images = rng.normal(0, 30, (n, 3, side, side)).astype(np.float32)
    labels = np.arange(n) % 2
    images[labels == 1] += 10
    definition = two_convolutions() if net == "two" else DEFINITIONS[net].deploy()
    frozen = trunk(definition, layers, pools, side)
    caffe.set_random_seed(3)
    net_below = caffe.Net(frozen, caffe.TEST)
    net_below.save(str(tmp_path / "frozen.caffemodel"))
    train, held_out = np.arange(n - 4), np.arange(n - 4, n)
    features = features_of(net_below, images)
    rows, held = (Rows(features[part], labels[part]) for part in (train, held_out))
    alone = SETTINGS.fit(rows, held, fits.work(tmp_path / "alone", INDEX, seed=5))
    shown, watched = (Rows(images[part], labels[part]) for part in (train, held_out))
    whole = train_whole(frozen, shown, watched, rows, tmp_path)
    assert alone.training is not None
    np.testing.assert_allclose(alone.training.curve(), whole.curve(), rtol=2e-4, atol=1e-6)
    here, there = (
        caffe.Net(str(tmp_path / where / definition), caffe.TEST, weights=str(tmp_path / weights))
        for where, definition, weights in (
            (f"alone/{FOLDER}", DEPLOY, f"alone/{FOLDER}/model.caffemodel"),
            ("whole", "train_val.prototxt", "whole/model.caffemodel"),
        )
    )
    for blob in (0, 1):
        np.testing.assert_allclose(
            here.params["scores"][blob].data,
            there.params["scores"][blob].data,
            rtol=2e-3,
            atol=2e-6,
        )
    # And the whole net that is put together gives what the head gives.
    deployed = head.deploy([frozen], 2)
    write_text(tmp_path / "deploy.prototxt", to_text(deployed))
    head.write_whole(
        deployed,
        {"": tmp_path / "frozen.caffemodel"},
        tmp_path / "alone" / FOLDER / "model.caffemodel",
        tmp_path / "model.caffemodel",
    )
    files = tmp_path / "deploy.prototxt", tmp_path / "model.caffemodel"
    together = TorchEngine().predict(*files, images)
    np.testing.assert_allclose(together, alone.predict(features), rtol=1e-4, atol=1e-6)


def train_whole(
    frozen: NetParameter, shown: Rows, watched: Rows, features: Rows, folder: Path
) -> Training:
    """Train the whole net on images in the order that the head alone has seen."""
    own = folder / "whole"
    own.mkdir()
    order = np.random.default_rng(5).permutation(len(shown.y))
    lists = (
        write_rows(own, "train", shown.x, shown.y, np.asarray(order), SHARD),
        write_rows(own, "held_out", watched.x, watched.y, shard=SHARD),
    )
    sizes = SETTINGS.batch_size, len(watched.y)
    net = whole_train_val(frozen, lists, sizes, 2)
    start = caffe.Net(head.deploy([frozen], 2), caffe.TEST)
    begin = own / "scaling.caffemodel"
    head.start(2, head.Scaling.of(features.x, np.arange(len(features.y))), begin)
    start.copy_from(str(folder / "frozen.caffemodel"))
    start.copy_from(str(begin))
    start.save(str(own / "start.caffemodel"))
    return train_net(
        net,
        SOLVER,
        to_the_end(SETTINGS.batch_size, SETTINGS.check_interval, SOLVER),
        5,
        own,
        lambda _: None,
        own / "start.caffemodel",
        keep="last",
    )


def test_a_batch_is_all_rows_where_there_are_fewer(tmp_path: Path) -> None:
    features = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    rows = Rows(features, np.array([0, 1, 0, 1, 0]))
    SETTINGS.fit(rows, rows, fits.work(tmp_path / "model", INDEX))
    written = caffe.Net(str(tmp_path / "model" / FOLDER / "train_val.prototxt"), caffe.TRAIN)
    assert written.blobs["data"].data.shape == (5, 3)


def test_it_predicts_more_rows_than_a_file_holds(tmp_path: Path) -> None:
    features = np.random.default_rng(0).normal(size=(2003, 3)).astype(np.float32)
    rows = Rows(features, (features[:, 0] > 0).astype(np.int64))
    fitted = SETTINGS.fit(rows, rows, fits.work(tmp_path / "model", INDEX))
    assert len(list((tmp_path / "model" / FOLDER).glob("train_*.h5"))) == 3
    found = fitted.predict(features)
    assert found.shape == (2003, 2)
    np.testing.assert_allclose(found[:7], fitted.predict(features[:7]), rtol=1e-6)
    assert np.mean(found.argmax(axis=1) == rows.y) > 0.9


def test_trained_on_all_rows_it_leaves_the_net_from_image_to_probabilities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.install(monkeypatch)
    images = np.random.default_rng(0).normal(0, 1, (8, 3, 16, 16)).astype(np.float32)
    below = trunk(DEFINITIONS["tiny"].deploy(), ["relu"], ["AVE"], 16)
    net = caffe.Net(below, caffe.TEST, weights="models/tiny/tiny.caffemodel")
    features = features_of(net, images)
    rows = Rows(features, np.arange(8) % 2)
    fitted = SETTINGS.fit(rows, None, fits.work(tmp_path / "model", INDEX))
    files = tmp_path / "model/deploy.prototxt", tmp_path / "model/model.caffemodel"
    found = TorchEngine().predict(*files, images)
    np.testing.assert_allclose(found, fitted.predict(features), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("task", ["regression", "multilabel"])
@pytest.mark.parametrize("several", [False, True])
def test_it_predicts_numbers_and_independent_labels(
    task: str, several: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against the minimum of the same loss, by scikit-learn."""
    monkeypatch.chdir(tmp_path)
    tiny.install(monkeypatch)
    rng = np.random.default_rng(0)
    images = rng.normal(0, 1, (60, 3, 16, 16)).astype(np.float32)
    images += rng.normal(0, 1, (60, 3, 1, 1)).astype(np.float32)
    below = trunk(DEFINITIONS["tiny"].deploy(), ["relu"], ["AVE"], 16)
    x = features_of(caffe.Net(below, caffe.TEST, weights="models/tiny/tiny.caffemodel"), images)
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    y: NDArray[Any] = 700 + 50 * (scaled[:, :2] * [1, -2] + rng.normal(0, 0.3, (60, 2)))
    names = ["one", "two"] if several else (["one"] if task == "multilabel" else [])
    if not several:
        y = y[:, 0] if task == "regression" else y[:, :1]
    if task == "multilabel":
        y = (y > 700).astype(np.int64)
    index = fits.index_of(
        task, [" ".join(map(str, np.atleast_1d(row))) for row in y], [0] * 60, classes=names
    )
    decay = 0.02
    solver = Solver(base_lr=0.2, lr_policy="fixed", momentum=0.9, weight_decay=decay, max_iter=400)
    settings = Head(inputs=["tiny"], batch_size=60, check_interval=400, solver=solver)
    fitted = settings.fit(Rows(x, y), None, fits.work(tmp_path / "model", index))
    found, columns = fitted.predict(x), y.reshape(60, -1)
    assert found.shape == columns.shape
    for k in range(columns.shape[1]):
        if task == "regression":  # half the loss, so decay / 2 stands beside a quarter of squares
            best = Ridge(alpha=2 * decay * 60).fit(scaled, columns[:, k]).predict(scaled)
            np.testing.assert_allclose(found[:, k], best, rtol=2e-3)
        else:
            model = LogisticRegression(C=1 / (60 * decay), tol=1e-8).fit(scaled, columns[:, k])
            best = model.predict_proba(scaled)[:, 1]
            np.testing.assert_allclose(found[:, k], best, atol=2e-3)
    files = tmp_path / "model/deploy.prototxt", tmp_path / "model/model.caffemodel"
    np.testing.assert_allclose(TorchEngine().predict(*files, images), found, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("outputs", [1, 3])
def test_squared_errors_do_not_diverge_on_features_that_are_alike(
    outputs: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    common = rng.normal(size=(60, outputs))
    x = (common @ rng.normal(size=(outputs, 400)) + rng.normal(0, 0.1, (60, 400))).astype(
        np.float32
    )
    y = common[:, 0] if outputs == 1 else common
    names = [] if outputs == 1 else ["one", "two", "three"]
    index = fits.index_of(
        "regression", [" ".join(map(str, np.atleast_1d(row))) for row in y], [0] * 60, classes=names
    )
    # The mean outer product's largest eigenvalue is about 400 / outputs: 0.03 is far too large.
    solver = Solver(base_lr=0.03, lr_policy="fixed", momentum=0.9, max_iter=100)
    settings = Head(inputs=["tiny"], batch_size=60, check_interval=50, solver=solver)
    rows = Rows(x, y)
    found = settings.fit(rows, rows, fits.work(tmp_path / "model", index)).predict(x)
    assert np.mean((found.reshape(common.shape) - common) ** 2) < 0.05 * common.var()
