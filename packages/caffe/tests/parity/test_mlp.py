"""A multilayer perceptron in both engines: passes, training, and each other's files."""

from pathlib import Path

import h5py
import numpy as np
import pytest

import caffe
from tests.parity.compare import assert_equal, check_net, params, parse, state

INNER = """
layer { name: "ip1" type: "InnerProduct" bottom: "x" top: "h1" inner_product_param {
  num_output: 8 weight_filler { type: "xavier" } bias_filler { value: 0.1 } } }
layer { name: "act1" type: "ACT" bottom: "h1" top: "h1" }
layer { name: "ip2" type: "InnerProduct" bottom: "h1" top: "h2" inner_product_param {
  num_output: 8 weight_filler { type: "xavier" } } }
layer { name: "act2" type: "ACT" bottom: "h2" top: "a2" }
layer { name: "ip3" type: "InnerProduct" bottom: "a2" top: "y" inner_product_param {
  num_output: 2 weight_filler { type: "xavier" } } }
"""
INPUTS = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 20 dim: 6 } } }
layer { name: "t" type: "Input" top: "t" input_param { shape { TARGET } } }
"""
LOSS = 'layer { name: "l" type: "KIND" bottom: "y" bottom: "t" top: "loss" }'
SOFTMAX = ("dim: 20", LOSS.replace("KIND", "SoftmaxWithLoss"))
SIGMOID = ("dim: 20 dim: 2", LOSS.replace("KIND", "SigmoidCrossEntropyLoss"))
EUCLIDEAN = ("dim: 20 dim: 2", LOSS.replace("KIND", "EuclideanLoss"))
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(20, 6)).astype(np.float32)
CLASSES = RANDOM.integers(0, 2, 20).astype(np.float32)
TARGETS = RANDOM.random((20, 2)).astype(np.float32)
ACTIVATIONS = ("Sigmoid", "TanH", "ReLU")


def mlp(loss: tuple[str, str], activation: str = "Sigmoid", data: str = INPUTS) -> str:
    return (data + INNER + loss[1]).replace("TARGET", loss[0]).replace("ACT", activation)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    ("loss", "target"),
    [(SOFTMAX, CLASSES), (SIGMOID, TARGETS), (EUCLIDEAN, TARGETS)],
    ids=["softmax", "sigmoid", "euclidean"],
)
@pytest.mark.parametrize("force", ["", "force_backward: true"])
def test_forward_and_backward(real_caffe, measured, loss, target, activation, force):
    text = force + mlp(loss, activation)
    measured(check_net(real_caffe, text, {"x": X, "t": target}, tolerance=1e-5))


def test_the_test_phase(real_caffe, measured):
    dropped = 'layer { name: "drop" type: "Dropout" bottom: "a2" top: "d" }\nlayer { name: "ip3"'
    text = mlp(SOFTMAX).replace('layer { name: "ip3"', dropped).replace("force_backward: true", "")
    text = text.replace('bottom: "a2" top: "y"', 'bottom: "d" top: "y"') + (
        'layer { name: "p" type: "Softmax" bottom: "y" top: "p" }'
        'layer { name: "a" type: "Accuracy" bottom: "y" bottom: "t" top: "a" top: "each" }'
    )
    inputs = {"x": X, "t": CLASSES}
    weights = params(caffe.Net(parse(text), caffe.TEST))
    expected = real_caffe.forward_backward(text, inputs, weights, phase=1, backward=False)
    net = caffe.Net(parse(text), caffe.TEST)
    for name, values in weights.items():
        layer, index = name.split("/")
        net.params[layer][int(index)].data[...] = values
    net.forward(**inputs)
    measured(assert_equal(state(net), expected, 1e-5))


SOLVER = """
net: "{folder}/net.prototxt" base_lr: 0.1 momentum: 0.9 weight_decay: 0.005 lr_policy: "step"
gamma: 0.5 stepsize: 30 max_iter: 1000 snapshot_prefix: "{folder}/s" random_seed: 3
snapshot_after_train: false solver_mode: CPU
"""


def training(folder: Path, net: str, more: str = "") -> Path:
    """Write a net and its solver; return the solver's file."""
    (folder / "net.prototxt").write_text(net)
    file = folder / "solver.prototxt"
    file.write_text(SOLVER.format(folder=folder) + more)
    return file


def trained(solver: caffe.Solver, inputs: dict[str, np.ndarray], steps: int) -> list[float]:
    for name, values in inputs.items():
        solver.net.blobs[name].data[...] = values
    losses = []
    for _ in range(steps):
        solver.step(1)
        losses.append(float(solver.net.blobs["loss"].data))
    return losses


def weights_only(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: values for name, values in arrays.items() if name.startswith("param/")}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    ("loss", "target"), [(SOFTMAX, CLASSES), (SIGMOID, TARGETS)], ids=["softmax", "sigmoid"]
)
def test_weights_after_100_steps(real_caffe, measured, tmp_path, loss, target, activation):
    inputs = {"x": X, "t": target}
    solver = caffe.get_solver(str(training(tmp_path, mlp(loss, activation))))
    first = params(solver.net)
    losses = trained(solver, inputs, 100)
    expected = real_caffe.train(tmp_path, 100, inputs, first)
    assert np.array(losses) == pytest.approx(expected["losses"], rel=1e-4)
    measured(assert_equal(weights_only(state(solver.net)), weights_only(expected), 1e-4))


def test_diffs_after_a_step(real_caffe, tmp_path):
    inputs = {"x": X, "t": CLASSES}
    solver = caffe.get_solver(str(training(tmp_path, mlp(SOFTMAX))))
    first = params(solver.net)
    trained(solver, inputs, 2)
    expected = real_caffe.train(tmp_path, 2, inputs, first)
    del expected["losses"]
    assert_equal(state(solver.net), expected, 1e-5)


@pytest.mark.parametrize("diff", ["", "snapshot_diff: true"])
def test_real_caffe_resumes_from_our_snapshot(real_caffe, measured, tmp_path, diff):
    inputs = {"x": X, "t": CLASSES}
    solver = caffe.get_solver(str(training(tmp_path, mlp(SOFTMAX), diff)))
    trained(solver, inputs, 50)
    solver.snapshot()
    trained(solver, inputs, 50)
    restore = tmp_path / "s_iter_50.solverstate"
    expected = real_caffe.train(tmp_path, 50, inputs, restore=restore)
    measured(assert_equal(weights_only(state(solver.net)), weights_only(expected), 1e-5))


def test_we_resume_from_real_caffes_snapshot(real_caffe, measured, tmp_path):
    inputs = {"x": X, "t": CLASSES}
    file = str(training(tmp_path, mlp(SOFTMAX)))
    first = params(caffe.get_solver(file).net)
    expected = real_caffe.train(tmp_path, 100, inputs, first)
    real_caffe.snapshot_after(tmp_path, 50, inputs, first)
    solver = caffe.get_solver(file)
    solver.restore(str(tmp_path / "s_iter_50.solverstate"))
    assert solver.iter == 50
    trained(solver, inputs, 50)
    measured(assert_equal(weights_only(state(solver.net)), weights_only(expected), 1e-4))


def test_real_caffe_reads_our_caffemodel(real_caffe, measured, tmp_path):
    net = caffe.Net(parse(mlp(SOFTMAX)), caffe.TEST)
    net.save(str(tmp_path / "ours.caffemodel"))
    found = net.forward(x=X, t=CLASSES)["loss"]
    expected = real_caffe.forward_backward(
        mlp(SOFTMAX), {"x": X, "t": CLASSES}, phase=1, weights=tmp_path / "ours.caffemodel"
    )
    assert_equal(weights_only(state(net)), weights_only(expected), 0)
    assert found == pytest.approx(expected["data/loss"], rel=1e-6)
    measured(abs(float(found / expected["data/loss"]) - 1))


@pytest.mark.parametrize("sizes", [(7,), (5, 3, 4)], ids=["one-file", "three-files"])
@pytest.mark.parametrize("batch", [4, 20])
def test_the_order_of_hdf5_rows(real_caffe, tmp_path, sizes, batch):
    names, at = [], 0
    for k, size in enumerate(sizes):
        names.append(str(tmp_path / f"{k}.h5"))
        with h5py.File(names[-1], "w") as file:
            file["x"] = np.arange(at * 2, (at + size) * 2, dtype=np.float32).reshape(size, 2)
            file["t"] = np.arange(at, at + size, dtype=np.float32)
        at += size
    (tmp_path / "list.txt").write_text("\n".join(names) + "\n")
    text = (
        'layer { name: "data" type: "HDF5Data" top: "x" top: "t" '
        f'hdf5_data_param {{ source: "{tmp_path}/list.txt" batch_size: {batch} }} }}'
    )
    net = caffe.Net(parse(text), caffe.TRAIN)
    for expected in real_caffe.passes(text, 9, ["x", "t"]):
        found = net.forward()
        assert np.array_equal(found["x"], expected["x"])
        assert np.array_equal(found["t"], expected["t"])
