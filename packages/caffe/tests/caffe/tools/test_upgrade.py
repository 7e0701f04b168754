"""The upgrade commands: files, log lines and exit statuses."""

import re
from pathlib import Path

import numpy as np
import pytest

import caffe
from caffe.__main__ import main
from caffe.formats import read_binary, read_text, write_binary
from caffe.proto.caffe_pb2 import NetParameter, SolverParameter
from caffe.upgrade import upgrade_net
from tests.caffe.net_case import parse
from tests.caffe.old_nets import V0_NETS, V1_NETS

OLD = V0_NETS | V1_NETS


def run(folder: Path, command: str, text: str) -> tuple[int, Path]:
    (folder / "in.prototxt").write_text(text)
    return main([command, str(folder / "in.prototxt"), str(folder / "out")]), folder / "out"


@pytest.mark.parametrize("name", sorted(OLD))
def test_net_in_text(tmp_path, capsys, name):
    status, out = run(tmp_path, "upgrade_net_proto_text", OLD[name])
    assert status == 0
    new = read_text(out, NetParameter(), strict=True)
    assert new == upgrade_net(parse(OLD[name]))
    assert f"] Wrote upgraded NetParameter text proto to {out}\n" in capsys.readouterr().err
    assert run(tmp_path, "upgrade_net_proto_text", out.read_text())[0] == 0
    assert read_text(out, NetParameter()) == new
    assert "] File already in latest proto format: " in capsys.readouterr().err


def test_net_in_binary(tmp_path, capsys):
    old = parse(V0_NETS["padding"])
    values = np.arange(54, dtype=np.float32)
    old.layers[1].layer.blobs.add(num=3, channels=2, height=3, width=3, data=values.tolist())
    write_binary(tmp_path / "in", old)
    out = tmp_path / "out"
    assert main(["upgrade_net_proto_binary", str(tmp_path / "in"), str(out)]) == 0
    assert f"] Wrote upgraded NetParameter binary proto to {out}\n" in capsys.readouterr().err
    assert read_binary(out, NetParameter()) == upgrade_net(old)
    net = caffe.Net(upgrade_net(parse(V0_NETS["padding"])), caffe.TEST)
    # The other layers that learn have no blobs in the file.
    stored = read_binary(out, NetParameter())
    del stored.layer[4]
    write_binary(out, stored)
    net.copy_from(out)
    assert net.params["c1"][0].data.ravel().tolist() == values.tolist()


@pytest.mark.parametrize("name", ["ADAM", "SGD"])
def test_solver(tmp_path, capsys, name):
    status, out = run(tmp_path, "upgrade_solver_proto_text", f"solver_type: {name} base_lr: 0.5")
    assert status == 0
    kind = {"ADAM": "Adam", "SGD": "SGD"}[name]
    assert read_text(out, SolverParameter()) == SolverParameter(type=kind, base_lr=0.5)
    assert f"] Wrote upgraded SolverParameter text proto to {out}\n" in capsys.readouterr().err


def test_lost_settings_are_logged(tmp_path, capsys):
    text = 'layers { layer { name: "r" type: "relu" num_output: 3 } }'
    status, out = run(tmp_path, "upgrade_net_proto_text", text)
    assert status == 1
    assert read_text(out, NetParameter()) == parse('layer { name: "r" type: "ReLU" }')
    log = capsys.readouterr().err
    assert "layer 'r': a layer of type 'relu' has no setting 'num_output': dropped" in log
    assert "] Encountered error(s) while upgrading prototxt; see details above.\n" in log


@pytest.mark.parametrize(
    ("text", "status", "message"),
    [
        ("layer {", 2, "Failed to parse input text file as NetParameter: .*in.prototxt:1:7: "),
        ('layer { type: "X" } layers {}', 1, "in.prototxt: the net has 1 layer, "),
    ],
)
def test_refused_files_write_nothing(tmp_path, capsys, text, status, message):
    found, out = run(tmp_path, "upgrade_net_proto_text", text)
    assert found == status
    assert not out.exists()
    assert re.search(message, capsys.readouterr().err)


def test_strict(tmp_path, capsys):
    (tmp_path / "in").write_text("layer { pooling_param { ceil_mode: false } }")
    files = [str(tmp_path / "in"), str(tmp_path / "out")]
    assert main(["upgrade_net_proto_text", *files, "--strict"]) == 2
    assert "'ceil_mode'" in capsys.readouterr().err.replace('"', "'")
    assert main(["upgrade_net_proto_text", *files]) == 0
    assert (tmp_path / "out").read_text() == (
        "layer {\n  pooling_param {\n    round_mode: FLOOR\n  }\n}\n"
    )


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_number_of_files(capsys, count):
    assert main(["upgrade_solver_proto_text", *["x"] * count]) == 1
    usage = "Usage: upgrade_solver_proto_text old_solver_proto_file_in solver_proto_file_out"
    assert usage in capsys.readouterr().err
