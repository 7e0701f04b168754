"""`-strict` of train, test and time."""

import pytest

from caffe.__main__ import main
from tests.caffe.tools.small import NET, written

RELU6 = NET.replace('type: "ReLU"', 'type: "ReLU6"')
REFUSED = "layer 'relu1': type 'ReLU6' is from forks for MobileNet, not from BVLC Caffe 1.0"


@pytest.mark.parametrize("command", ["train", "time"])
def test_a_type_of_a_fork(tmp_path, capsys, command):
    solver = written(tmp_path, "max_iter: 1", RELU6)
    given = {
        "train": [f"-solver={solver}"],
        "time": [f"-model={tmp_path / 'net.prototxt'}", "-iterations=1"],
    }[command]
    assert main([command, *given]) == 0
    capsys.readouterr()
    assert main([command, *given, "-strict"]) == 1
    assert f"{tmp_path / 'net.prototxt'}: {REFUSED}" in capsys.readouterr().err


def test_a_net_inside_a_solver(tmp_path, capsys):
    (tmp_path / "s.prototxt").write_text(f'net_param {{ {RELU6} }} lr_policy: "fixed"')
    assert main(["train", f"-solver={tmp_path / 's.prototxt'}", "-strict"]) == 1
    assert REFUSED in capsys.readouterr().err


def test_plain_caffe_is_accepted(tmp_path):
    assert main(["train", f"-solver={written(tmp_path, 'max_iter: 1')}", "-strict"]) == 0
