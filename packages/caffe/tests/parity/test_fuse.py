"""ReLU6 in Caffe 1.0's layers: our fused clamp against real Caffe's four layers."""

import numpy as np
from google.protobuf import text_format

import caffe
from caffe import layers as L
from caffe.fuse import clamps
from caffe.net_spec import Top
from caffe.proto.caffe_pb2 import NetParameter
from tests.parity.compare import assert_equal, ours, params


def relu6(n: caffe.NetSpec, bottom: Top, name: str) -> Top:
    """Add min(max(x, 0), 6) as relu(6 - relu(6 - x)), in layers that Caffe 1.0 has."""
    n[f"{name}/below6"] = L.Power(bottom, scale=-1, shift=6)
    n[f"{name}/relu_below6"] = L.ReLU(n[f"{name}/below6"], in_place=True)
    n[f"{name}/relu6"] = L.Power(n[f"{name}/relu_below6"], scale=-1, shift=6)
    n[f"{name}/relu"] = L.ReLU(n[f"{name}/relu6"], in_place=True)
    return n[f"{name}/relu"]


def definition() -> NetParameter:
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [2, 3, 6, 5]})
    x = n.data
    for name in ("first", "second"):
        n[name] = L.Convolution(
            x, num_output=4, kernel_size=3, pad=1, weight_filler={"type": "gaussian", "std": 1}
        )
        x = relu6(n, n[name], name)
    net = n.to_proto()
    net.force_backward = True
    return net


def test_relu6_forward_and_backward(real_caffe, measured):
    caffe.set_random_seed(1)
    net = caffe.Net(definition(), caffe.TEST)
    assert len(clamps(net.steps)) == 2
    random = np.random.default_rng(0)
    data = random.normal(size=(2, 3, 6, 5)).astype(np.float32)
    diff = random.normal(size=(2, 4, 6, 5)).astype(np.float32)
    expected = real_caffe.forward_backward(
        text_format.MessageToString(definition()),
        {"data": data},
        params(net),
        {"second/relu6": diff},
    )
    found = ours(net, {"data": data}, {"second/relu6": diff})
    for name in ("first", "second"):
        assert (expected[f"data/{name}/relu6"] == 6).any()
        assert (expected[f"data/{name}/relu6"] == 0).any()
    measured(assert_equal(found, expected, 2e-6))
