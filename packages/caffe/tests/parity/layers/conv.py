"""Convolutions."""

from tests.caffe.layer_case import Case, values
from tests.caffe.layers.test_conv import HYPER, LINE, MAP, VOLUME, WINDOWS, settings

MORE = [
    ("kernel_size: 3 pad: 2 stride: 3", MAP),
    ("kernel_size: 2 pad: 3 stride: 3", MAP),
    ("kernel_size: 3 pad: 1 group: 4", MAP),
    ("kernel_size: 1 stride: 2", MAP),
    ("kernel_size: 1 pad: 1", MAP),
    ("kernel_size: 3 pad: 2 dilation: 2 stride: 2", MAP),
    ("kernel_size: 3 pad: 1 force_nd_im2col: true", MAP),
    ("kernel_size: 3 pad_h: 1", MAP),
    ("kernel_size: 3 stride_h: 3 stride_w: 1", MAP),
    ("kernel_size: 2 stride: 2 engine: CAFFE", MAP),
    ("kernel_size: 3 axis: -2", MAP),
    ("kernel_size: 2 axis: 0", MAP[0]),
    ("kernel_size: 4 stride: 2 pad: 3", LINE),
    ("kernel_size: 2 group: 2 pad: 1 dilation: 1 dilation: 2 dilation: 1", VOLUME),
    ("kernel_size: 2 stride: 2 pad: 1 axis: 2", HYPER),
]
CASES = [
    *(
        Case(kind, settings(window, num_output), (x,))
        for window, x in [*WINDOWS, *MORE]
        for kind, num_output in (("Convolution", 4), ("Deconvolution", 4))
    ),
    Case("Convolution", settings("kernel_size: 5 stride: 2"), (values(1, 1, 4, 4),)),
    Case("Convolution", settings("kernel_size: 3 pad: 1"), (MAP, MAP + 1), tops=2, learns=(0, 1)),
    Case("Deconvolution", settings("kernel_size: 3"), (MAP, MAP + 1), tops=2, learns=(0, 1)),
    Case("Convolution", f"propagate_down: false {settings('kernel_size: 3')}", (MAP,)),
    Case("Convolution", f"param {{ lr_mult: 0 }} {settings('kernel_size: 3')}", (MAP,)),
]
NOT_IN_REAL = ["DepthwiseConvolution", "ConvolutionDepthwise"]
REFUSED = [
    *(
        Case("Convolution", f"convolution_param {{ {given} }}", (x,))
        for given, x in (
            ("kernel_size: 1", MAP),
            ("num_output: 1", MAP),
            ("num_output: 1 kernel_size: 0", MAP),
            ("num_output: 1 kernel_h: 2", MAP),
            ("num_output: 1 kernel_size: 2 kernel_h: 2", MAP),
            ("num_output: 1 kernel_size: 2 stride: 1 stride_h: 2 stride_w: 1", MAP),
            ("num_output: 1 kernel_size: 2 pad: 1 pad_h: 2", MAP),
            ("num_output: 1 kernel_size: 2 stride: 0", MAP),
            ("num_output: 1 kernel_size: 2 stride: [1, 2, 1]", MAP),
            ("num_output: 1 kernel_h: 2 kernel_w: 2", LINE),
            ("num_output: 2 kernel_size: 2 group: 3", MAP),
            ("num_output: 3 kernel_size: 2 group: 2", MAP),
            ("num_output: 1 kernel_size: 7", MAP),
            ("num_output: 1 kernel_size: 2 axis: 4", MAP),
        )
    ),
    Case("Deconvolution", settings("kernel_size: 1 pad: 3"), (MAP,)),
    Case("Convolution", settings("kernel_size: 1"), (MAP, MAP[:1]), tops=2),
    Case("Convolution", settings("kernel_size: 1"), (MAP, MAP)),
]
