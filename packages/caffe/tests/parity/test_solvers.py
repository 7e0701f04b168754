"""Every rule, policy and gradient setting in both engines: the weights after 200 steps."""

import numpy as np
import pytest

import caffe
from tests.parity.compare import assert_equal, params, relative_difference, state
from tests.parity.test_mlp import CLASSES, SOFTMAX, X, mlp, trained, weights_only

INPUTS = {"x": X, "t": CLASSES}
FIXED = 'base_lr: 0.05 lr_policy: "fixed"'
RULES = {
    "SGD": "momentum: 0.9",
    "Nesterov": "momentum: 0.9",
    "AdaGrad": "delta: 1e-6",  # with weight decay only at small rates: see below
    "RMSProp": "rms_decay: 0.98 delta: 1e-4",
    "AdaDelta": "momentum: 0.95 delta: 1e-4",
    "Adam": "momentum: 0.9 momentum2: 0.99 delta: 1e-6",
}
POLICIES = [
    'lr_policy: "step" gamma: 0.5 stepsize: 60',
    'lr_policy: "exp" gamma: 0.99',
    'lr_policy: "inv" gamma: 0.01 power: 0.75',
    'lr_policy: "multistep" gamma: 0.3 stepvalue: 50 stepvalue: 120',
    'lr_policy: "poly" power: 1.5',
    'lr_policy: "sigmoid" gamma: 0.05 stepsize: 100',
]
TREATMENTS = [
    "weight_decay: 0.01",
    'weight_decay: 0.01 regularization_type: "L1"',
    "clip_gradients: 0.05",
    "iter_size: 3",
    "iter_size: 2 clip_gradients: 0.05 weight_decay: 0.01",
]
MULTIPLIED = "param { lr_mult: 2 decay_mult: 0.5 } param { lr_mult: 0.1 decay_mult: 0 }"


CONV = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 12 dim: 2 dim: 9 dim: 9 } } }
layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 12 } } }
layer { name: "conv1" type: "Convolution" bottom: "x" top: "conv1" param { lr_mult: 1 }
  param { lr_mult: 2 decay_mult: 0 } convolution_param { num_output: 6 kernel_size: 3 pad: 1
  weight_filler { type: "xavier" } } }
layer { name: "act1" type: "TanH" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2" convolution_param {
  num_output: 4 kernel_size: 2 group: 2 weight_filler { type: "msra" } } }
layer { name: "act2" type: "Sigmoid" bottom: "conv2" top: "act2" }
layer { name: "ip" type: "InnerProduct" bottom: "act2" top: "y" inner_product_param {
  num_output: 3 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "t" top: "loss" }
"""
RANDOM = np.random.default_rng(5)
IMAGES = {
    "x": RANDOM.normal(size=(12, 2, 9, 9)).astype(np.float32),
    "t": RANDOM.integers(0, 3, 12).astype(np.float32),
}


def check(
    real_caffe, folder, settings: str, net: str = mlp(SOFTMAX), inputs: dict = INPUTS
) -> float:
    """Train 200 steps in both engines; return the largest relative difference of the weights."""
    (folder / "net.prototxt").write_text(net)
    (folder / "solver.prototxt").write_text(
        f'net: "{folder}/net.prototxt" {settings} max_iter: 250 random_seed: 3 '
        "snapshot_after_train: false solver_mode: CPU"
    )
    solver = caffe.get_solver(str(folder / "solver.prototxt"))
    first = params(solver.net)
    losses = trained(solver, inputs, 200)
    expected = real_caffe.train(folder, 200, inputs, first)
    assert relative_difference(np.array(losses), expected["losses"]) <= 1e-4
    return assert_equal(weights_only(state(solver.net)), weights_only(expected), 1e-3)


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize("decay", [0, 0.005])
def test_rules(real_caffe, measured, tmp_path, kind, decay):
    settings = f'{FIXED} type: "{kind}" {RULES[kind]} weight_decay: {decay}'
    if kind == "AdaGrad" and decay:
        # At 0.05 even a change of 1e-7 in our own initial weights grows as large in 200 steps.
        settings = settings.replace("base_lr: 0.05", "base_lr: 0.01")
    measured(check(real_caffe, tmp_path, settings))


@pytest.mark.parametrize("policy", POLICIES)
def test_policies(real_caffe, measured, tmp_path, policy):
    measured(check(real_caffe, tmp_path, f"base_lr: 0.1 momentum: 0.9 {policy}"))


@pytest.mark.parametrize("policy", ['lr_policy: "fixed"', *POLICIES])
@pytest.mark.parametrize("kind", RULES)
def test_every_rule_with_every_policy_on_a_convolutional_net(
    real_caffe, measured, tmp_path, kind, policy
):
    rate = {"AdaDelta": 1.0, "SGD": 0.05, "Nesterov": 0.05}.get(kind, 0.002)
    settings = f'base_lr: {rate} {policy} type: "{kind}" {RULES[kind]} weight_decay: 0.002'
    measured(check(real_caffe, tmp_path, settings, CONV, IMAGES))


@pytest.mark.parametrize("treatment", TREATMENTS)
def test_gradient_processing(real_caffe, measured, tmp_path, treatment):
    measured(check(real_caffe, tmp_path, f"{FIXED} momentum: 0.5 {treatment}"))


def test_multipliers(real_caffe, measured, tmp_path):
    net = mlp(SOFTMAX).replace('top: "h2"', f'top: "h2" {MULTIPLIED}')
    net = net.replace('top: "h1" inner', 'top: "h1" param { lr_mult: 0 } inner')
    measured(check(real_caffe, tmp_path, f"{FIXED} momentum: 0.9 weight_decay: 0.02", net))


@pytest.mark.parametrize("kind", RULES)
def test_each_resumes_from_real_caffes_snapshot(real_caffe, measured, tmp_path, kind):
    (tmp_path / "net.prototxt").write_text(mlp(SOFTMAX))
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path}/net.prototxt" {FIXED} type: "{kind}" {RULES[kind]} random_seed: 3 '
        f'snapshot_prefix: "{tmp_path}/s" snapshot_after_train: false solver_mode: CPU'
    )
    solver = caffe.get_solver(str(tmp_path / "solver.prototxt"))
    first = params(solver.net)
    real_caffe.snapshot_after(tmp_path, 50, INPUTS, first)
    expected = real_caffe.train(tmp_path, 100, INPUTS, first)
    solver.restore(str(tmp_path / "s_iter_50.solverstate"))
    trained(solver, INPUTS, 50)
    measured(assert_equal(weights_only(state(solver.net)), weights_only(expected), 1e-3))
