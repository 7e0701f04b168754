"""The log: glog's format, and when it is shown."""

import logging
import os
import re
import subprocess
import sys

import pytest

from caffe import glog
from caffe.errors import FormatError

LINE = re.compile(r"^I(\d{4}) (\d\d:\d\d:\d\d\.\d{6}) +(\d+) solver\.cpp:239\] (.*)$")


def python(code: str, **environment: str) -> str:
    """Return the standard error of a separate process."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith("GLOG_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=plain | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr


LOGS = "import caffe; from caffe import glog; INIT glog.info('solver.cpp:239', 'a %d', 1)"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("init", "environment", "shown"),
    [
        ("", {}, True),
        ("caffe.init_log(0);", {"GLOG_minloglevel": "2"}, True),
        ("caffe.init_log(1);", {}, False),
        ("", {"GLOG_minloglevel": "0"}, True),
        ("", {"GLOG_minloglevel": "2"}, False),
        ("caffe.init_log(); caffe.init_log();", {}, True),
    ],
)
def test_log_is_shown_unless_it_is_silenced(init, environment, shown):
    lines = python(LOGS.replace("INIT", init), **environment).splitlines()
    assert len(lines) == shown
    if shown:
        found = LINE.match(lines[0])
        assert found
        assert found[4] == "a 1"


@pytest.mark.slow
def test_severities():
    code = (
        "import caffe; from caffe import glog; caffe.init_log(1); caffe.log('no');"
        "glog.warning('net.cpp:1', 'yes %s', 2)"
    )
    assert re.fullmatch(r"W\d{4} [\d:.]+ +\d+ net\.cpp:1\] yes 2\n", python(code))


@pytest.mark.slow
def test_pycaffes_log():
    code = "import caffe; caffe.init_log(); caffe.log('50% done')"
    assert python(code).endswith("] 50% done\n")


def test_foreign_record_shows_its_own_source_line():
    record = logging.LogRecord("caffe.x", logging.ERROR, "/a/b.py", 7, "bad %s", ("z",), None)
    assert re.fullmatch(r"E\d{4} [\d:.]+ +\d+ b\.py:7\] bad z", glog.GlogFormatter().format(record))


@pytest.mark.slow
def test_a_log_file(tmp_path):
    code = (
        "import caffe; from caffe import glog; caffe.init_log();"
        f"glog.log_to_folder({str(tmp_path)!r}, 'caffe'); glog.info('solver.cpp:239', 'x')"
    )
    printed = python(code)
    (file,) = tmp_path.glob("*.log.INFO.*")
    assert os.readlink(tmp_path / "caffe.INFO") == file.name
    assert re.match(r"caffe\..*\.log\.INFO\.\d{8}-\d{6}\.\d+$", file.name)
    assert file.read_text() == printed
    assert LINE.match(printed.strip())


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
