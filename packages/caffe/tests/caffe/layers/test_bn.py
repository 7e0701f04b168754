"""BN, of SegNet and of PSPNet."""

import numpy as np
import pytest

import caffe
from caffe.errors import LayerError
from tests.caffe.layer_case import Alone, Case, values

X = values(3, 2, 2, 2)
UNIT = 'slope_filler { type: "uniform" min: 0.5 max: 2 } bias_filler { type: "gaussian" }'
SEGNET = 'scale_filler { type: "uniform" min: 0.5 max: 2 } shift_filler { type: "gaussian" }'
CASES = [
    Case("BN", f"bn_param {{ {SEGNET} }}", (X,)),
    Case("BN", f"bn_param {{ {SEGNET} bn_mode: INFERENCE }}", (X,)),
    Case("BN", f"bn_param {{ {UNIT} }}", (X,)),
    Case("BN", f"bn_param {{ {UNIT} }}", (values(4, 3),)),
    Case("BN", f"bn_param {{ {UNIT} }}", (X,), phase=caffe.TEST, learns=()),
]


def normalized(x: np.ndarray, eps: float) -> np.ndarray:
    mean, variance = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    return (x - mean) / np.sqrt(variance + eps)


def test_segnet():
    alone = Alone(Case("BN", "bn_param { bn_mode: LEARN }", (X,)))
    assert [blob.shape for blob in alone.layer.blobs] == [(1, 2, 1, 1)] * 2
    assert alone.forward()[0] == pytest.approx(normalized(X, 1e-9))
    alone = Alone(Case("BN", "bn_param { bn_mode: INFERENCE }", (X,)))
    alone.layer.blobs[0].data[...] = 2
    alone.layer.blobs[1].data[...] = -1
    assert alone.forward()[0] == pytest.approx(2 * X - 1)


def test_pspnet_moves_its_statistics_and_uses_them_in_testing():
    alone = Alone(Case("BN", "bn_param { momentum: 0.9 }", (X,)))
    assert alone.forward()[0] == pytest.approx(normalized(X, 1e-5))
    mean, variance = (blob.data.ravel() for blob in alone.layer.blobs[2:])
    assert mean == pytest.approx(0.1 * X.mean((0, 2, 3)))
    assert variance == pytest.approx(0.1 * X.var((0, 2, 3)))  # it begins at 0
    assert [blob.shape for blob in alone.layer.blobs] == [(1, 2)] * 4
    frozen = Alone(Case("BN", "bn_param { frozen: true }", (X,)))
    assert frozen.layer.blobs[3].data.tolist() == [[1, 1]]
    for settings, phase in (("", caffe.TEST), ("frozen: true", caffe.TRAIN)):
        alone = Alone(Case("BN", f"bn_param {{ eps: 0 {settings} }}", (X,), phase=phase))
        alone.layer.blobs[2].data[...], alone.layer.blobs[3].data[...] = 1, 4
        assert alone.forward()[0] == pytest.approx((X - 1) / 2)
        assert [spec.lr_mult for spec in alone.layer.param.param][2:] == [0, 0]


def test_other_channels_are_refused():
    alone = Alone(CASES[0])
    alone.bottom[0].reshape(2, 3, 2, 2)
    with pytest.raises(LayerError, match="Needed: 2 channels"):
        alone.layer.reshape(alone.bottom, alone.top)
