"""Upgrading old definitions: our messages against real Caffe's."""

from pathlib import Path

import pytest
from google.protobuf import text_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caffe import upgrade_v0, upgrade_v1
from caffe.errors import CaffeError, RealCaffeRefused
from caffe.formats import parse_text, read_text, to_text
from caffe.proto.caffe_pb2 import (
    NetParameter,
    SolverParameter,
    V0LayerParameter,
    V1LayerParameter,
)
from caffe.upgrade import set_snapshot_prefix, upgrade_net, upgrade_solver
from tests.caffe.message_case import messages
from tests.caffe.old_nets import V0_NETS, V1_NETS
from tests.parity.real_caffe import RealCaffe

MANY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def check(real: RealCaffe, text: str) -> None:
    ours = upgrade_net(parse_text(text, NetParameter()))
    assert ours == NetParameter.FromString(real.upgrade(text, "NetParameter"))
    assert upgrade_net(ours) == ours


@pytest.mark.parametrize("name", sorted(V0_NETS | V1_NETS))
def test_old_nets(real_caffe, name):
    check(real_caffe, (V0_NETS | V1_NETS)[name])


# Real Caffe loses a net's state and debug_info when it upgrades from V0; we keep them.
@MANY
@given(messages(V0LayerParameter, left_out=("type", "blobs")), st.data())
def test_any_layer_of_v0(real_caffe, layer, data):
    layer.type = data.draw(st.sampled_from(sorted(upgrade_v0.TYPES)))
    net = NetParameter(layers=[V1LayerParameter(layer=layer)])
    check(real_caffe, to_text(net))


def test_negative_size_of_v0(real_caffe):
    check(real_caffe, 'layers { layer { name: "i" type: "images" new_height: -1 } top: "i" }')


@MANY
@given(messages(V1LayerParameter, left_out=("layer", "clip_param")))
def test_any_layer_of_v1(real_caffe, layer):
    check(real_caffe, to_text(NetParameter(layers=[layer])))


@pytest.mark.parametrize("name", sorted(upgrade_v1.DATA))
def test_transformations_of_v1(real_caffe, name):
    fields = "scale: 2 mean_file: 'm' crop_size: 3 mirror: true"
    old = f"{upgrade_v1.DATA[name]} {{ source: 's' {fields} }} transform_param {{ scale: 5 }}"
    check(real_caffe, f"layers {{ type: {name} {old} }}")
    check(real_caffe, f"layers {{ type: RELU {old} }}")


@pytest.mark.parametrize(
    "text",
    [
        'input: "a" input: "b" input_dim: [1, 2, 3, 4, 5, 6, 7, 8] layer { type: "ReLU" }',
        'input: "a" input_shape { dim: [1, 2, 3] } layer { type: "ReLU" }',
        'input: "a" layer { type: "ReLU" }',
        'layer { type: "BatchNorm" param { lr_mult: 1 } param {} param { name: "x" } }',
        'layer { type: "BatchNorm" param { lr_mult: 1 } param { lr_mult: 1 } }',
        'layer { type: "Scale" param { lr_mult: 1 } param {} param {} }',
        'layer { type: "Data" data_param { scale: 2 mirror: true } }',
    ],
)
def test_newer_nets(real_caffe, text):
    check(real_caffe, text)


@pytest.mark.parametrize(
    "text",
    [
        'layers { type: RELU } layer { type: "ReLU" }',
        'layers { layer { type: "clip" } }',
        'input: "x" layers { layer { name: "p" type: "padding" pad: 1 } bottom: "x" top: "p" } '
        'layers { layer { name: "r" type: "relu" } bottom: "p" top: "r" }',
        'layers { layer { name: "r" type: "relu" } bottom: "p" top: "r" }',
    ],
)
def test_both_refuse(real_caffe, text):
    with pytest.raises(CaffeError, match=r"padding layer 'p'|unknown|Allowed: one form"):
        upgrade_net(parse_text(text, NetParameter()))
    with pytest.raises(RealCaffeRefused, match="upgrade_proto.cpp"):
        real_caffe.upgrade(text, "NetParameter")


@pytest.mark.parametrize(
    "text",
    [
        *(f"solver_type: {value}" for value in range(6)),
        'type: "Adam" snapshot_prefix: "x"',
        "base_lr: 1",
    ],
)
def test_solvers(real_caffe, text):
    ours = upgrade_solver(parse_text(text, SolverParameter()))
    assert ours == SolverParameter.FromString(real_caffe.upgrade(text, "SolverParameter"))
    assert upgrade_solver(ours) == ours


def test_solver_with_both_types(real_caffe):
    text = 'solver_type: ADAM type: "SGD"'
    with pytest.raises(CaffeError, match="solver_type is Adam and type is 'SGD'"):
        upgrade_solver(parse_text(text, SolverParameter()))
    with pytest.raises(RealCaffeRefused, match="cannot be both specified"):
        real_caffe.upgrade(text, "SolverParameter")


@pytest.mark.parametrize("given", ["", "folder", "folder/", "folder/name", "other"])
@pytest.mark.parametrize("name", ["a.prototxt", "a.b.prototxt", "none", "sub.d/a"])
def test_snapshot_prefix(real_caffe, tmp_path, given, name):
    (tmp_path / "folder").mkdir()
    prefix = str(tmp_path / given) if given else ""
    param = SolverParameter(snapshot_prefix=prefix) if prefix else SolverParameter()
    file = str(tmp_path / name)
    real = SolverParameter.FromString(real_caffe.snapshot_prefix(to_text(param), file))
    set_snapshot_prefix(param, file)
    assert param.snapshot_prefix == real.snapshot_prefix


def _kind(path: Path) -> type[NetParameter] | type[SolverParameter]:
    return SolverParameter if "solver" in path.name else NetParameter


def test_definitions_of_the_mirror(real_caffe, mirror):
    files = sorted(mirror.rglob("*.prototxt"))
    assert len(files) > 40
    for file in files:
        message = read_text(file, _kind(file)(), strict=True)
        assert text_format.Parse(to_text(message), type(message)()) == message, file
        ours = upgraded(message)
        real = type(message).FromString(
            real_caffe.upgrade(file.read_text(), message.DESCRIPTOR.name)
        )
        assert ours == real, file
        assert upgraded(ours) == ours, file


def upgraded(message: NetParameter | SolverParameter) -> NetParameter | SolverParameter:
    return upgrade_net(message) if isinstance(message, NetParameter) else upgrade_solver(message)
