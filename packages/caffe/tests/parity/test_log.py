"""The log of a training in both engines: line by line, except for times."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from caffe.real import interpreter

NET = """
name: "small"
layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 4 dim: 1 dim: 6 dim: 6 } shape { dim: 4 }
  data_filler { value: 0.7 } data_filler { value: 1 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" param { lr_mult: 1 }
  param { lr_mult: 2 name: "bias" } convolution_param { num_output: 2 kernel_size: 3
  weight_filler { value: 0.1 } bias_filler { value: 0.05 } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "ip1" type: "InnerProduct" bottom: "pool1" top: "ip1" param { name: "w" }
  inner_product_param { num_output: 8 weight_filler { value: 0.02 } } }
layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2" param { name: "w" }
  inner_product_param { num_output: 8 weight_filler { value: 0.02 } bias_filler { value: 0.3 } } }
layer { name: "sig" type: "Sigmoid" bottom: "ip2" top: "sig" }
layer { name: "ip3" type: "InnerProduct" bottom: "sig" top: "ip3" inner_product_param {
  num_output: 2 weight_filler { value: 0.4 } bias_filler { value: 0.1 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip3" bottom: "label" top: "loss"
  loss_weight: 2 exclude { stage: "quiet" } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip3" bottom: "label" top: "accuracy"
  include { phase: TEST } }
layer { name: "scores" type: "Softmax" bottom: "ip3" top: "scores"
  include { min_level: 2 } include { stage: "shown" not_stage: "hidden" } }
"""
SOLVER = 'net: "net.prototxt" base_lr: 0.1 momentum: 0.9 solver_mode: CPU max_iter: 7 '
CASES = {
    "tests and snapshots": (
        'lr_policy: "step" gamma: 0.5 stepsize: 3 display: 2 average_loss: 3 test_iter: 2 '
        'test_interval: 3 snapshot: 4 snapshot_prefix: "s"'
    ),
    "everything": (
        'lr_policy: "multistep" gamma: 0.5 stepvalue: 2 stepvalue: 2 display: 1 test_iter: 1 '
        "test_interval: 6 debug_info: true test_compute_loss: true clip_gradients: 0.01 "
        "snapshot_after_train: false iter_size: 2"
    ),
    "states": (
        'lr_policy: "fixed" display: 3 train_state { level: 1 stage: "shown" } test_iter: 1 '
        'test_iter: 2 test_state { stage: "quiet" } test_state { level: 2 stage: "hidden" } '
        "test_interval: 3 test_initialization: false weight_decay: 0.01"
    ),
    "silent": 'lr_policy: "inv" gamma: 0.1 power: 0.5 type: "Nesterov"',
    "hdf5 in a folder": (
        'lr_policy: "fixed" snapshot: 5 snapshot_format: HDF5 snapshot_prefix: "."'
    ),
}
SOLVE = "import caffe; solver = caffe.get_solver('solver.prototxt'); solver.solve()"
RESUME = (
    "import caffe; solver = caffe.get_solver('solver.prototxt'); solver.step(2); "
    "solver.solve('s_iter_4.solverstate')"
)
# Stamps (with a year in real Caffe's glog) and speeds depend on the clock, and are masked.
STAMP = re.compile(r"^([IWE])\d+ [\d:.]+ +\d+ ", re.MULTILINE)
SPEED = re.compile(r"\(\S+ iter/s, \S+s/")
NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?|-?\d+e-?\d+")


def logged(python: str, code: str, folder: Path, **environment: str) -> list[str]:
    """Return the lines that a process logs, masked."""
    plain = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        [python, "-c", code],
        cwd=folder,
        env=plain | {"GLOG_minloglevel": "0"} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    text = SPEED.sub("(N iter/s, Ns/", STAMP.sub(r"\1 ", done.stderr))
    hidden = ("WARNING: Logging before", "I hdf5.cpp")
    return [line for line in text.splitlines() if not line.startswith(hidden)]


def ours(code: str, folder: Path) -> list[str]:
    path = os.pathsep.join(filter(None, sys.path))
    return logged(sys.executable, code, folder, PYTHONPATH=path)


def same(expected: str, found: str) -> bool:
    """Whether two lines are equal, decimal numbers up to their last digits."""
    if NUMBER.sub("#", expected) != NUMBER.sub("#", found):
        return False
    numbers = zip(NUMBER.findall(expected), NUMBER.findall(found), strict=True)
    return all(float(a) == pytest.approx(float(b), rel=2e-5, abs=1e-7) for a, b in numbers)


def check(expected: list[str], found: list[str]) -> None:
    different = [
        (i, *pair) for i, pair in enumerate(zip(expected, found, strict=False)) if not same(*pair)
    ]
    assert different == []
    assert len(expected) == len(found)


@pytest.fixture
def folders(real_caffe, tmp_path):
    """Two folders with the same net."""
    both = (tmp_path / "real", tmp_path / "ours")
    for folder in both:
        folder.mkdir()
        (folder / "net.prototxt").write_text(NET)
    return both


@pytest.mark.parametrize("case", CASES)
def test_training(folders, case):
    for folder in folders:
        (folder / "solver.prototxt").write_text(SOLVER + CASES[case])
    expected = logged(str(interpreter()), SOLVE, folders[0])
    assert len(expected) > 100
    check(expected, ours(SOLVE, folders[1]))
    written = [sorted(file.name for file in folder.iterdir()) for folder in folders]
    assert written[0] == written[1]


@pytest.mark.parametrize("h5", [False, True], ids=["binary", "hdf5"])
def test_resuming(folders, h5):
    more, resume = ("snapshot_format: HDF5", ".h5") if h5 else ("", "")
    for folder in folders:
        (folder / "solver.prototxt").write_text(SOLVER + CASES["tests and snapshots"] + more)
    code = RESUME.replace("state'", f"state{resume}'")
    logged(str(interpreter()), SOLVE, folders[0])
    ours(SOLVE, folders[1])
    check(logged(str(interpreter()), code, folders[0]), ours(code, folders[1]))


def test_weights_of_the_solver(folders):
    settings = SOLVER + CASES["tests and snapshots"]
    for folder in folders:
        (folder / "solver.prototxt").write_text(settings)
    logged(str(interpreter()), SOLVE, folders[0])
    ours(SOLVE, folders[1])
    for folder in folders:
        more = 'weights: "s_iter_4.caffemodel" weights: "s_iter_7.caffemodel, s_iter_4.caffemodel"'
        (folder / "solver.prototxt").write_text(settings + more)
    check(logged(str(interpreter()), SOLVE, folders[0]), ours(SOLVE, folders[1]))


@pytest.mark.parametrize("ending", ["", ".h5"])
def test_layers_missing_from_the_net(folders, ending):
    more = "max_iter: 0 snapshot_format: HDF5" if ending else "max_iter: 0"
    other = NET.replace('"ip3"', '"other"').replace('"relu1"', '"none"')
    code = (
        "import caffe; net = caffe.Net('other.prototxt', caffe.TEST); "
        f"net.copy_from('solver_iter_0.caffemodel{ending}')"
    )
    for folder in folders:
        (folder / "other.prototxt").write_text(other)
        (folder / "solver.prototxt").write_text(
            f'{SOLVER.replace("max_iter: 7", more)} lr_policy: "fixed"'
        )
    logged(str(interpreter()), SOLVE, folders[0])
    ours(SOLVE, folders[1])
    check(logged(str(interpreter()), code, folders[0]), ours(code, folders[1]))
