"""RNN and LSTM over several passes in both engines, with continued states and changing batches."""

import numpy as np
import pytest

import caffe
from tests.caffe.layer_case import values
from tests.parity.compare import params, parse, relative_difference
from tests.parity.layers.recurrent import FILLED

STREAMS = [2, 2, 1, 2, 3, 3, 1, 2, 3, 4]


def net_text(kind: str) -> str:
    return f"""
        layer {{ name: "x" type: "Input" top: "x"
          input_param {{ shape {{ dim: 3 dim: 2 dim: 4 }} }} }}
        layer {{ name: "c" type: "Input" top: "c" input_param {{ shape {{ dim: 3 dim: 2 }} }} }}
        layer {{ name: "l" type: "{kind}" bottom: "x" bottom: "c" top: "y"
          recurrent_param {{ num_output: 5 {FILLED} }} }}
    """


@pytest.mark.parametrize("layer_type", ["RNN", "LSTM"])
def test_states_continue_over_passes(real_caffe, measured, layer_type):
    """States start over with more streams than ever; fewer streams keep those of the others."""
    inputs = [
        {"x": values(3, n, 4, seed=i), "c": np.array([[i % 4 != 1] * n] + [[1] * n] * 2)}
        for i, n in enumerate(STREAMS)
    ]
    net = caffe.Net(parse(net_text(layer_type)), caffe.TEST)
    expected = real_caffe.passes(
        net_text(layer_type), len(inputs), ["y"], caffe.TEST, inputs=inputs, params=params(net)
    )
    differences = []
    for given, real in zip(inputs, expected, strict=True):
        for name, array in given.items():
            net.blobs[name].reshape(*array.shape)
            net.blobs[name].data[...] = array
        net.forward()
        differences.append(relative_difference(net.blobs["y"].data, real["y"]))
    assert max(differences) <= 1e-5, differences
    measured(max(differences))
