"""The command line: dispatching to a command, and exit statuses."""

import subprocess
import sys

import pytest

from caffe.__main__ import COMMANDS, main


def test_help_lists_the_commands(capsys):
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in COMMANDS)
    assert main([]) == 2


@pytest.mark.parametrize(
    ("command", "hint"),
    [("trian", "did you mean train?"), ("zzzz", "known: train, test"), ("-x", "known: train")],
)
def test_unknown_commands(command, hint, capsys):
    assert main([command]) == 2
    printed = capsys.readouterr().err
    assert f"unknown command '{command}'; {hint}" in printed
    assert printed.count("\n") == 1


def test_flags_may_come_first(capsys):
    assert main(["-minloglevel=2", "device_query"]) == 0
    assert "Threads:" in capsys.readouterr().out


def test_device_query(capsys):
    assert main(["device_query"]) == 0
    lines = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines() if line)
    assert int(lines["Threads"]) >= 1
    assert int(lines["CUDA devices"]) >= 0


def test_errors_are_one_line_and_status_1(capsys):
    assert main(["device_query", "-gpu=77"]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("caffe device_query: -gpu 77: no device '77'. There are ")
    assert printed.count("\n") == 1


@pytest.mark.slow
def test_as_a_process():
    run = subprocess.run(
        [sys.executable, "-m", "caffe", "device_querry"], capture_output=True, text=True
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert "did you mean device_query?" in run.stderr
