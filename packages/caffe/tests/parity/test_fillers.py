"""Fillers that draw nothing: the same weights as real Caffe's, for odd and even kernels."""

import numpy as np

import caffe
from tests.caffe.net_case import net

KERNELS = range(1, 9)
LAYERS = "".join(
    f"""layer {{ name: "d{k}" type: "Deconvolution" bottom: "x" top: "d{k}" convolution_param {{
    num_output: 2 group: 2 kernel_size: {k} weight_filler {{ type: "bilinear" }}
    bias_filler {{ type: "constant" value: 0.3 }} }} }}"""
    for k in KERNELS
)
TEXT = f"""layer {{ name: "x" type: "Input" top: "x"
  input_param {{ shape {{ dim: [1, 2, 3, 3] }} }} }} {LAYERS}"""


def test_bilinear_and_constant(real_caffe, measured):
    theirs = real_caffe.forward_backward(TEXT, {"x": np.zeros((1, 2, 3, 3))}, backward=False)
    ours = net(TEXT, caffe.TEST)
    for k in KERNELS:
        for i, blob in enumerate(ours.params[f"d{k}"]):
            expected = theirs[f"param/d{k}/{i}"]
            assert blob.data.shape == expected.shape
            assert np.allclose(blob.data, expected, rtol=0, atol=1e-6)
            measured(np.abs(blob.data - expected).max())
