"""Every definition of the mirror: strict reading, round trips, and upgrading."""

from pathlib import Path

from google.protobuf import text_format

from caffe.formats import parse_text, read_binary, read_text, to_text, write_binary
from caffe.proto.caffe_pb2 import NetParameter, SolverParameter
from caffe.upgrade import net_needs_upgrade, upgrade_net, upgrade_solver


def files(mirror: Path) -> list[Path]:
    found = sorted(mirror.rglob("*.prototxt"))
    assert len(found) == 51
    return found


def test_definitions_round_trip(mirror, tmp_path):
    for file in files(mirror):
        kind = SolverParameter if "solver" in file.name else NetParameter
        message = read_text(file, kind(), strict=True)
        assert read_text(file, kind()) == message, file
        assert parse_text(to_text(message), kind()) == message, file
        assert text_format.Parse(to_text(message), kind()) == message, file
        write_binary(tmp_path / "m", message)
        assert read_binary(tmp_path / "m", kind()) == message, file


def test_upgrading_is_idempotent(mirror):
    old = []
    for file in files(mirror):
        if "solver" in file.name:
            solver = upgrade_solver(read_text(file, SolverParameter()))
            assert upgrade_solver(solver) == solver
            continue
        net = read_text(file, NetParameter())
        new = upgrade_net(net)
        assert upgrade_net(new) == new
        if net_needs_upgrade(net):
            old.append(file.name)
    assert old == ["cifar10_full_sigmoid_train_test_bn.prototxt", "SqueezeNet_deploy.prototxt"]
