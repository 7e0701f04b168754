"""`caffe test`: the outputs of each batch, and their means."""

import re

import pytest

from caffe.__main__ import main
from tests.caffe.tools.small import NET, written


@pytest.fixture
def model(tmp_path):
    main(["train", "-minloglevel=3", f"-solver={written(tmp_path, 'max_iter: 3')}"])
    return [f"-model={tmp_path / 'net.prototxt'}", f"-weights={tmp_path / 's_iter_3.caffemodel'}"]


def test_batches_and_means(model, capsys):
    assert main(["test", *model, "-iterations=4"]) == 0
    lines = [line.partition("] ")[2] for line in capsys.readouterr().err.splitlines()]
    lines = lines[lines.index("Running for 4 iterations.") :]
    batches = [re.fullmatch(r"Batch (\d), (\w+) = (\S+)", line) for line in lines[1:9]]
    assert [(b[1], b[2]) for b in batches] == [
        (str(i), name) for i in range(4) for name in ("accuracy", "loss")
    ]
    losses = [float(b[3]) for b in batches[1::2]]
    assert len(set(losses)) == 4
    mean = float(lines[9].removeprefix("Loss: "))
    assert mean == pytest.approx(sum(losses) / 4, rel=1e-5)
    accuracies = [float(b[3]) for b in batches[::2]]
    assert lines[10] == f"accuracy = {sum(accuracies) / 4:g}"
    assert lines[11] == f"loss = {mean:g} (* 1 = {mean:g} loss)"


def test_stages(model, tmp_path, capsys):
    extra = 'layer { name: "p" type: "Softmax" bottom: "ip1" top: "p" include { stage: "x" } }'
    (tmp_path / "net.prototxt").write_text(NET + extra)
    assert main(["test", *model, "-iterations=1", "-stage=x"]) == 0
    assert len(re.findall(r"Batch 0, p = ", capsys.readouterr().err)) == 12


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["-weights=x"], "flag '--model' is needed"),
        (["-model=x"], "flag '--weights' is needed"),
        (["-model=x", "-weights=x", "-iterations=0"], "--iterations is 0. Allowed: 1 or more"),
    ],
)
def test_flags_that_do_not_fit(argv, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["test", *argv])
    assert message in capsys.readouterr().err
