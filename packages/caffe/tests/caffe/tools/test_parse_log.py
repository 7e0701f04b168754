"""`caffe parse_log`: tables as pycaffe's parse_log.py writes them."""

import csv
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe.__main__ import main
from caffe.errors import FormatError
from caffe.tools.parse_log import Log, parse, plot, read
from tests.caffe.tools.small import written

# A log of BVLC's Caffe, across a new year.
LOG = """\
I1231 23:59:58.000000  7 solver.cpp:57] Solver scaffolding done.
I1231 23:59:59.000000  7 solver.cpp:289] Solving LeNet
I1231 23:59:59.100000  7 solver.cpp:347] Iteration 0, Testing net (#0)
I1231 23:59:59.500000  7 solver.cpp:414]     Test net output #0: accuracy = 0.0772
I1231 23:59:59.500000  7 solver.cpp:414]     Test net output #1: loss = 2.4 (* 1 = 2.4 loss)
I1231 23:59:59.750000  7 solver.cpp:239] Iteration 0 (0 iter/s, 0.7s/100 iters), loss = 2.5
I1231 23:59:59.750001  7 solver.cpp:258]     Train net output #0: loss = 2.5 (* 1 = 2.5 loss)
I1231 23:59:59.750002  7 sgd_solver.cpp:112] Iteration 0, lr = 0.01
I0101 00:00:09.000000  7 solver.cpp:239] Iteration 100 (9 iter/s, 9s/100 iters), loss = 1.25e-05
I0101 00:00:09.000001  7 solver.cpp:258]     Train net output #0: loss = 1.25e-05 (* 1 = 1 loss)
I0101 00:00:09.000002  7 sgd_solver.cpp:112] Iteration 100, lr = 0.005
I0101 00:00:19.000000  7 solver.cpp:347] Iteration 200, Testing net (#0)
I0101 00:00:19.000000  7 solver.cpp:414]     Test net output #0: accuracy = nan
I0101 00:00:19.000000  7 solver.cpp:414]     Test net output #1: loss = -inf (* 1 = -inf loss)
"""
TRAIN = """\
NumIters,Seconds,LearningRate,loss
0.0,0.75,0.01,2.5
100.0,10.0,0.005,1.25e-05
"""
TEST = """\
NumIters,Seconds,LearningRate,accuracy,loss
0.0,0.1,0.01,0.0772,2.4
200.0,20.0,0.005,nan,-inf
"""


@pytest.mark.parametrize("stamp", ["I", "I2026"])
def test_tables(stamp, tmp_path, capsys):
    # Newer versions of glog write the year as well.
    (tmp_path / "caffe.log").write_text(LOG.replace("I1231", f"{stamp}1231"))
    assert main(["parse_log", str(tmp_path / "caffe.log"), str(tmp_path), "--verbose"]) == 0
    assert (tmp_path / "caffe.log.train").read_text().replace("\r", "") == TRAIN
    assert (tmp_path / "caffe.log.test").read_text().replace("\r", "") == TEST
    assert f"Wrote {tmp_path / 'caffe.log.test'}\n" in capsys.readouterr().out


def test_a_log_of_our_own(tmp_path, capsys):
    main(["train", f"-solver={written(tmp_path)}"])
    (tmp_path / "log").write_text(capsys.readouterr().err)
    assert main(["parse_log", str(tmp_path / "log"), str(tmp_path), "--delimiter=;"]) == 0
    rows = {
        kind: list(
            csv.DictReader((tmp_path / f"log.{kind}").read_text().splitlines(), delimiter=";")
        )
        for kind in ("train", "test")
    }
    assert [row["NumIters"] for row in rows["train"]] == ["0.0", "2.0", "4.0", "6.0", "8.0"]
    rates = [float(row["LearningRate"]) for row in rows["train"]]
    assert rates == [0.01, 0.01, 0.005, 0.005, 0.0025]
    assert [row["NumIters"] for row in rows["test"]] == ["0.0", "5.0", "10.0"]
    assert all(0 <= float(row["accuracy"]) <= 1 for row in rows["test"])
    seconds = [float(row["Seconds"]) for row in rows["train"]]
    assert seconds == sorted(seconds)
    assert 0 <= seconds[0] < 60


def test_plot(tmp_path):
    (tmp_path / "log").write_text(LOG)
    image = tmp_path / "out.svg"
    assert main(["parse_log", str(tmp_path / "log"), str(tmp_path), f"--plot={image}"]) == 0
    assert b"</svg>" in image.read_bytes()


def test_log_without_outputs_cannot_be_plotted(tmp_path):
    with pytest.raises(FormatError, match="shows no outputs of a net"):
        plot(Log(), str(tmp_path / "x.svg"))


def test_refusals(tmp_path, capsys):
    assert main(["parse_log", str(tmp_path / "no.log")]) == 1
    assert "no.log: cannot be read" in capsys.readouterr().err
    (tmp_path / "x.log").write_text("nothing of Caffe\n")
    with pytest.raises(FormatError, match="x.log: is not a training log"):
        read(str(tmp_path / "x.log"))
    (tmp_path / "y.log").write_text(LOG)
    assert main(["parse_log", str(tmp_path / "y.log"), str(tmp_path / "none")]) == 1
    assert "y.log.train: cannot be written" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["parse_log", str(tmp_path / "y.log"), "--delimiter=ab"])


def test_truncated_log():
    log = parse(LOG.splitlines()[:7])
    assert [row["loss"] for row in log.train] == [2.5]
    assert math.isnan(log.train[0]["LearningRate"])


@given(st.lists(st.sampled_from(LOG.splitlines()) | st.text(max_size=60), max_size=30))
def test_arbitrary_lines_are_parsed(lines):
    log = parse(lines)
    for row in (*log.train, *log.test):
        assert set(row) > {"NumIters", "Seconds", "LearningRate"}
