from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import caffe
from ripen.learn.estimators.caffe_net import CaffeNet
from ripen.learn.models import mlp

MakeNet = Callable[..., CaffeNet]
PARTS = (Path("train.txt"), 100), (Path("validation.txt"), 200)


def test_the_default_net_layer_by_layer(make_net: MakeNet) -> None:
    net = mlp.train_val(make_net().net, 2, *PARTS)
    assert [(layer.type, layer.name, *layer.bottom, "->", *layer.top) for layer in net.layer] == [
        ("HDF5Data", "data", "->", "data", "label"),
        ("HDF5Data", "data", "->", "data", "label"),
        ("InnerProduct", "hidden1", "data", "->", "hidden1"),
        ("Sigmoid", "sigmoid1", "hidden1", "->", "hidden1"),
        ("InnerProduct", "hidden2", "hidden1", "->", "hidden2"),
        ("Sigmoid", "sigmoid2", "hidden2", "->", "hidden2"),
        ("InnerProduct", "scores", "hidden2", "->", "scores"),
        ("SoftmaxWithLoss", "loss", "scores", "label", "->", "loss"),
        ("Accuracy", "accuracy", "scores", "label", "->", "accuracy"),
    ]
    data = [(d.hdf5_data_param.source, d.hdf5_data_param.batch_size) for d in net.layer[:2]]
    assert data == [("train.txt", 100), ("validation.txt", 200)]
    assert [d.include[0].phase for d in net.layer[:2]] == [caffe.TRAIN, caffe.TEST]
    assert [net.layer[i].inner_product_param.num_output for i in (2, 4, 6)] == [8, 8, 2]


@pytest.mark.parametrize(
    ("overrides", "types"),
    [
        (["net.hidden_layers=[]"], ["InnerProduct"]),
        (
            ["net.hidden_layers=[3]", "net.activation=relu", "net.dropout=0.5"],
            ["InnerProduct", "ReLU", "Dropout", "InnerProduct"],
        ),
        (
            ["net.hidden_layers=[3,4]", "net.activation=tanh"],
            ["InnerProduct", "TanH", "InnerProduct", "TanH", "InnerProduct"],
        ),
    ],
)
def test_layers_and_activation_follow_conf(
    make_net: MakeNet, overrides: list[str], types: list[str]
) -> None:
    net = mlp.deploy(make_net(*overrides).net, features=6, outputs=3)
    assert [layer.type for layer in net.layer] == ["Input", *types, "Softmax"]
    assert caffe.Net(net, phase=caffe.TEST).blobs["prob"].shape == (1, 3)


def weights(make_net: MakeNet, choice: str) -> list[np.ndarray]:
    caffe.set_random_seed(0)
    own = make_net(f"net.weights={choice}", "net.hidden_layers=[200,100]")
    net = caffe.Net(mlp.deploy(own.net, 6, 2), phase=caffe.TEST)
    return [blobs[0].data for blobs in net.params.values()]


def test_weights_of_all_ones_because_we_are_lazy(make_net: MakeNet) -> None:
    assert all((values == 1).all() for values in weights(make_net, "ones"))


def test_xavier_weights_are_within_the_root_of_three_over_the_inputs(
    make_net: MakeNet,
) -> None:
    for values in weights(make_net, "xavier"):
        bound = np.sqrt(3 / values.shape[1])
        assert np.abs(values).max() <= bound
        # The standard deviation of a uniform on [-b, b] is b / sqrt(3).
        assert values.std() == pytest.approx(bound / np.sqrt(3), rel=0.1)


def test_random_weights_are_standard_normal(make_net: MakeNet) -> None:
    values = weights(make_net, "random")[1]
    assert (values.mean(), values.std()) == pytest.approx((0, 1), abs=0.03)


def test_the_solver_has_the_fields_of_conf(make_net: MakeNet) -> None:
    settings = make_net("solver.base_lr=0.25", "solver.lr_policy=fixed").solver
    written = mlp.solver(settings, Path("net.prototxt"), Path("folder/model"), 5)
    assert (written.base_lr, written.lr_policy, written.random_seed) == (0.25, "fixed", 5)
    assert (written.net, written.snapshot_prefix) == ("net.prototxt", "folder/model")


def test_every_type_and_policy_without_the_fields_at_their_defaults(make_net: MakeNet) -> None:
    chosen = (
        "solver.type=Adam",
        "solver.lr_policy=multistep",
        "+solver.stepvalue=[10,20]",
        "+solver.momentum2=0.999",
        "+solver.delta=1e-6",
        "+solver.clip_gradients=5.0",
        "+solver.iter_size=4",
        "+solver.regularization_type=L1",
        "~solver.stepsize",
    )
    written = mlp.solver(make_net(*chosen).solver, Path("net"), Path("model"), 5)
    fields = {field.name: value for field, value in written.ListFields()}
    assert fields == {
        "net": "net",
        "test_iter": [1],
        "test_interval": 12001,
        "test_initialization": False,
        "snapshot_prefix": "model",
        "snapshot_after_train": False,
        "random_seed": 5,
        "type": "Adam",
        "base_lr": pytest.approx(0.1),
        "lr_policy": "multistep",
        "gamma": pytest.approx(0.3),
        "stepvalue": [10, 20],
        "momentum": pytest.approx(0.9),
        "weight_decay": pytest.approx(2e-4),
        "delta": pytest.approx(1e-6),
        "clip_gradients": 5,
        "iter_size": 4,
        "regularization_type": "L1",
        "max_iter": 12000,
    }
