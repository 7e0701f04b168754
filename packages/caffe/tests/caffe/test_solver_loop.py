"""The solver's loop: callbacks, tests, log lines, and stopping."""

import logging
import math
import re

import numpy as np
import pytest

import caffe
from caffe.errors import CaffeError, SolverError
from caffe.policies import learning_rate, passed_steps
from caffe.proto.caffe_pb2 import NetState, SolverParameter
from caffe.solver import SolverAction
from caffe.solvers import SOLVERS
from tests.caffe.test_solver import BOWL, NET, net_parameter, solver, weights

FIXED = 'base_lr: 0.1 lr_policy: "fixed" '
RANDOM_NET = """
layer { name: "data" type: "DummyData" top: "x" top: "t" dummy_data_param {
  shape { dim: 6 dim: 2 dim: 8 dim: 8 } shape { dim: 6 }
  data_filler { type: "uniform" min: -1 } data_filler { value: 1 } } }
layer { name: "conv" type: "Convolution" bottom: "x" top: "h" convolution_param {
  num_output: 4 kernel_size: 3 weight_filler { type: "msra" } } }
layer { name: "pool" type: "Pooling" bottom: "h" top: "p" pooling_param {
  pool: STOCHASTIC kernel_size: 2 stride: 2 } }
layer { name: "drop" type: "Dropout" bottom: "p" top: "p" }
layer { name: "ip" type: "InnerProduct" bottom: "p" top: "y" inner_product_param {
  num_output: 3 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "t" top: "loss" }
"""


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines logged since the last call."""
    found = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return found


class TestSeed:
    def run(self, seed: int) -> list[np.ndarray]:
        made = solver(f"{FIXED} momentum: 0.9 random_seed: {seed}", RANDOM_NET)
        made.step(20)
        return weights(made)

    def test_runs_are_identical_bit_for_bit(self):
        first, again = self.run(7), self.run(7)
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))

    def test_another_seed_gives_another_run(self):
        first, other = self.run(7), self.run(8)
        assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True) if b.any())

    def test_set_random_seed_applies_if_the_solver_sets_none(self):
        runs = []
        for _ in range(2):
            caffe.set_random_seed(3)
            runs.append(self.run(-1))
        assert all(np.array_equal(a, b) for a, b in zip(*runs, strict=True))


class TestActions:
    def test_stop_ends_the_step_and_solve_snapshots(self, tmp_path, caplog):
        caplog.set_level(logging.INFO, logger="caffe")
        made = solver(f'{FIXED} max_iter: 50 snapshot_prefix: "{tmp_path / "s"}"')
        made.set_action_function(lambda: SolverAction.STOP if made.iter == 4 else SolverAction.NONE)
        made.solve()
        assert made.iter == 4
        assert lines(caplog)[-1] == "Optimization stopped early."
        assert (tmp_path / "s_iter_4.solverstate").exists()
        made.set_action_function(lambda: SolverAction.NONE)
        made.solve()  # continues where it stopped
        assert made.iter == 50

    def test_snapshot_request_continues_training(self, tmp_path):
        made = solver(f'{FIXED} snapshot_prefix: "{tmp_path / "s"}"')
        made.set_action_function(
            lambda: SolverAction.SNAPSHOT if made.iter in (2, 3) else SolverAction.NONE
        )
        made.step(6)
        assert made.iter == 6
        assert sorted(f.name for f in tmp_path.glob("*.solverstate")) == [
            "s_iter_2.solverstate",
            "s_iter_3.solverstate",
        ]

    def test_stop_within_a_test_skips_the_rest(self, tmp_path):
        made = solver(f"{FIXED} test_iter: 5 test_iter: 5 test_interval: 1")
        polled = []
        made.set_action_function(
            lambda: (
                polled.append(0) or (SolverAction.STOP if len(polled) == 3 else SolverAction.NONE)
            )
        )
        made.step(4)
        assert (len(polled), made.iter) == (3, 0)


def test_the_log_of_some_steps(caplog):
    caplog.set_level(logging.INFO, logger="caffe")
    made = solver(
        'base_lr: 0.1 lr_policy: "step" stepsize: 2 gamma: 0.5 display: 2 average_loss: 2 '
        "test_iter: 3 test_interval: 3 test_compute_loss: true",
        BOWL,
    )
    lines(caplog)
    made.step(4)
    speed = re.compile(r"\(\S+ iter/s, \S+s/2 iters\)")
    assert [speed.sub("(S)", line) for line in lines(caplog)] == [
        "Iteration 0, Testing net (#0)",
        "Test loss: 4",
        "    Test net output #0: loss = 4 (* 1 = 4 loss)",
        "Iteration 0 (S), loss = 4",
        "    Train net output #0: loss = 4 (* 1 = 4 loss)",
        "Iteration 0, lr = 0.1",
        "Iteration 2 (S), loss = 2.9322",
        "    Train net output #0: loss = 2.6244 (* 1 = 2.6244 loss)",
        "Iteration 2, lr = 0.05",
        "Iteration 3, Testing net (#0)",
        "Test loss: 2.36852",
        "    Test net output #0: loss = 2.36852 (* 1 = 2.36852 loss)",
    ]


def test_every_line_names_a_source_line(caplog):
    caplog.set_level(logging.INFO, logger="caffe")
    solver(f"{FIXED} display: 1 debug_info: true", BOWL).step(1)
    assert all(re.fullmatch(r"\w+\.[ch]pp:\d+", record.where) for record in caplog.records)


def test_debug_info(caplog):
    made = solver(f"{FIXED} debug_info: true display: 2", BOWL)
    caplog.clear()  # of the lines on the net
    made.step(2)  # only what is displayed
    assert [line for line in lines(caplog) if line.startswith("    [")] == [
        "    [Forward] Layer one, top blob one data: 1",
        "    [Forward] Layer one, top blob t data: 3",
        "    [Forward] Layer w, top blob w data: 1",
        "    [Forward] Layer w, param blob 0 data: 1",
        "    [Forward] Layer loss, top blob loss data: 4",
        "    [Backward] Layer loss, bottom blob w diff: 2",
        "    [Backward] Layer w, param blob 0 diff: 2",
        "    [Backward] All net params (data, diff): L1 norm = (2, 4); "
        "L2 norm = (1.41421, 2.82843)",
    ]


def test_debug_info_of_a_net(caplog):
    net = caffe.Net(net_parameter(f"debug_info: true {BOWL.replace('PARAM', '')}"), caffe.TEST)
    caplog.set_level(logging.INFO, logger="caffe")
    net.forward()
    assert "    [Forward] Layer loss, top blob loss data: 4" in lines(caplog)


def test_clipping_is_logged(caplog):
    made = solver(f"{FIXED} clip_gradients: 1", BOWL)
    caplog.clear()  # of the lines on the net
    made.step(1)
    assert lines(caplog) == [
        "Gradient clipping: scaling down gradients (L2 norm 2.82843 > 1) by scale factor 0.353553"
    ]


def test_nan_loss_does_not_stop_training(caplog):
    made = solver('base_lr: 1e30 lr_policy: "fixed" average_loss: 3 display: 1', BOWL)
    caplog.set_level(logging.INFO, logger="caffe")
    made.step(6)
    assert made.iter == 6
    assert math.isnan(made.smoothed_loss)
    assert any("loss = nan" in line for line in lines(caplog))


def test_iterations_are_read_only():
    made = solver(FIXED)
    with pytest.raises(AttributeError):
        made.iter = 5


def test_settings_may_be_changed_while_it_runs():
    made = solver(f"{FIXED} max_iter: 3 snapshot_after_train: false")
    made.solve()
    made.param.max_iter, made.param.base_lr = 5, 0.0
    before = weights(made)
    made.solve()
    assert (made.iter, made.lr) == (5, 0.0)
    assert all(np.array_equal(a, b) for a, b in zip(before, weights(made), strict=True))


def test_negative_number_of_steps_does_nothing():
    made = solver(FIXED)
    made.step(-3)
    assert made.iter == 0


def test_share_weights():
    made = solver(FIXED)
    other = caffe.Net(net_parameter(NET), caffe.TEST)
    made.share_weights(other)
    made.step(2)
    assert np.array_equal(other.params["ip1"][0].data, made.net.params["ip1"][0].data)


def test_test_nets_share_from_their_first_test_on():
    made = solver(f"{FIXED} test_iter: 1 test_interval: 1 test_initialization: false")
    test, train = (net.params["ip1"][0].data for net in (made.test_nets[0], made.net))
    assert not np.array_equal(test, train)
    made.step(2)
    test, train = (net.params["ip1"][0].data for net in (made.test_nets[0], made.net))
    assert np.array_equal(test, train)
    made.step(1)
    assert np.array_equal(made.test_nets[0].params["ip1"][0].data, train)


def test_states_of_train_and_test():
    text = NET.replace('name: "tanh"', 'name: "tanh" include { min_level: 1 stage: "a" }')
    param = SolverParameter(
        net_param=net_parameter(text),
        lr_policy="fixed",
        test_iter=[1, 1],
        test_interval=1,
        train_state=NetState(level=1, stage=["a"]),
        test_state=[NetState(stage=["a"]), NetState(level=2, stage=["b", "a"])],
    )
    made = caffe.get_solver(param)
    nets = [made.net, *made.test_nets]
    assert ["tanh" in net.layer_dict for net in nets] == [True, False, True]


def test_weights_of_several_files(tmp_path):
    first = solver(f"{FIXED} random_seed: 1")
    first.net.save(str(tmp_path / "a.caffemodel"))
    other = solver(f"{FIXED} random_seed: 2", NET.replace('"ip2"', '"new"'))
    other.net.save(str(tmp_path / "b.caffemodel"))
    both = f"{tmp_path / 'a.caffemodel'}, {tmp_path / 'b.caffemodel'}"
    made = solver(f'{FIXED} random_seed: 3 weights: "{both}" test_iter: 1 test_interval: 9')
    assert np.array_equal(made.net.params["ip1"][0].data, other.net.params["ip1"][0].data)
    for net in (made.net, *made.test_nets):
        assert np.array_equal(net.params["ip2"][0].data, first.net.params["ip2"][0].data)


def test_an_error_names_the_net_file(tmp_path):
    (tmp_path / "net.prototxt").write_text('layer { name: "x" type: "Nothing" }')
    with pytest.raises(CaffeError, match="net.prototxt: layer 'x': unknown type 'Nothing'"):
        caffe.SGDSolver(SolverParameter(net=str(tmp_path / "net.prototxt"), lr_policy="fixed"))


@pytest.mark.parametrize("decay", [1, 1.5, -0.1])
def test_rms_decay(decay):
    with pytest.raises(SolverError, match="rms_decay is .*Allowed: 0 to below 1"):
        solver(f"{FIXED} rms_decay: {decay}", kind="RMSProp")


def test_an_unknown_type_of_a_message():
    with pytest.raises(SolverError, match="^unknown solver type 'SDG'. Allowed: SGD"):
        caffe.get_solver(SolverParameter(type="SDG"))


@pytest.mark.parametrize(
    ("settings", "iteration", "expected"),
    [
        ({"lr_policy": "poly", "power": 0.5, "max_iter": 10}, 11, math.nan),
        ({"lr_policy": "poly", "power": -1, "max_iter": 10}, 10, math.inf),
        ({"lr_policy": "poly", "power": 2, "max_iter": 10}, 15, 0.25),
        ({"lr_policy": "exp", "gamma": 10}, 400, math.inf),
        ({"lr_policy": "sigmoid", "gamma": 100, "stepsize": 100}, 0, 0.0),
    ],
)
def test_rates_beyond_max_iter_are_those_of_c(settings, iteration, expected):
    rate = learning_rate(SolverParameter(base_lr=1, **settings), iteration)
    assert rate == pytest.approx(expected, nan_ok=True)


def test_multistep_passes_one_step_an_iteration():
    param = SolverParameter(base_lr=1, lr_policy="multistep", gamma=0.5, stepvalue=[3, 3, 2, 9])
    passed, counted = 0, []
    for iteration in range(12):
        passed = passed_steps(param, iteration, passed)
        counted.append(passed)
    assert counted == [0, 0, 0, 1, 2, 3, 3, 3, 3, 4, 4, 4]
    assert [learning_rate(param, i) for i in range(12)] == [0.5**n for n in counted]


@pytest.mark.parametrize("kind", list(SOLVERS))
def test_large_parameters_are_updated_like_small_ones(kind):
    # It is split into pieces, the last of which is shorter.
    rows, columns = 3, 100_003
    text = f"""
        layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 1 dim: COUNT }} }} }}
        layer {{ name: "w" type: "InnerProduct" bottom: "x" top: "w" inner_product_param {{
          num_output: {rows} bias_term: false weight_filler {{ value: 0.5 }} }} }}
        layer {{ name: "l" type: "Reduction" bottom: "w" top: "l" loss_weight: 1 }}
    """
    random = np.random.default_rng(2)
    gradients = random.normal(size=(3, rows, columns)).astype(np.float32)
    settings = f"{FIXED} weight_decay: 0.1 delta: 1e-4"

    def trained(part: slice) -> np.ndarray:
        made = solver(settings, text.replace("COUNT", str(len(range(columns)[part]))), kind)
        weight = made.net.params["w"][0]
        made.add_callback(
            lambda: None, lambda: np.copyto(weight.diff, gradients[made.iter][:, part])
        )
        made.step(3)
        return weight.data.copy()

    whole = trained(slice(None))
    for part in (slice(0, 300), slice(columns // 2, columns // 2 + 7), slice(columns - 9, None)):
        assert np.array_equal(whole[:, part], trained(part))
