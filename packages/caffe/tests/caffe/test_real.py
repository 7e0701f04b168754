"""Finding and installing real Caffe, and the process that runs it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from caffe.errors import RealCaffeRefused, RealCaffeUnavailable
from caffe.real import VARIABLE, WHEELS, Process, interpreter

ANSWERS = """
import json, os, sys
for line in sys.stdin:
    request = json.loads(line)
    if request["call"] == "fail":
        answer = {"error": "ValueError: no"}
    elif request["call"] == "abort":
        print("I0101 10:00:00 a.cpp:1] fine", file=sys.stderr)
        print("F0101 10:00:01 b.cpp:2] Check failed: x", file=sys.stderr)
        print("*** stack trace", file=sys.stderr, flush=True)
        os._exit(1)
    elif request["call"] == "exit":
        os._exit(7)
    else:
        answer = {"got": request, "level": os.environ["GLOG_minloglevel"], "n": os.environ["N"]}
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def installed() -> Path:
    """The Python of a real Caffe that this module installed."""
    if VARIABLE in os.environ:
        pytest.skip(f"{VARIABLE} names another environment")
    try:
        return interpreter()
    except RealCaffeUnavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home in which nothing is installed; return it."""
    (tmp_path / "bin").mkdir()
    for name, value in (("HOME", tmp_path), ("PATH", tmp_path / "bin")):
        monkeypatch.setenv(name, str(value))
    for name in (VARIABLE, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    (tmp_path / "answers.py").write_text(ANSWERS)
    with closing(Process(Path(sys.executable), tmp_path / "answers.py", {"N": "3"})) as process:
        yield process


def test_the_wheels_are_pinned_and_fit_cpython_3_9():
    versions = dict(wheel.split("==") for wheel in WHEELS)
    assert versions["kendryte-caffe"] == "1.0.0.20210829"
    assert versions["numpy"].startswith("1.")
    assert tuple(map(int, versions["protobuf"].split(".")[:2])) < (3, 21)


def test_the_environment_holds_the_pinned_wheels(installed):
    pip = [str(installed), "-I", "-m", "pip", "list", "--format", "freeze"]
    done = subprocess.run(pip, capture_output=True, text=True, check=True)
    assert set(WHEELS) <= {line.lower() for line in done.stdout.split()}


def test_missing_cpython_3_9_is_one_line_with_advice(bare):
    advice = r"needs CPython 3\.9, .*'uv python install 3\.9'"
    with pytest.raises(RealCaffeUnavailable, match=advice) as caught:
        interpreter()
    assert "\n" not in str(caught.value)


def test_another_python_called_python3_9_is_rejected(bare):
    (bare / "bin" / "python3.9").symlink_to(sys.executable)
    with pytest.raises(RealCaffeUnavailable, match=r"needs CPython 3\.9, which was not found"):
        interpreter()


def test_the_named_python_is_used_or_reported_missing(bare, monkeypatch):
    monkeypatch.setenv(VARIABLE, sys.executable)
    assert interpreter() == Path(sys.executable)
    monkeypatch.setenv(VARIABLE, str(bare / "nothing"))
    with pytest.raises(RealCaffeUnavailable, match=rf"{VARIABLE} is '.*/nothing': no such program"):
        interpreter()


@pytest.mark.slow
def test_wheels_that_cannot_be_installed(installed, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    expected = r"cannot be installed: ERROR: No matching distribution found for \S+==\S+\. Or set"
    with pytest.raises(RealCaffeUnavailable, match=expected):
        interpreter()
    assert not list(tmp_path.glob("ripen/*/complete"))


def test_a_call_and_its_answer(process):
    expected = {"got": {"call": "add", "a": 1, "b": "x"}, "level": "2", "n": "3"}
    assert process.call("add", a=1, b="x") == expected


def test_an_error_that_the_script_answers(process):
    with pytest.raises(RealCaffeRefused, match=r"^ValueError: no$"):
        process.call("fail")
    assert process.call("add")["got"] == {"call": "add"}


def test_an_abort_gives_the_last_fatal_line_and_the_next_call_restarts(process):
    with pytest.raises(RealCaffeRefused, match=r"^F0101 10:00:01 b\.cpp:2\] Check failed: x$"):
        process.call("abort")
    assert process.call("add")["got"] == {"call": "add"}


def test_a_silent_end_gives_the_status(process):
    with pytest.raises(RealCaffeRefused, match=r"^ended with status 7$"):
        process.call("exit")
