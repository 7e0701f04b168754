"""`caffe time`: Caffe's lines, the sorted table, the plot."""

import re
import subprocess
import sys

import pytest

import caffe
from caffe.__main__ import main
from caffe.errors import FormatError
from caffe.profile import LayerTime, profile
from caffe.tools.time import plot, table
from tests.caffe.tools.small import written

TIMES = [
    LayerTime("data", "Input", 0.5, 0.0),
    LayerTime("conv1", "Convolution", 6.0, 3.0),
    LayerTime("relu1", "ReLU", 0.25, 0.25),
]


@pytest.fixture
def model(tmp_path):
    written(tmp_path)
    return f"-model={tmp_path / 'net.prototxt'}"


def test_lines(model, capsys):
    assert main(["time", model, "-iterations=3"]) == 0
    lines = [line.partition("] ")[2] for line in capsys.readouterr().err.splitlines()]
    lines = lines[lines.index("*** Benchmark begins ***") :]
    assert lines[1] == "Testing for 3 iterations."
    passes = [re.fullmatch(r"Iteration: (\d) forward-backward time: (\S+) ms\.", x) for x in lines]
    assert [found[1] for found in passes if found] == ["1", "2", "3"]
    layer = re.compile(r" *(\w+)\t(forward|backward): (\S+) ms\.")
    found = [m.groups() for m in map(layer.fullmatch, lines) if m]
    names = ["data", "conv1", "relu1", "ip1", "loss"]
    assert [f[:2] for f in found] == [(n, way) for n in names for way in ("forward", "backward")]
    for way, index in (("Forward", 0), ("Backward", 1)):
        (line,) = (x for x in lines if x.startswith(f"Average {way} pass: "))
        total = float(line.split()[-2])
        assert total == pytest.approx(sum(float(f[2]) for f in found[index::2]), rel=1e-4)
    assert lines[-1] == "*** Benchmark ends ***"


def test_test_phase(model, capsys):
    assert main(["time", model, "-iterations=1", "-phase=TEST"]) == 0
    assert "accuracy\tforward" in capsys.readouterr().err


def test_the_table_is_sorted_and_has_shares():
    assert table(TIMES).splitlines() == [
        "layer                   forward    backward   share",
        "conv1 (Convolution)    6.000 ms    3.000 ms   90.0% " + "█" * 20 + "░" * 10,
        "data (Input)           0.500 ms    0.000 ms    5.0% ██",
        "relu1 (ReLU)           0.250 ms    0.250 ms    5.0% █░",
        "all                    6.750 ms    3.250 ms  100.0%",
    ]


def test_sorted_prints_the_table(model, capsys):
    assert main(["time", model, "-iterations=1", "--sorted"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 7
    shares = [float(line.split("%")[0].split()[-1]) for line in printed[1:-1]]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=0.5)


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_plot(ending, tmp_path):
    plot(TIMES, str(tmp_path / f"p.{ending}"))
    content = (tmp_path / f"p.{ending}").read_bytes()
    assert content.startswith({"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}[ending])


@pytest.mark.parametrize("path", ["p.docx", "no/such/folder/p.svg"])
def test_plot_that_cannot_be_written(path, tmp_path):
    with pytest.raises(FormatError, match=f"{path}: cannot be written"):
        plot(TIMES, str(tmp_path / path))


@pytest.mark.slow
def test_matplotlib_is_imported_for_plots_only(model, tmp_path):
    code = (
        "import sys; from caffe.__main__ import main; "
        f"main(['time', {model!r}, '-iterations=1', *sys.argv[1:]]); "
        "print('matplotlib' in sys.modules)"
    )
    for flags, expected in (["--sorted"], "False"), ([f"--plot={tmp_path / 'p.svg'}"], "True"):
        done = subprocess.run(
            [sys.executable, "-c", code, *flags], capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-1] == expected


def test_a_profile_in_python(tmp_path):
    written(tmp_path)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TRAIN)
    passes = []
    times = profile(net, 2, lambda number, ms: passes.append((number, ms)))
    assert [layer.type for layer in times][:2] == ["DummyData", "Convolution"]
    assert [number for number, _ in passes] == [1, 2]
    spent = 2 * sum(layer.total for layer in times)
    assert 0 < spent <= sum(ms for _, ms in passes)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "flag '--model' is needed"),
        (["-model=x", "-phase=BOTH"], "--phase is 'BOTH'. Allowed: TRAIN, TEST"),
        (["-model=x", "-iterations=-1"], "--iterations is -1"),
    ],
)
def test_flags_that_do_not_fit(argv, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["time", *argv])
    assert message in capsys.readouterr().err
