"""Old definitions are upgraded, and new ones stay unchanged."""

import logging

import pytest
from google.protobuf import text_format

import caffe
from caffe.errors import NetError, SolverError
from caffe.net_log import upgrades
from caffe.proto.caffe_pb2 import NetParameter, SolverParameter, V1LayerParameter
from caffe.solver_nets import read_solver
from caffe.upgrade import net_needs_upgrade, set_snapshot_prefix, upgrade_net, upgrade_solver
from caffe.upgrade_v1 import TYPES
from tests.caffe.old_nets import V0_NETS, V1_NETS

NEW = """
layer { name: "input" type: "Input" top: "a" top: "b" input_param {
  shape { dim: 1 dim: 2 dim: 3 dim: 4 } shape { dim: 5 dim: 6 dim: 7 dim: 8 } } }
layer { name: "s" type: "Sigmoid" bottom: "a" top: "c" }
"""
SIGMOID = 'layer { name: "s" type: "Sigmoid" bottom: "a" top: "c" }'


def parse(text: str) -> NetParameter:
    return text_format.Parse(text, NetParameter())


@pytest.mark.parametrize(
    "text",
    [
        'input: "a" input: "b" input_dim: [1, 2, 3, 4, 5, 6, 7, 8] ' + SIGMOID,
        'input: "a" input: "b" input_shape { dim: [1, 2, 3, 4] } input_shape { dim: [5, 6, 7, 8] }'
        + SIGMOID,
        NEW,
    ],
)
def test_old_inputs(text):
    assert upgrade_net(parse(text)) == parse(NEW)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('input: "a" input_dim: [1, 2, 3]', "1 input, 0 input_shape and 3 input_dim"),
        ('input: "a" input: "b" input_shape { dim: 1 }', "2 input, 1 input_shape"),
    ],
)
def test_bad_inputs(text, message):
    with pytest.raises(NetError, match=message):
        upgrade_net(parse(text))


OLD = V0_NETS | V1_NETS


@pytest.mark.parametrize("name", sorted(OLD))
def test_upgrading_is_idempotent(name):
    old = parse(OLD[name])
    new = upgrade_net(old)
    assert net_needs_upgrade(old)
    assert not net_needs_upgrade(new)
    assert upgrade_net(new) == new
    assert not new.layers


def test_every_type_of_v1_is_known():
    assert set(TYPES) == set(V1LayerParameter.LayerType.keys())


def test_layers_of_v1():
    net = upgrade_net(parse(V1_NETS["v1: every type"]))
    layers = {layer.name: layer for layer in net.layer}
    assert (
        layers["CONVOLUTION"]
        == parse(
            """layer { name: "CONVOLUTION" type: "Convolution" bottom: "x" top: "CONVOLUTION"
        param { name: "w" share_mode: PERMISSIVE lr_mult: 1 decay_mult: 1 }
        param { name: "b" lr_mult: 2 decay_mult: 0 }
        convolution_param { num_output: 2 kernel_size: 3 } }"""
        ).layer[0]
    )
    assert (
        layers["DATA"]
        == parse(
            """layer { name: "DATA" type: "Data" bottom: "x" top: "DATA" data_param { source: "s" }
        transform_param { scale: 2 mean_file: "m" crop_size: 2 mirror: true } }"""
        ).layer[0]
    )


def test_padding_of_v0_runs_as_part_of_the_layer_above():
    net = upgrade_net(parse(V0_NETS["padding"]))
    assert [layer.name for layer in net.layer] == ["input", "c1", "r1", "m1", "ip", "s"]
    assert list(net.layer[1].convolution_param.pad) == [2]
    assert list(net.layer[1].bottom) == ["x"]
    assert net.layer[3].pooling_param.pad == 1


def test_unknown_settings_of_v0_are_dropped(caplog):
    net = upgrade_net(parse('layers { layer { name: "r" type: "relu" num_output: 3 } }'))
    assert net == parse('layer { name: "r" type: "ReLU" }')
    assert "layer 'r': a layer of type 'relu' has no setting 'num_output'" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('layers { type: RELU } layer { type: "ReLU" }', "1 layer, .* and 1 layers.* one form"),
        ('layers { layer { name: "c" type: "clip" } }', "layer 'c': unknown type 'clip'. Allowed"),
        (
            'input: "x" layers { layer { name: "p" type: "padding" pad: 1 } bottom: "x" top: "p" } '
            'layers { layer { name: "r" type: "relu" } bottom: "p" top: "r" }',
            "padding layer 'p' below layer 'r', which is of type 'relu'. Allowed: conv, pool",
        ),
        (
            'input: "x" layers { layer { name: "p" type: "padding" pad: 1 } bottom: "x" top: "p" } '
            'layers { layer { name: "c" type: "conv" } bottom: "p" bottom: "x" top: "c" }',
            "padding layer 'p' below layer 'c': they have 1 and 2 bottoms. Needed: 1",
        ),
        ('layers { layer { name: "r" type: "relu" } bottom: "q" }', "'q'.*layer 'r'"),
    ],
)
def test_bad_layers(text, message):
    with pytest.raises(NetError, match=message):
        upgrade_net(parse(text))


def test_solver_types():
    old = SolverParameter(solver_type=SolverParameter.RMSPROP, base_lr=1)
    assert upgrade_solver(old) == SolverParameter(type="RMSProp", base_lr=1)
    assert upgrade_solver(upgrade_solver(old)) == upgrade_solver(old)
    with pytest.raises(SolverError, match="solver_type is RMSProp and type is 'SGD'"):
        upgrade_solver(SolverParameter(solver_type=SolverParameter.RMSPROP, type="SGD"))


def test_snapshots_are_named_after_the_solver(tmp_path):
    param = SolverParameter()
    set_snapshot_prefix(param, "some/solver.prototxt")
    assert param.snapshot_prefix == "some/solver"
    param.snapshot_prefix = str(tmp_path)
    set_snapshot_prefix(param, "some/solver.prototxt")
    assert param.snapshot_prefix == f"{tmp_path}/solver"
    set_snapshot_prefix(param, "some/solver.prototxt")
    assert param.snapshot_prefix == f"{tmp_path}/solver"


def test_an_error_names_the_file(tmp_path):
    (tmp_path / "old.prototxt").write_text('layers { layer { name: "c" type: "clip" } }')
    with pytest.raises(NetError, match=r"old.prototxt: layer 'c': unknown type 'clip'"):
        caffe.Net(tmp_path / "old.prototxt", caffe.TEST)


def test_shapes_without_an_input_are_ignored():
    text = "input_dim: 2 input_shape { dim: 3 } " + SIGMOID
    assert list(upgrade_net(parse(text)).layer) == list(parse(SIGMOID).layer)


def test_input_shape_counts_before_input_dim():
    old = text_format.Parse(
        'input: "data" input_shape { dim: 2 dim: 3 } input_dim: 1 input_dim: 1', NetParameter()
    )
    assert list(upgrade_net(old).layer[0].input_param.shape[0].dim) == [2, 3]


FORMS = {
    "V0LayerParameter": 'layers { layer { name: "c" type: "relu" } bottom: "d" top: "c" }',
    "transformation parameters": "layers { type: DATA data_param { scale: 2 } }",
    "V1LayerParameter": 'layers { name: "r" type: RELU bottom: "d" top: "r" }',
    "input fields": 'input: "d" input_dim: 1 input_dim: 1 input_dim: 1 input_dim: 1',
    "using deprecated params": 'layer { type: "BatchNorm" param { } param { } param { } }',
}


@pytest.mark.parametrize("form", FORMS)
def test_upgrades_are_logged_as_in_caffe(caplog, form):
    caplog.set_level(logging.INFO, logger="caffe")
    upgrades(text_format.Parse(FORMS[form], NetParameter()), "a.prototxt")
    first, second = (record.getMessage() for record in caplog.records[:2])
    assert first.startswith("Attempting to upgrade ")
    assert first.endswith(f"{form}: a.prototxt")
    assert second.startswith("Successfully upgraded ")
    caplog.clear()
    upgrades(text_format.Parse('layer { type: "BatchNorm" }', NetParameter()), "a.prototxt")
    assert not caplog.records


def test_a_solver_with_its_type_as_a_number_is_logged(tmp_path, caplog):
    file = tmp_path / "s.prototxt"
    file.write_text("solver_type: ADAM")
    caplog.set_level(logging.INFO, logger="caffe")
    read_solver(file)
    first, *_, note, _ = (record.getMessage() for record in caplog.records)
    old = "deprecated 'solver_type' field (enum)"
    assert first == f"Attempting to upgrade input file specified using {old}': {file}"
    assert note.startswith(
        "Note that future Caffe releases will only support 'type' field (string)"
    )
