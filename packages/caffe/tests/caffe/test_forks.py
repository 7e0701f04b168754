"""Fields and types of forks: supported ones run, others name the fork, strict refuses all."""

import pytest

import caffe
from caffe import NetSpec, forks, layers
from caffe.errors import FormatError, LayerError
from caffe.formats import parse_text, read_text, to_text, write_binary
from caffe.layers import registry
from caffe.proto import caffe_pb2, forks_pb2
from caffe.proto.caffe_pb2 import LayerParameter, NetParameter, PoolingParameter, SolverParameter

NORMALIZE = """layer {
  name: "n"
  type: "Normalize"
  norm_param {
    across_spatial: false
    scale_filler {
      value: 20.0
    }
  }
}
"""


def pooling(settings: str) -> str:
    return f'layer {{ name: "p" type: "Pooling" pooling_param {{ {settings} }} }}'


def norm(layer: LayerParameter) -> forks_pb2.NormalizeParameter:
    return forks.extra(layer).norm_param


@pytest.mark.parametrize(
    ("settings", "mode"),
    [
        ("ceil_mode: false", "round_mode: FLOOR"),
        ("ceil_mode: true", ""),
        ("ceil_mode: true round_mode: CEIL", "round_mode: CEIL"),
        ("ceil_mode: false round_mode: FLOOR", "round_mode: FLOOR"),
        ("kernel_size: 3", "kernel_size: 3"),
    ],
)
def test_ceil_mode_becomes_round_mode(settings, mode):
    expected = parse_text(pooling(mode), NetParameter(), strict=True)
    assert parse_text(pooling(settings), NetParameter()) == expected


def test_ceil_mode_in_a_solver_and_in_an_old_layer():
    text = "net_param { layers { type: POOLING pooling_param { ceil_mode: false } } }"
    solver = parse_text(text, SolverParameter())
    assert solver.net_param.layers[0].pooling_param.round_mode == PoolingParameter.FLOOR


def test_ceil_mode_contradicting_round_mode_is_refused():
    with pytest.raises(FormatError, match="ceil_mode False and a different round_mode"):
        parse_text(pooling("ceil_mode: false round_mode: CEIL"), NetParameter())


def test_other_fields_stay_in_the_message(tmp_path):
    net = parse_text(NORMALIZE, NetParameter())
    assert type(net) is NetParameter
    copied = NetParameter()
    copied.CopyFrom(net)
    write_binary(tmp_path / "n.caffemodel", copied)
    again = NetParameter.FromString((tmp_path / "n.caffemodel").read_bytes())
    found = norm(again.layer[0])
    assert (found.across_spatial, found.channel_shared) == (False, True)
    assert found.scale_filler.value == 20
    assert found.eps == pytest.approx(1e-10)
    assert to_text(again) == NORMALIZE
    assert not norm(LayerParameter(name="n")).HasField("across_spatial")


def test_net_spec_returns_plain_caffe_if_possible():
    net = layers.Pooling(layers.DummyData(), ceil_mode=False, kernel_size=2).to_proto()
    assert type(net) is NetParameter
    assert net.layer[1].pooling_param.round_mode == PoolingParameter.FLOOR
    filler = caffe_pb2.FillerParameter(type="xavier")
    net = layers.Convolution(layers.DummyData(), weight_filler=filler).to_proto()
    assert net.layer[1].convolution_param.weight_filler == filler


def test_net_spec_with_a_field_that_only_a_fork_has():
    n = NetSpec()
    n.n = layers.Normalize(ntop=1, across_spatial=False, scale_filler={"value": 20})
    written = n.to_proto()
    assert "norm_param {\n    across_spatial: false" in str(written)
    read = parse_text(str(written), NetParameter())
    assert to_text(read) == to_text(written)
    assert norm(read.layer[0]).scale_filler.value == 20
    n = NetSpec()
    n.n = layers.Normalize(norm_param={"across_spatial": False, "scale_filler": {"value": 20}})
    assert n.to_proto() == written
    assert forks.plain(written, NetParameter) == read


def test_net_accepts_a_message_of_the_superset():
    text = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 } } }'
    net = caffe.Net(parse_text(text, forks.superset(NetParameter)()), caffe.TEST)
    assert net.blobs["x"].shape == (2,)
    with pytest.raises(FormatError, match="a caffe.SolverParameter where a caffe.NetParameter"):
        caffe.Net(SolverParameter(), caffe.TEST)


@pytest.mark.parametrize("strict", [False, True])
def test_error_names_the_fork_of_a_field(tmp_path, strict):
    (tmp_path / "ssd.prototxt").write_text(
        'layer {\n  name: "p"\n  video_data_param { flip: true } }'
    )
    with pytest.raises(
        FormatError,
        match=r'ssd.prototxt:3:3: .*no field named "video_data_param".* It is from the SSD fork '
        r"\(weiliu89/caffe\), not from BVLC Caffe 1.0. \(reading NetParameter\)",
    ):
        read_text(tmp_path / "ssd.prototxt", NetParameter(), strict=strict)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (pooling("ceil_mode: true"), '1:.*"ceil_mode".* It is from several forks, not from BVLC'),
        (NORMALIZE, '4:3: .*"norm_param".* It is from the SSD fork'),
        (
            'layer { name: "r" type: "ReLU6" }',
            "layer 'r': type 'ReLU6' is from forks for MobileNet",
        ),
    ],
)
def test_strict_refuses_what_real_caffe_lacks(text, message):
    with pytest.raises(FormatError, match=message):
        parse_text(text, NetParameter(), strict=True)


@pytest.mark.parametrize("kind", sorted(forks.REFUSED))
def test_error_names_the_fork_of_a_type(kind):
    with pytest.raises(
        LayerError, match=f"layer 'x': type '{kind}' is from .*, not from BVLC Caffe"
    ):
        caffe.Net(parse_text(f'layer {{ name: "x" type: "{kind}" }}', NetParameter()), caffe.TEST)
    assert kind not in registry()
