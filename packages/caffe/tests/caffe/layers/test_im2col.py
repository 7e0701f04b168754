"""Im2col."""

import numpy as np
import pytest

from caffe.errors import LayerError
from tests.caffe.layer_case import Alone, Case, run, values

X = np.arange(1.0, 10).reshape(1, 1, 3, 3)
CASES = [
    Case("Im2col", f"convolution_param {{ {settings} }}", (x,))
    for settings, x in (
        ("kernel_size: 2", values(2, 3, 3, 4)),
        ("kernel_size: 3 stride: 2 pad: 1", values(2, 2, 4, 5)),
        ("kernel_h: 2 kernel_w: 3 dilation: 2 pad_h: 2 pad_w: 3", values(1, 2, 4, 5)),
        ("kernel_size: 3 pad: 2", values(2, 2, 5)),
        ("kernel_size: 2 axis: 2", values(2, 2, 2, 5)),
        ("kernel_size: 2 stride: 1 stride: 2 stride: 1", values(1, 2, 3, 4, 3)),
        ("kernel_size: 2 pad: 1", values(1, 1, 2, 2, 1, 2)),
    )
]


def test_by_hand():
    case = Case("Im2col", "convolution_param { kernel_size: 2 }", (X,))
    tops, bottoms = run(case, np.ones((1, 4, 2, 2)))
    assert tops[0][0].tolist() == [[[1, 2], [4, 5]], [[2, 3], [5, 6]], [[4, 5], [7, 8]],
                                   [[5, 6], [8, 9]]]  # fmt: skip
    assert bottoms[0].tolist() == [[[[1, 2, 1], [2, 4, 2], [1, 2, 1]]]]


def test_channels_come_before_the_kernel():
    x = np.concatenate([X, X + 10], axis=1)
    tops, _ = run(Case("Im2col", "convolution_param { kernel_size: 3 }", (x,)))
    assert tops[0].ravel().tolist() == [*range(1, 10), *range(11, 20)]


@pytest.mark.parametrize(
    ("settings", "shape", "message"),
    [
        ("kernel_size: 1", (2, 3), r"bottom of shape \(2, 3\) has nothing after its channels"),
        ("", (2, 3, 4), "kernel_size is given 0 times. Allowed: once"),
    ],
)
def test_bad_settings(settings, shape, message):
    with pytest.raises(LayerError, match=f"layer 'layer' .Im2col.: .*{message}"):
        Alone(Case("Im2col", f"convolution_param {{ {settings} }}", (values(*shape),)))


def test_a_bottom_of_other_axes_is_refused():
    alone = Alone(Case("Im2col", "convolution_param { kernel_size: 1 }", (X,)))
    alone.bottom[0].reshape(9, 1)
    with pytest.raises(LayerError, match=r"bottom has shape \(9, 1\). Needed: 4 axes"):
        alone.layer.reshape(alone.bottom, alone.top)
