"""`caffe train`: its flags, and signals sent to a real process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import caffe
from caffe.__main__ import main
from caffe.errors import SolverError
from caffe.proto.caffe_pb2 import SolverState
from caffe.solver import SolverAction
from caffe.tools.signals import Signals
from tests.caffe.tools.small import NET, written


def weights(path: Path) -> list[np.ndarray]:
    made = caffe.Net(str(path.parent / "net.prototxt"), caffe.TEST, weights=str(path))
    return [blob.data.copy() for blobs in made.params.values() for blob in blobs]


def equal(first: Path, second: Path) -> bool:
    pairs = zip(weights(first), weights(second), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def files(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if file.name.startswith("s_"))


def test_trains_and_resumes(tmp_path, capsys):
    (tmp_path / "whole").mkdir()
    assert main(["train", f"-solver={written(tmp_path / 'whole')}"]) == 0
    log = capsys.readouterr().err
    assert "] Starting Optimization\n" in log
    assert log.count("Testing net (#0)") == 3
    assert log.count("] Optimization Done.\n") == 2
    assert files(tmp_path / "whole") == ["s_iter_10.caffemodel", "s_iter_10.solverstate"]

    # With constant data ten iterations give the same wherever they start.
    net = NET.replace('type: "gaussian"', "value: 0.5")
    for name, more in (("whole", "max_iter: 10"), ("parts", "max_iter: 4")):
        (tmp_path / name).mkdir(exist_ok=True)
        assert main(["train", "--solver", str(written(tmp_path / name, more, net))]) == 0
    solver = written(tmp_path / "parts", "max_iter: 10", net)
    state = tmp_path / "parts" / "s_iter_4.solverstate"
    assert main(["train", "-solver", str(solver), "-snapshot", str(state)]) == 0
    assert f"] Resuming from {state}\n" in capsys.readouterr().err
    last = "s_iter_10.caffemodel"
    assert equal(tmp_path / "whole" / last, tmp_path / "parts" / last)


def test_finetunes(tmp_path, capsys):
    solver = written(tmp_path, "max_iter: 5")
    main(["train", f"-solver={solver}"])
    (tmp_path / "s_iter_5.caffemodel").rename(tmp_path / "w.caffemodel")
    written(tmp_path, "max_iter: 0")
    assert main(["train", f"-solver={solver}", f"-weights={tmp_path / 'w.caffemodel'}"]) == 0
    assert equal(tmp_path / "w.caffemodel", tmp_path / "s_iter_0.caffemodel")
    assert f"] Finetuning from {tmp_path / 'w.caffemodel'}\n" in capsys.readouterr().err


def test_level_and_stages(tmp_path, capsys):
    extra = (
        'layer { name: "more" type: "Softmax" bottom: "ip1" top: "more" '
        'include { min_level: 2 stage: "a" stage: "b" } }'
    )
    solver = written(tmp_path, "max_iter: 1", NET + extra)
    assert main(["train", f"-solver={solver}", "-level=2", "-stage=a,b"]) == 0
    assert "Train net output #1: more = " in capsys.readouterr().err
    assert main(["train", f"-solver={solver}", "-level=1", "-stage=a,b"]) == 0
    assert "more = " not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "caffe train: flag '--solver' is needed"),
        (["-solver=x", "-snapshot=a", "-weights=b"], "--snapshot resumes and --weights finetunes"),
    ],
)
def test_flags_that_do_not_fit(argv, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["train", *argv])
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["-solver=no.prototxt"], "caffe train: no.prototxt: cannot be read"),
        (["-solver={solver}", "-gpu=0,1"], "-gpu 0,1: a net trains on one GPU"),
        (["-solver={solver}", "-gpu=x"], "-gpu x: is not a device"),
        (["-solver={solver}", "-cpu", "-gpu=0"], "-cpu and -gpu 0 are given"),
        (["-solver={solver}", "-sigint_effect=quit"], "'quit'. Allowed: none, stop, snapshot"),
        (["-solver={solver}", "-weights=no.caffemodel"], "no.caffemodel: cannot be read"),
    ],
)
def test_refusals(argv, message, tmp_path, capsys):
    solver = written(tmp_path)
    assert main(["train", "-minloglevel=3", *(a.format(solver=solver) for a in argv)]) == 1
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_gpu_solver_is_refused_without_cpu_flag(tmp_path, capsys):
    solver = written(tmp_path, "max_iter: 1")
    solver.write_text(solver.read_text().replace("solver_mode: CPU", "solver_mode: GPU"))
    assert main(["train", "-minloglevel=3", f"-solver={solver}"]) == 1
    message = f"caffe train: {solver} has solver_mode: GPU; set_device(0): torch finds no CUDA"
    printed = capsys.readouterr().err
    assert message in printed
    assert "-cpu computes on the CPU" in printed
    assert main(["train", f"-solver={solver}", "-cpu"]) == 0
    assert "Use CPU." in capsys.readouterr().err


@pytest.fixture
def started(tmp_path):
    """Start a process that trains for a very long time."""
    processes = []

    def start(*flags: str, tests: str = "test_iter: 2") -> subprocess.Popen[str]:
        solver = written(tmp_path, "max_iter: 100000000")
        solver.write_text(solver.read_text().replace("test_iter: 2", tests))
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "caffe", "train", f"-solver={solver}", *flags],
                stderr=subprocess.PIPE,
                text=True,
                env={k: v for k, v in os.environ.items() if not k.startswith("GLOG_")},
            )
        )
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.fixture
def running(started):
    """As `started`, but wait until it has run some iterations."""

    def start(*flags: str) -> subprocess.Popen[str]:
        process = started(*flags)
        until(process, "Iteration 4,")
        return process

    return start


def until(process: subprocess.Popen[str], text: str) -> list[str]:
    """Read the log up to a line with this text."""
    lines = []
    for line in process.stderr:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError(f"no line with '{text}' in {lines[-5:]}")


def rest(process: subprocess.Popen[str]) -> str:
    log = process.stderr.read()
    process.wait(300)
    return log


@pytest.mark.slow
def test_ctrl_c_snapshots_and_stops(running, tmp_path):
    process = running()
    process.send_signal(signal.SIGINT)
    log = rest(process)
    assert process.returncode == 0
    assert "] Optimization stopped early.\n" in log
    (model, state) = files(tmp_path)
    read = SolverState.FromString((tmp_path / state).read_bytes())
    assert read.iter >= 4
    assert model == f"s_iter_{read.iter}.caffemodel"


@pytest.mark.slow
def test_hangup_snapshots_and_continues(running, tmp_path):
    process = running()
    process.send_signal(signal.SIGHUP)
    until(process, "Snapshotting solver state")
    until(process, "lr = ")  # it continues once the file is written
    assert len(files(tmp_path)) == 2
    process.send_signal(signal.SIGINT)
    rest(process)
    assert len(files(tmp_path)) == 4


@pytest.mark.slow
def test_other_effects(running, tmp_path):
    process = running("-sigint_effect=snapshot", "-sighup_effect=none")
    process.send_signal(signal.SIGHUP)
    until(process, "lr = ")
    assert files(tmp_path) == []
    process.send_signal(signal.SIGINT)
    until(process, "Snapshotting solver state")
    until(process, "lr = ")
    assert len(files(tmp_path)) == 2


@pytest.mark.slow
def test_stopping_within_a_test(started, tmp_path):
    process = started(tests="test_iter: 100000000")
    until(process, "Testing net (#0)")
    process.send_signal(signal.SIGINT)
    log = rest(process)
    assert "] Test interrupted.\n" in log
    assert "Test net output" not in log
    assert files(tmp_path) == ["s_iter_0.caffemodel", "s_iter_0.solverstate"]


def test_signals_are_reported_once_and_handlers_restored():
    before = signal.getsignal(signal.SIGINT)
    with Signals("stop", "snapshot") as signals:
        assert signals.requested() is SolverAction.NONE
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGHUP)
        polled = [signals.requested() for _ in range(3)]
    assert polled == [SolverAction.SNAPSHOT, SolverAction.STOP, SolverAction.NONE]
    assert signal.getsignal(signal.SIGINT) is before


def test_an_unknown_effect():
    with pytest.raises(SolverError, match="effect 'quit'. Allowed: none, stop, snapshot"):
        Signals("stop", "quit")
