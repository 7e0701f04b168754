"""Old definitions become new ones, and new ones stay."""

import pytest
from google.protobuf import text_format

from caffe.errors import NetError
from caffe.proto.caffe_pb2 import NetParameter
from caffe.upgrade import upgrade_net

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
def test_inputs(text):
    assert upgrade_net(parse(text)) == parse(NEW)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('input: "a" input_dim: [1, 2, 3]', "1 input, 0 input_shape and 3 input_dim"),
        ('input: "a" input: "b" input_shape { dim: 1 }', "2 input, 1 input_shape"),
        ('input: "a" input_dim: [1, 1, 1, 1] input_shape { dim: 1 }', "one of them"),
    ],
)
def test_bad_inputs(text, message):
    with pytest.raises(NetError, match=message):
        upgrade_net(parse(text))
