"""Solvers: every rule and policy against its formula, and resuming from a snapshot."""

import logging
import math
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

import caffe
from caffe.errors import CaffeError, FormatError, SolverError
from caffe.policies import learning_rate
from caffe.proto.caffe_pb2 import NetParameter, SolverParameter, SolverState
from caffe.solver import Solver
from caffe.solvers import SOLVERS

NET = """
layer { name: "data" type: "DummyData" top: "x" top: "t"
  dummy_data_param { shape { dim: 5 dim: 3 } shape { dim: 5 dim: 2 }
    data_filler { type: "gaussian" } data_filler { type: "gaussian" } } }
layer { name: "ip1" type: "InnerProduct" bottom: "x" top: "h" param { lr_mult: 1 decay_mult: 1 }
  param { lr_mult: 2 decay_mult: 0 }
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "tanh" type: "TanH" bottom: "h" top: "h" }
layer { name: "ip2" type: "InnerProduct" bottom: "h" top: "y"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }
"""
# Two parameters with gradient w - t for a fixed t, so that every rule can be checked by hand.
BOWL = """
layer { name: "one" type: "DummyData" top: "one" top: "t" dummy_data_param {
  shape { dim: 1 dim: 1 } shape { dim: 1 dim: 2 }
  data_filler { value: 1 } data_filler { value: 3 } } }
layer { name: "w" type: "InnerProduct" bottom: "one" top: "w" inner_product_param {
  num_output: 2 bias_term: false weight_filler { value: 1 } } PARAM }
layer { name: "loss" type: "EuclideanLoss" bottom: "w" bottom: "t" top: "loss" }
"""


def net_parameter(text: str) -> NetParameter:
    return text_format.Parse(text, NetParameter())


def solver(text: str, net: str = NET, kind: str = "SGD") -> Solver:
    param = text_format.Parse(text, SolverParameter())
    param.net_param.CopyFrom(net_parameter(net.replace("PARAM", "")))
    return SOLVERS[kind](param)


def bowl(settings: str, kind: str, steps: int, param: str = "") -> list[float]:
    """Return w after each step, from 1 towards 3."""
    made = solver(f'base_lr: 0.1 lr_policy: "fixed" {settings}', BOWL.replace("PARAM", param), kind)
    path = []
    for _ in range(steps):
        made.step(1)
        path.append(float(made.net.params["w"][0].data[0, 0]))
        assert made.net.params["w"][0].data[1, 0] == path[-1]
    return path


def weights(made: Solver) -> list[np.ndarray]:
    return [blob.data.copy() for blobs in made.net.params.values() for blob in blobs]


def sgd(g, s, t):
    s["v"] = 0.9 * s.get("v", 0) + 0.1 * g
    return s["v"]


def nesterov(g, s, t):
    before = s.get("v", 0)
    s["v"] = 0.9 * before + 0.1 * g
    return 1.9 * s["v"] - 0.9 * before


def adagrad(g, s, t):
    s["h"] = s.get("h", 0) + g * g
    return 0.1 * g / (math.sqrt(s["h"]) + 1e-4)


def rmsprop(g, s, t):
    s["h"] = 0.95 * s.get("h", 0) + 0.05 * g * g
    return 0.1 * g / (math.sqrt(s["h"]) + 1e-4)


def adadelta(g, s, t):
    s["h"] = 0.9 * s.get("h", 0) + 0.1 * g * g
    change = g * math.sqrt((s.get("u", 0) + 1e-4) / (s["h"] + 1e-4))
    s["u"] = 0.9 * s.get("u", 0) + 0.1 * change * change
    return 0.1 * change


def adam(g, s, t):
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["v"] = 0.99 * s.get("v", 0) + 0.01 * g * g
    rate = 0.1 * math.sqrt(1 - 0.99**t) / (1 - 0.9**t)
    return rate * s["m"] / (math.sqrt(s["v"]) + 1e-4)


RULES = {
    "SGD": (sgd, "momentum: 0.9"),
    "Nesterov": (nesterov, "momentum: 0.9"),
    "AdaGrad": (adagrad, "delta: 1e-4"),
    "RMSProp": (rmsprop, "rms_decay: 0.95 delta: 1e-4"),
    "AdaDelta": (adadelta, "momentum: 0.9 delta: 1e-4"),
    "Adam": (adam, "momentum: 0.9 momentum2: 0.99 delta: 1e-4"),
}


@pytest.mark.parametrize("kind", list(SOLVERS))
def test_rules_by_their_formulas(kind):
    rule, settings = RULES[kind]
    expected, w, state = [], 1.0, {}
    for t in range(1, 21):
        w -= rule(w - 3, state, t)
        expected.append(w)
    assert bowl(settings, kind, 20) == pytest.approx(expected, rel=2e-5)


@pytest.mark.parametrize(
    ("settings", "param", "gradient"),
    [
        ("", "", lambda w: w - 3),
        ("weight_decay: 0.5", "", lambda w: w - 3 + 0.5 * w),
        ("weight_decay: 0.5", "param { decay_mult: 3 }", lambda w: w - 3 + 1.5 * w),
        ('weight_decay: 0.5 regularization_type: "L1"', "", lambda w: w - 3 + 0.5),
        ("", "param { lr_mult: 4 }", lambda w: 4 * (w - 3)),
        ("weight_decay: 0.5", "param { lr_mult: 0 }", lambda w: 0),
        # The norm of the two equal gradients is clipped to 1.
        ("clip_gradients: 1", "", lambda w: (w - 3) * min(1, 1 / (math.sqrt(2) * abs(w - 3)))),
        ("iter_size: 3", "", lambda w: w - 3),
        # Clipped before the division by iter_size, as in Caffe.
        ("iter_size: 2 clip_gradients: 1", "", lambda w: max((w - 3), -1 / math.sqrt(8))),
    ],
)
def test_gradient_processing(settings, param, gradient):
    expected, w = [], 1.0
    for _ in range(8):
        w -= 0.1 * gradient(w)
        expected.append(w)
    assert bowl(settings, "SGD", 8, param) == pytest.approx(expected, rel=1e-5)


POLICIES = {
    'lr_policy: "fixed"': lambda i: 0.5,
    'lr_policy: "step" gamma: 0.1 stepsize: 10': lambda i: 0.5 * 0.1 ** (i // 10),
    'lr_policy: "exp" gamma: 0.9': lambda i: 0.5 * 0.9**i,
    'lr_policy: "inv" gamma: 0.1 power: 0.75': lambda i: 0.5 * (1 + 0.1 * i) ** -0.75,
    'lr_policy: "multistep" gamma: 0.1 stepvalue: 5 stepvalue: 12': (
        lambda i: 0.5 * 0.1 ** ((i >= 5) + (i >= 12))
    ),
    'lr_policy: "poly" power: 2 max_iter: 40': lambda i: 0.5 * (1 - i / 40) ** 2,
    'lr_policy: "sigmoid" gamma: 0.2 stepsize: 15': (
        lambda i: 0.5 / (1 + math.exp(-0.2 * (i - 15)))
    ),
}


@pytest.mark.parametrize("settings", POLICIES)
def test_policies(settings):
    param = text_format.Parse(f"base_lr: 0.5 {settings}", SolverParameter())
    rates = [learning_rate(param, i) for i in range(30)]
    assert rates == pytest.approx([POLICIES[settings](i) for i in range(30)], rel=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('lr_policy: "stepp"', "unknown lr_policy 'stepp'.*step"),
        ('lr_policy: "step"', "'step' needs a stepsize"),
        ('lr_policy: "sigmoid" gamma: 1', "'sigmoid' needs a stepsize"),
        ('lr_policy: "exp" gamma: -0.5', "'exp': gamma is -0.5. Allowed: 0 or more"),
        ('lr_policy: "poly"', "'poly' needs a max_iter"),
        ("", "unknown lr_policy ''"),
        ('lr_policy: "fixed" weight_decay: 1 regularization_type: "L3"', "'L3'. Allowed: L1, L2"),
        ('lr_policy: "fixed" iter_size: 0', "iter_size is 0"),
        (
            'lr_policy: "fixed" snapshot: 1 snapshot_prefix: "no/s"',
            "prefix 'no/s': the folder 'no'",
        ),
        ('lr_policy: "fixed" test_iter: 1', "test_interval"),
        ('lr_policy: "fixed" average_loss: 0', "average_loss is 0"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(SolverError, match=message):
        solver(f"base_lr: 0.1 {settings}")


@pytest.mark.parametrize("kind", ["AdaGrad", "RMSProp"])
def test_rules_without_momentum(kind):
    with pytest.raises(SolverError, match=f"{kind}Solver: momentum is 0.9. Allowed: 0"):
        solver('base_lr: 0.1 lr_policy: "fixed" momentum: 0.9', kind=kind)


def test_missing_net():
    with pytest.raises(SolverError, match="given by nothing. Needed: one of net"):
        caffe.SGDSolver(SolverParameter(lr_policy="fixed", base_lr=1))


def test_two_nets():
    param = SolverParameter(lr_policy="fixed", net="a.prototxt", train_net="b.prototxt")
    with pytest.raises(SolverError, match="given by net, train_net. Needed: one of"):
        caffe.SGDSolver(param)


@pytest.mark.parametrize("kind", list(SOLVERS))
@pytest.mark.parametrize("form", ["BINARYPROTO", "HDF5"])
def test_resumed_training_equals_uninterrupted_training(kind, tmp_path, form):
    momentum = 0.9 if SOLVERS[kind].takes_momentum else 0
    settings = (
        'base_lr: 0.01 weight_decay: 0.01 lr_policy: "step" gamma: 0.5 stepsize: 70 '
        f'momentum: {momentum} snapshot_prefix: "{tmp_path / "s"}" '
    )
    net = NET.replace('type: "gaussian"', "value: 0.3")
    whole = solver(settings + "random_seed: 1", net, kind)
    whole.step(200)
    first = solver(settings + "random_seed: 1", net, kind)
    first.step(100)
    first.param.snapshot_format = getattr(SolverParameter, form)
    first.snapshot()
    second = solver(settings + "random_seed: 2", net, kind)
    second.restore(tmp_path / f"s_iter_100.solverstate{'.h5' if form == 'HDF5' else ''}")
    assert second.iter == 100
    second.step(100)
    for expected, found in zip(weights(whole), weights(second), strict=True):
        assert np.array_equal(expected, found)


@pytest.mark.parametrize("end", ["", ".h5"])
def test_snapshots_are_deterministic(tmp_path, end):
    files = []
    for name in ("a", "b"):
        made = solver(f'base_lr: 0.1 lr_policy: "fixed" random_seed: 4 snapshot_prefix: "{name}"')
        made.param.snapshot_prefix = str(tmp_path / "same")
        if end:
            made.param.snapshot_format = SolverParameter.HDF5
        made.step(3)
        made.snapshot()
        files.append([file.read_bytes() for file in sorted(tmp_path.iterdir())])
    assert files[0] == files[1]
    names = [f"same_iter_3.caffemodel{end}", f"same_iter_3.solverstate{end}"]
    assert [file.name for file in sorted(tmp_path.iterdir())] == names


def test_snapshot_contents(tmp_path):
    prefix = tmp_path / "s"
    made = solver(
        'base_lr: 0.1 momentum: 0.5 lr_policy: "multistep" stepvalue: 2 stepvalue: 3 gamma: 0.1 '
        f'snapshot: 2 snapshot_diff: true snapshot_prefix: "{prefix}"'
    )
    made.step(5)
    iterations = sorted(file.name for file in tmp_path.iterdir())
    assert iterations == [f"s_iter_{n}.{e}" for n in (2, 4) for e in ("caffemodel", "solverstate")]
    state = SolverState.FromString(Path(f"{prefix}_iter_4.solverstate").read_bytes())
    assert (state.iter, state.current_step) == (4, 2)
    assert state.learned_net == f"{prefix}_iter_4.caffemodel"
    assert [tuple(h.shape.dim) for h in state.history] == [(4, 3), (4,), (2, 4), (2,)]
    model = NetParameter.FromString(Path(f"{prefix}_iter_4.caffemodel").read_bytes())
    stored = {layer.name: layer for layer in model.layer}
    assert [tuple(b.shape.dim) for b in stored["ip1"].blobs] == [(4, 3), (4,)]
    assert len(stored["ip1"].blobs[0].diff) == 12


def test_restore_refuses_another_solver(tmp_path):
    settings = f'base_lr: 0.1 lr_policy: "fixed" snapshot_prefix: "{tmp_path / "s"}"'
    solver(settings).snapshot()
    with pytest.raises(SolverError, match="has 4 history blobs; this AdamSolver has 8"):
        solver(settings, kind="Adam").restore(tmp_path / "s_iter_0.solverstate")


def test_restore_refuses_another_net(tmp_path):
    settings = f'base_lr: 0.1 lr_policy: "fixed" snapshot_prefix: "{tmp_path / "s"}"'
    solver(settings).snapshot()
    with pytest.raises(CaffeError, match=r"\(4, 3\).*\(6, 3\)"):
        solver(settings, NET.replace("num_output: 4", "num_output: 6")).restore(
            tmp_path / "s_iter_0.solverstate"
        )


@pytest.mark.parametrize("content", [b"", b"iter: 5", b"\x0a\xff\xff"])
def test_restore_refuses_other_files(tmp_path, content):
    (tmp_path / "bad.solverstate").write_bytes(content)
    with pytest.raises(FormatError, match="bad.solverstate"):
        solver('base_lr: 0.1 lr_policy: "fixed"').restore(tmp_path / "bad.solverstate")


def test_failed_snapshot_leaves_the_old_one(tmp_path):
    made = solver(f'base_lr: 0.1 lr_policy: "fixed" snapshot_prefix: "{tmp_path / "no" / "s"}"')
    with pytest.raises(FormatError, match="s_iter_0.caffemodel: cannot be written"):
        made.snapshot()
    assert list(tmp_path.iterdir()) == []


def test_callbacks_see_the_gradients_before_the_update():
    made = solver('base_lr: 0.1 lr_policy: "fixed"', BOWL)
    seen = []
    made.add_callback(
        lambda: seen.append(("start", made.iter)),
        lambda: seen.append(("ready", float(made.net.params["w"][0].diff[0, 0]))),
    )
    made.step(2)
    assert seen == [("start", 0), ("ready", -2), ("start", 1), ("ready", pytest.approx(-1.8))]


def test_test_nets_share_the_weights_of_the_net():
    made = solver(
        'base_lr: 0.1 lr_policy: "fixed" test_iter: 2 test_interval: 1 test_initialization: false',
        BOWL,
    )
    made.step(3)
    results = made.test_all()
    w = float(made.net.params["w"][0].data[0, 0])
    assert results[0]["loss"] == pytest.approx((w - 3) ** 2)


def test_tests_run_at_their_interval(caplog):
    caplog.set_level(logging.INFO, logger="caffe")
    made = solver('base_lr: 0.1 lr_policy: "fixed" test_iter: 1 test_interval: 2', BOWL)
    made.step(5)
    tests = [r.getMessage() for r in caplog.records if "Testing net (#0)" in r.getMessage()]
    assert [line.split()[1].rstrip(",") for line in tests] == ["0", "2", "4"]


def test_separate_test_nets():
    param = text_format.Parse('base_lr: 1 lr_policy: "fixed" test_interval: 1', SolverParameter())
    param.train_net_param.CopyFrom(net_parameter(NET))
    other = NET.replace('name: "loss"', 'name: "loss" exclude { stage: "quiet" }')
    param.test_net_param.extend([net_parameter(NET), net_parameter(other)])
    param.test_iter.extend([1, 1])
    param.test_state.add()
    param.test_state.add(stage=["quiet"])
    made = caffe.SGDSolver(param)
    assert [net.outputs for net in made.test_nets] == [["loss"], ["t", "y"]]


def test_numbers_of_test_iter_and_test_nets_must_agree():
    param = SolverParameter(lr_policy="fixed", test_iter=[1], test_interval=1)
    param.train_net_param.CopyFrom(net_parameter(NET))
    param.test_net_param.extend([net_parameter(NET)] * 2)
    with pytest.raises(SolverError, match="1 test_iter for 2 test nets"):
        caffe.SGDSolver(param)


def test_solve_ends_at_max_iter_with_a_snapshot(tmp_path):
    settings = 'base_lr: 0.1 lr_policy: "fixed" max_iter: 7 snapshot: 5 '
    made = solver(settings + f'snapshot_prefix: "{tmp_path / "s"}"')
    made.solve()
    assert made.iter == 7
    states = sorted(file.name for file in tmp_path.glob("*.solverstate"))
    assert states == ["s_iter_5.solverstate", "s_iter_7.solverstate"]
    again = solver(settings + f'snapshot_prefix: "{tmp_path / "s"}"')
    again.solve(tmp_path / "s_iter_5.solverstate")
    assert again.iter == 7


def test_average_loss_is_a_moving_mean():
    made = solver('base_lr: 0.1 lr_policy: "fixed" average_loss: 3', BOWL)
    assert math.isnan(made.smoothed_loss)
    losses, means = [], []
    made.add_callback(
        lambda: None,
        lambda: (
            losses.append(float(made.net.blobs["loss"].data)) or means.append(made.smoothed_loss)
        ),
    )
    made.step(6)
    assert means == pytest.approx([np.mean(losses[max(0, i - 3) : i]) for i in range(1, 7)])
    made.step(1)  # each call starts over
    assert made.smoothed_loss == losses[-1]


def test_files_and_solver_types(tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    file = tmp_path / "solver.prototxt"
    for kind, expected in SOLVERS.items():
        file.write_text(
            f'net: "{tmp_path / "net.prototxt"}" base_lr: 1 lr_policy: "fixed" type: "{kind}"'
        )
        assert type(caffe.get_solver(str(file))) is expected
    file.write_text('type: "SDG"')
    with pytest.raises(SolverError, match="solver.prototxt: unknown solver type 'SDG'.*SGD"):
        caffe.get_solver(str(file))


def test_seed_determines_the_initial_weights():
    first, again, other = (
        weights(solver(f'base_lr: 1 lr_policy: "fixed" random_seed: {seed}')) for seed in (1, 1, 2)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_more_iterations_than_caffe_can_count_are_refused():
    made = solver('base_lr: 0.1 lr_policy: "fixed"')
    with pytest.raises(SolverError, match=r"step\(2147483648\)\. Allowed: at most 2147483647"):
        made.step(2**31)
    assert made.iter == 0
