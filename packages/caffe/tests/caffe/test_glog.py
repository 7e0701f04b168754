"""The log: glog's format, and when it is shown."""

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from caffe import glog
from caffe.errors import FormatError

LINE = re.compile(r"^I(\d{4}) (\d\d:\d\d:\d\d\.\d{6}) +(\d+) solver\.cpp:239\] (.*)$")


# Each in a process of its own, as if it had just begun: `import torch` takes most of the time that
# `import caffe` does, and is done once.
FORKS = """
import json, os, sys
import torch
for code, environment, path in json.load(sys.stdin):
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == 0, code
        continue
    os.environ.update(environment)
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), 2)
    exec(code, {})
    sys.stderr.flush()
    os._exit(0)
"""
LOGS = "import caffe; from caffe import glog; INIT glog.info('solver.cpp:239', 'a %d', 1)"


def python(folder: Path, *cases: tuple[str, dict[str, str]]) -> list[str]:
    """Return the standard error of code, each case with its own variables."""
    paths = [folder / f"stderr-{number}" for number in range(len(cases))]
    subprocess.run(
        [sys.executable, "-c", FORKS],
        input=json.dumps([[*case, str(path)] for case, path in zip(cases, paths, strict=True)]),
        env={k: v for k, v in os.environ.items() if not k.startswith("GLOG_")},
        capture_output=True,
        text=True,
        check=True,
    )
    return [path.read_text() for path in paths]


@pytest.mark.slow
def test_log_is_shown_unless_it_is_silenced(tmp_path):
    shown = {
        ("", None): True,
        ("caffe.init_log(0);", "2"): True,
        ("caffe.init_log(1);", None): False,
        ("", "0"): True,
        ("", "2"): False,
        ("caffe.init_log(); caffe.init_log();", None): True,
    }
    cases = [
        (LOGS.replace("INIT", init), {} if level is None else {"GLOG_minloglevel": level})
        for init, level in shown
    ]
    for case, printed, expected in zip(
        cases, python(tmp_path, *cases), shown.values(), strict=True
    ):
        lines = printed.splitlines()
        assert len(lines) == expected, case
        if expected:
            found = LINE.match(lines[0])
            assert found
            assert found[4] == "a 1"


@pytest.mark.slow
def test_severities_pycaffes_log_and_a_log_file(tmp_path):
    folder = tmp_path / "log"
    folder.mkdir()
    severities = (
        "import caffe; from caffe import glog; caffe.init_log(1); caffe.log('no');"
        "glog.warning('net.cpp:1', 'yes %s', 2)"
    )
    pycaffes = "import caffe; caffe.init_log(); caffe.log('50% done')"
    to_file = (
        "import caffe; from caffe import glog; caffe.init_log();"
        f"glog.log_to_folder({str(folder)!r}, 'caffe'); glog.info('solver.cpp:239', 'x')"
    )
    warned, logged, printed = python(tmp_path, (severities, {}), (pycaffes, {}), (to_file, {}))
    assert re.fullmatch(r"W\d{4} [\d:.]+ +\d+ net\.cpp:1\] yes 2\n", warned)
    assert logged.endswith("] 50% done\n")
    (file,) = folder.glob("*.log.INFO.*")
    assert os.readlink(folder / "caffe.INFO") == file.name
    assert re.match(r"caffe\..*\.log\.INFO\.\d{8}-\d{6}\.\d+$", file.name)
    assert file.read_text() == printed
    assert LINE.match(printed.strip())


def test_foreign_record_shows_its_own_source_line():
    record = logging.LogRecord("caffe.x", logging.ERROR, "/a/b.py", 7, "bad %s", ("z",), None)
    assert re.fullmatch(r"E\d{4} [\d:.]+ +\d+ b\.py:7\] bad z", glog.GlogFormatter().format(record))


def test_missing_log_folder(tmp_path):
    with pytest.raises(FormatError, match=r"no/caffe.*cannot be written: No such file"):
        glog.log_to_folder(tmp_path / "no", "caffe")


def test_a_full_disk_ends_the_file_and_not_the_program(tmp_path, caplog):
    path = glog.log_to_folder(tmp_path, "caffe")
    to_file = glog.logger.handlers[-1]
    with open("/dev/full", "w") as full, caplog.at_level(logging.INFO, "caffe"):
        to_file.setStream(full).close()
        for i in range(2):
            glog.info("x.cpp:1", "line %d", i)
    lines = [record.getMessage() for record in caplog.records]
    reason = "No space left on device. The log goes on on standard error alone"
    assert sorted(lines) == sorted(["line 0", "line 1", f"{path}: cannot be written: {reason}"])
