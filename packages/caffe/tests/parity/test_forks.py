"""Fields of forks: real Caffe refuses them, as `strict` does, and reads what we write."""

import numpy as np
import pytest

import caffe
from caffe.errors import FormatError, RealCaffeRefused
from caffe.formats import parse_text, to_text
from caffe.proto.caffe_pb2 import NetParameter
from tests.parity.compare import ours

INPUT = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [1, 2, 6, 6] } } }
"""
X = np.random.default_rng(0).normal(size=(1, 2, 6, 6)).astype("f")


def pooling(settings: str) -> str:
    return f"""{INPUT} layer {{ name: "p" type: "Pooling" bottom: "x" top: "p" pooling_param {{
    kernel_size: 3 stride: 2 {settings} }} }}"""


def layer(rest: str) -> str:
    return f'{INPUT} layer {{ name: "l" bottom: "x" top: "l" {rest} }}'


@pytest.mark.parametrize(
    "text",
    [
        pooling("ceil_mode: false"),
        pooling("ceil_mode: true"),
        layer('type: "Normalize" norm_param { across_spatial: false }'),
        layer('type: "Normalize"'),
        layer('type: "ReLU6"'),
        layer('type: "PriorBox" prior_box_param { min_size: 1 }'),
        layer('type: "Interp" interp_param { zoom_factor: 2 }'),
        layer('type: "DepthwiseConvolution" convolution_param { num_output: 2 kernel_size: 1 }'),
    ],
)
def test_both_refuse_when_strict(real_caffe, text):
    with pytest.raises(FormatError, match=r"fork.*, not from BVLC Caffe 1\.0"):
        parse_text(text, NetParameter(), strict=True)
    with pytest.raises(RealCaffeRefused, match=r"Failed to parse NetParameter|Unknown layer type"):
        real_caffe.forward_backward(text, {"x": X})


@pytest.mark.parametrize(
    ("settings", "size"), [("ceil_mode: false", 2), ("ceil_mode: true", 3), ("", 3)]
)
def test_real_caffe_reads_what_we_write(real_caffe, settings, size):
    net = parse_text(pooling(settings), NetParameter())
    found = ours(caffe.Net(net, caffe.TEST), {"x": X}, backward=False)["data/p"]
    real = real_caffe.forward_backward(to_text(net), {"x": X}, phase=1, backward=False)["data/p"]
    assert found.shape == real.shape == (1, 2, size, size)
    assert np.array_equal(found, real)
