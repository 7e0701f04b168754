"""Invalid nets: each raises one clear line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import caffe
from caffe.errors import CaffeError, FormatError, LayerError, NetError
from caffe.proto.caffe_pb2 import NetParameter
from tests.caffe.net_case import net


def file_error(folder: Path, text: str) -> str:
    (folder / "net.prototxt").write_text(text)
    with pytest.raises(FormatError, match="net.prototxt:") as caught:
        caffe.Net(str(folder / "net.prototxt"), caffe.TEST)
    return str(caught.value).split("net.prototxt:")[1]


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ('name: "n"\nlayer {\n  nam: "x"\n}', "3:3:", '"nam"'),
        ('name: "n"\nlayer { name: 5 }', "2:15:", "5"),
        ("layer { phase: TRIAN }", "1:16:", "TRIAN"),
        ('layer {\n name: "x"\n', "2:8:", "}"),
        ('layer { name: "x }', "1:15:", '"x }'),
        ("# '\\q'\nname: 'a#\\n' name: 'b\\q'", "2:22:", r"\q is not a valid escape"),
        (r"name: '\8'", "1:8:", r"\8 is not a valid escape"),
        (r"name: '\777'", "1:8:", r"\777 is not a valid escape"),
    ],
)
def test_text_errors_give_line_and_column(tmp_path, text, where, what):
    message = file_error(tmp_path, text)
    assert message.startswith(where)
    assert what in message
    assert "\n" not in message


@given(st.text(max_size=40))
def test_any_text_is_a_net_or_a_clear_error(text):
    try:
        net_from = caffe.formats.parse_text(text, NetParameter(), "some.prototxt")
    except FormatError as error:
        assert str(error).startswith("some.prototxt:")  # noqa: PT017 - random text may be valid
    else:
        assert isinstance(net_from, NetParameter)


X_INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 } } }'


@pytest.mark.parametrize(
    ("error", "text", "message"),
    [
        (
            NetError,
            'layer { name: "s" type: "Sigmoid" bottom: "x" top: "y" }',
            r"unknown bottom blob 'x' \(layer 's', bottom index 0\)$",
        ),
        (
            NetError,
            'layer { name: "s" type: "Sigmoid" bottom: "b" top: "a" } '
            'layer { name: "t" type: "Sigmoid" bottom: "a" top: "b" }',
            r"unknown bottom blob 'b' \(layer 's', bottom index 0\). Layer 't' produces it and "
            "depends on it: a cycle$",
        ),
        (
            NetError,
            'layer { name: "s" type: "Sigmoid" bottom: "s" top: "s" }',
            r"unknown bottom blob 's' \(layer 's', bottom index 0\). Layer 's' .* a cycle$",
        ),
        (
            NetError,
            'layer { name: "s" type: "Sigmoid" bottom: "x" top: "a" } ' + X_INPUT,
            r"unknown bottom blob 'x' \(layer 's', .*Layer 'x' produces it, but comes later$",
        ),
        (
            NetError,
            X_INPUT + 'layer { name: "s" type: "Split" bottom: "x" top: "a" top: "a" }',
            r"top blob 'a' \(layer 's'\) is produced by multiple sources",
        ),
        (
            NetError,
            X_INPUT + 'layer { name: "y" type: "Sigmoid" bottom: "x" top: "y" }'
            'layer { name: "z" type: "TanH" bottom: "y" top: "x" }',
            r"top blob 'x' \(layer 'z'\) is produced by multiple sources",
        ),
        (
            NetError,
            X_INPUT + 'layer { name: "y" type: "Sigmoid" bottom: "x" top: "y" }'
            'layer { name: "z" type: "TanH" bottom: "x" top: "x" }',
            r"top blob 'x' \(layer 'z'\) is produced by multiple sources",
        ),
        (
            LayerError,
            X_INPUT + 'layer { name: "s" type: "Sigmoyd" bottom: "x" top: "y" }',
            "layer 's': unknown type 'Sigmoyd'; did you mean Sigmoid",
        ),
        (
            LayerError,
            X_INPUT + 'layer { name: "s" type: "Sigmoid" bottom: "x" top: "y" top: "z" }',
            r"layer 's' \(Sigmoid\): has 2 top blobs. Allowed: 1",
        ),
        (
            NetError,
            'layer { name: "x" type: "Input" top: "x" include {} exclude {} }',
            "layer 'x': has include and exclude rules",
        ),
        (
            LayerError,
            X_INPUT + 'layer { name: "s" type: "Sigmoid" bottom: "x" top: "y" '
            "propagate_down: true propagate_down: true }",
            "layer 's' .*1 bottoms and 2 propagate_down",
        ),
        (
            LayerError,
            X_INPUT + 'layer { name: "s" type: "Sigmoid" bottom: "x" top: "y" param {} }',
            "layer 's' .*0 parameter blobs and 1 param",
        ),
        (
            CaffeError,
            'layer { name: "x" type: "Input" top: "x" '
            "input_param { shape { dim: 1048576 dim: 1048576 } } }",
            r"layer 'x'.*\(1048576, 1048576\)",
        ),
    ],
)
def test_bad_nets(error, text, message):
    with pytest.raises(error, match=message):
        net(text)


def test_inputs_that_no_longer_fit():
    made = net()
    made.blobs["x"].reshape(2, 5)
    for call in (made.reshape, made.forward):
        with pytest.raises(LayerError, match=r"layer 'ip1'.*\(2, 5\).*have 3"):
            call()
