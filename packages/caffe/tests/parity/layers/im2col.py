"""Im2col."""

from tests.caffe.layer_case import Case, values
from tests.caffe.layers.test_im2col import CASES as ALONE
from tests.parity.layers.inputs import MAPS, X

CASES = [
    *ALONE,
    Case("Im2col", "convolution_param { kernel_size: 3 dilation: 2 pad: 2 stride: 2 }", (MAPS,)),
    Case("Im2col", "convolution_param { kernel_size: 3 pad: 1 force_nd_im2col: true }", (MAPS,)),
]
REFUSED = [
    Case("Im2col", "convolution_param { kernel_size: 1 }", (X,)),
    Case("Im2col", "", (MAPS,)),
    Case("Im2col", "convolution_param { kernel_size: 5 }", (values(1, 1, 4, 3),)),
]
