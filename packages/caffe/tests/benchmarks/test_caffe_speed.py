"""The benchmark's arithmetic and its nets, and one small run; no time is asserted."""

import re

import pytest

import caffe
from benchmarks.caffe_speed import main, row, shares, write_nets
from caffe.errors import RealCaffeUnavailable
from caffe.real import interpreter


def test_row_has_medians_and_ratios_of_pairs():
    line = row("training step", [2.0, 4.0, 9.0], [1.0, 1.0, 3.0])
    assert line.split() == ["training", "step", "4000.00", "1000.00", "3.00", "2.00", "to", "4.00"]


def test_shares_add_up_and_the_slowest_type_comes_first():
    lines = shares({"ReLU": [0.1, 0.1], "Convolution": [0.3, 0.5], "Input": [0.0, 0.0]})
    assert [line.split() for line in lines] == [
        ["Convolution", "80.0", "%", "300.0", "500.0"],
        ["ReLU", "20.0", "%", "100.0", "100.0"],
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "weights"), [("lenet", 431_080), ("squeezenet", 1_248_424), ("caffenet", 60_965_224)]
)
def test_nets_have_the_published_number_of_weights(tmp_path, name, weights):
    write_nets(name, 2, tmp_path)
    net = caffe.Net(str(tmp_path / "single.prototxt"), caffe.TEST)
    assert sum(blob.count for blobs in net.params.values() for blob in blobs) == weights
    trained = caffe.Net(str(tmp_path / "train.prototxt"), caffe.TRAIN)
    assert list(trained.params) == list(net.params)


@pytest.mark.slow
def test_run_of_lenet(capsys):
    try:
        interpreter()
    except RealCaffeUnavailable as reason:
        pytest.skip(str(reason))
    main(["--net", "lenet", "--batch", "2", "--rounds", "1", "--threads", "1", "--least", "0.01"])
    text = capsys.readouterr().out
    assert text.startswith("lenet, batch 2, 1 threads, 1 pairs\n")
    for what in ("training step", "inference", "single item"):
        real, ours, ratio = map(float, re.findall(rf"{what} +(\S+) +(\S+) +(\S+)", text)[0])
        assert ratio == pytest.approx(real / ours, abs=0.01, rel=0.2)
    kinds = re.findall(r"^  (\w+) +([0-9.]+) %", text, re.MULTILINE)
    assert {"Convolution", "InnerProduct", "Pooling", "ReLU", "Softmax"} < {k for k, _ in kinds}
    assert sum(float(share) for _, share in kinds) == pytest.approx(200, abs=2)
