"""Every layer alone in both engines, over its settings: a line in CASES is a test.

A layer stands between Input layers and the losses of its tops; `force_backward` brings the gradient
of every bottom.
"""

import numpy as np
import pytest

import caffe
from caffe.errors import CaffeError
from caffe.layers import registry
from tests.caffe.layer_case import Case, labels, values
from tests.caffe.layers.test_shape import RESHAPES
from tests.parity.compare import check_net, parse
from tests.parity.real_caffe import Refused

X = values(4, 6)
MAPS = values(2, 3, 4, 5)
MAP_LABELS = np.random.default_rng(0).integers(0, 3, (2, 4, 5)).astype(np.float64)
CLASSES = labels(2, 0, 5, 2)
TARGETS = np.random.default_rng(1).random((4, 6))
IGNORING = np.where(TARGETS < 0.4, 255, TARGETS)
FILLED = 'weight_filler { type: "gaussian" } bias_filler { type: "gaussian" }'
MODES = [f"loss_param {{ normalization: {m}" for m in ("FULL", "VALID", "BATCH_SIZE", "NONE")]


def inner(settings: str, x: np.ndarray) -> Case:
    return Case("InnerProduct", f"inner_product_param {{ {settings} {FILLED} }}", (x,))


CASES = [
    inner("num_output: 3", X),
    inner("num_output: 3 bias_term: false", X),
    inner("num_output: 3 transpose: true", X),
    inner("num_output: 3", MAPS),
    inner("num_output: 3 axis: 2", MAPS),
    inner("num_output: 3 axis: -1 transpose: true", MAPS),
    inner("num_output: 3 axis: 0", X),
    *(
        Case(kind, bottoms=(MAPS,), in_place=in_place)
        for in_place in (False, True)
        for kind in ("Sigmoid", "TanH", "ReLU")
    ),
    Case("ReLU", "relu_param { negative_slope: 0.1 }", (MAPS,)),
    Case("ReLU", "relu_param { negative_slope: 0.1 }", (MAPS,), in_place=True),
    Case("Dropout", bottoms=(X,), phase=caffe.TEST),
    *(Case("Softmax", f"softmax_param {{ axis: {axis} }}", (MAPS,)) for axis in (0, 1, 2, -1)),
    Case("SoftmaxWithLoss", bottoms=(X, CLASSES)),
    Case("SoftmaxWithLoss", "loss_weight: 3", (X, CLASSES)),
    Case("SoftmaxWithLoss", "loss_param { normalize: false }", (MAPS, MAP_LABELS)),
    Case("SoftmaxWithLoss", "softmax_param { axis: -1 }", (X, CLASSES)),
    Case("SoftmaxWithLoss", "softmax_param { axis: 0 }", (values(6, 6), labels(0, 1, 2, 3, 4, 5))),
    Case("SoftmaxWithLoss", "loss_param { ignore_label: 2 }", (X, labels(2, 2, 2, 2))),
    *(
        # A second top cannot be compared: the wheel refuses it, whatever its loss_weight.
        Case("SoftmaxWithLoss", f"{mode} ignore_label: 1 }}", (MAPS, MAP_LABELS))
        for mode in MODES
    ),
    Case("SigmoidCrossEntropyLoss", bottoms=(X, TARGETS)),
    Case("SigmoidCrossEntropyLoss", "loss_weight: 0.5", (MAPS, values(2, 3, 4, 5, low=0, high=1))),
    *(
        Case("SigmoidCrossEntropyLoss", f"{mode} ignore_label: 255 }}", (X, IGNORING))
        for mode in MODES
    ),
    Case("EuclideanLoss", bottoms=(X, TARGETS), learns=(0, 1)),
    Case("EuclideanLoss", bottoms=(values(4, 6, 1, 1), TARGETS), learns=(0, 1)),
    Case("Accuracy", bottoms=(X, CLASSES), learns=()),
    Case("Accuracy", bottoms=(np.round(X), CLASSES), tops=2, learns=()),  # equal scores
    Case("Accuracy", "accuracy_param { top_k: 3 }", (X, CLASSES), learns=()),
    Case("Accuracy", "accuracy_param { top_k: 2 ignore_label: 1 }", (MAPS, MAP_LABELS), 2, ()),
    Case("Accuracy", "accuracy_param { axis: 0 }", (values(6, 2), labels(5, 1)), learns=()),
    Case("Split", bottoms=(X,), tops=3),
    *(
        Case("Flatten", f"flatten_param {{ {settings} }}", (MAPS,))
        for settings in ("", "axis: 2", "axis: 0 end_axis: -2", "axis: 1 end_axis: 1")
    ),
    *(
        Case("Reshape", f"reshape_param {{ {settings} }}", (values(2, 3, 4),))
        for settings, _ in RESHAPES
    ),
    Case("Silence", bottoms=(X, MAPS), tops=0, learns=()),
]
# Their parity is that of the nets they feed, in test_mlp.py; the drawn numbers are not Caffe's.
SOURCES = {"Input", "DummyData", "MemoryData", "HDF5Data"}


def net_text(case: Case) -> str:
    """Return the layer's net: its bottoms as inputs, its tops as outputs."""
    inputs = [
        f'layer {{ name: "b{i}" type: "Input" top: "b{i}" input_param {{ shape {{ '
        f"{' '.join(f'dim: {n}' for n in given.shape)} }} }} }}"
        for i, given in enumerate(case.bottoms)
    ]
    bottoms = " ".join(f'bottom: "b{i}"' for i in range(len(case.bottoms)))
    tops = " ".join(f'top: "{"b" if case.in_place else "t"}{i}"' for i in range(case.tops))
    force = "force_backward: true" if case.learns else ""
    layer = f'layer {{ name: "l" type: "{case.type}" {bottoms} {tops} {case.settings} }}'
    return "\n".join([force, *inputs, layer])


def test_every_type_has_a_case():
    assert {case.type for case in CASES} | SOURCES == set(registry())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_layer(real_caffe, measured, case):
    text = net_text(case)
    inputs = {f"b{i}": given for i, given in enumerate(case.bottoms)}
    net = caffe.Net(parse(text), case.phase)
    diffs = {
        name: values(*net.blobs[name].shape, seed=3 + i)
        for i, name in enumerate(net.outputs)
        if case.learns and not net.blob_loss_weights[name] and name not in inputs
    }
    measured(check_net(real_caffe, text, inputs, diffs, phase=case.phase, tolerance=1e-5))


@pytest.mark.parametrize(
    "case",
    [
        Case("InnerProduct", "inner_product_param { num_output: 3 axis: 2 }", (X,)),
        Case("InnerProduct", "inner_product_param { num_output: 3 }", (X, X)),
        Case("Sigmoid", bottoms=(X,), tops=2),
        Case("SoftmaxWithLoss", bottoms=(X, labels(1, 2, 3))),
        Case("SigmoidCrossEntropyLoss", bottoms=(X, values(4, 5))),
        Case("EuclideanLoss", bottoms=(X, values(4, 5))),
        Case("Accuracy", "accuracy_param { top_k: 7 }", (X, CLASSES)),
        Case("Flatten", "flatten_param { axis: 2 }", (X,)),
        Case("Reshape", "reshape_param { shape { dim: 5 dim: -1 } }", (X,)),
        Case("Reshape", "reshape_param { shape { dim: 5 } }", (X,)),
        Case("Reshape", "reshape_param { shape { dim: 0 dim: 0 dim: 0 } }", (X,)),
        Case("Reshape", "reshape_param { axis: 3 }", (X,)),
        Case("Accuracy", bottoms=(X, labels(1, 2, 3, 4, 5))),
    ],
    ids=str,
)
def test_what_both_refuse(real_caffe, case):
    text = net_text(case)
    with pytest.raises(CaffeError, match="layer 'l'"):
        caffe.Net(parse(text), case.phase)
    with pytest.raises(Refused, match="Check failed"):
        real_caffe.forward_backward(text)
