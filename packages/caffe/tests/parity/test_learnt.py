"""Layers between learning layers and a loss in both engines: untestable for a single layer.

Gradients of what has no force_backward, which bottoms may have one, and what layers learn.
"""

import numpy as np
import pytest

import caffe
from caffe.errors import LayerError, RealCaffeRefused
from caffe.formats import set_blob, write_binary
from caffe.proto.caffe_pb2 import BlobProto
from tests.caffe.layer_case import Case, labels, values
from tests.parity.compare import check_net, ours, parse
from tests.parity.layers.embed import WORDS
from tests.parity.layers.information import GAINS, INFOGAIN
from tests.parity.layers.inputs import CLASSES, FILLED, TARGETS, X


def given(name: str, value: np.ndarray) -> str:
    dims = " ".join(f"dim: {size}" for size in value.shape)
    shape = f"input_param {{ shape {{ {dims} }} }}"
    return f'layer {{ name: "{name}" type: "Input" top: "{name}" {shape} }}'


def learning(bottom: str, top: str, size: int) -> str:
    """Return an InnerProduct over the last axis, without bias: the gradient of that may be 0."""
    return (
        f'layer {{ name: "{top}" type: "InnerProduct" bottom: "{bottom}" top: "{top}" '
        f"inner_product_param {{ num_output: {size} axis: -1 bias_term: false {FILLED} }} }}"
    )


def layer(kind: str, bottoms: str, top: str, settings: str = "") -> str:
    names = " ".join(f'bottom: "{name}"' for name in bottoms.split())
    return f'layer {{ name: "l" type: "{kind}" {names} top: "{top}" {settings} }}'


def above_learnt(case: Case) -> tuple[str, dict[str, np.ndarray]]:
    """Return the net of a loss whose first bottom comes from a layer that learns."""
    inputs = {f"b{i}": value for i, value in enumerate(case.bottoms)}
    names = " ".join(["y", *list(inputs)[1:]])
    text = [given(*pair) for pair in inputs.items()]
    text += [learning("b0", "y", case.bottoms[0].shape[-1])]
    return "\n".join([*text, layer(case.type, names, "loss", case.settings)]), inputs


@pytest.mark.parametrize("case", [case for case in INFOGAIN if case.tops == 1], ids=str)
def test_infogain(real_caffe, measured, case):
    measured(check_net(real_caffe, *above_learnt(case)))


@pytest.mark.parametrize("settings", ["", "loss_param { ignore_label: 5 normalization: FULL }"])
def test_infogain_from_a_file(real_caffe, measured, tmp_path, settings):
    gains = BlobProto()
    set_blob(gains, GAINS.reshape(1, 1, 6, 6))
    write_binary(tmp_path / "gains.binaryproto", gains)
    settings += f' infogain_loss_param {{ source: "{tmp_path}/gains.binaryproto" }}'
    measured(check_net(real_caffe, *above_learnt(Case("InfogainLoss", settings, (X, CLASSES)))))


@pytest.mark.parametrize("bias", ["", "bias_term: false"])
@pytest.mark.parametrize("words", [WORDS, labels(0, 0, 0, 0, 7, 7)], ids=["words", "repeated"])
def test_embed(real_caffe, measured, bias, words):
    target = values(*words.shape, 3)
    text = [
        given("x", words),
        given("t", target),
        layer("Embed", "x", "y", f"embed_param {{ input_dim: 8 num_output: 3 {bias} {FILLED} }}"),
        'layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }',
    ]
    measured(check_net(real_caffe, "\n".join(text), {"x": words, "t": target}))


@pytest.mark.parametrize("times", [1, 2], ids=["once", "split"])
def test_parameter(real_caffe, measured, times):
    shape = "parameter_param { shape { dim: 4 dim: 6 } }"
    text = [given("t", X), layer("Parameter", "", "p", shape)]
    text += [
        f'layer {{ name: "loss{i}" type: "EuclideanLoss" bottom: "p" bottom: "t" top: "loss{i}" '
        f"loss_weight: {i + 1} }}"
        for i in range(times)
    ]
    measured(check_net(real_caffe, "\n".join(text), {"t": X}))


SIDES = [
    Case("EuclideanLoss"),
    Case("ContrastiveLoss", "contrastive_loss_param { margin: 9 }", (labels(0, 1, 0, 1),)),
    Case("Eltwise", "loss_weight: 1 eltwise_param { operation: PROD }"),
    Case("Eltwise", "loss_weight: 1 eltwise_param { coeff: 2 coeff: 3 }"),
    Case("Eltwise", "loss_weight: 1 eltwise_param { operation: MAX }"),
]


@pytest.mark.parametrize("case", SIDES, ids=str)
@pytest.mark.parametrize("sides", [(True, False), (False, True), (False, False)], ids=str)
def test_one_side_only(real_caffe, measured, case, sides):
    wanted = [*sides, *[False] * len(case.bottoms)]
    settings = " ".join(f"propagate_down: {str(side).lower()}" for side in wanted)
    names = " ".join(["u", "v", "alike"][: len(wanted)])
    inputs = {"x": X, "z": TARGETS} | dict(zip(["alike"], case.bottoms, strict=False))
    text = [given(*pair) for pair in inputs.items()]
    text += [learning("x", "u", 5), learning("z", "v", 5)]
    text += [layer(case.type, names, "loss", f"{case.settings} {settings}")]
    measured(check_net(real_caffe, "\n".join(text), inputs))


@pytest.mark.parametrize(
    ("case", "which"),
    [
        (Case("SoftmaxWithLoss", bottoms=(X, CLASSES)), 1),
        (Case("SigmoidCrossEntropyLoss", bottoms=(X, TARGETS)), 1),
        (Case("HingeLoss", bottoms=(X, CLASSES)), 1),
        (Case("MultinomialLogisticLoss", bottoms=(np.abs(X), CLASSES)), 1),
        (Case("InfogainLoss", bottoms=(X, CLASSES, GAINS)), 1),
        (Case("InfogainLoss", bottoms=(X, CLASSES, GAINS)), 2),
    ],
    ids=lambda case: case.type if isinstance(case, Case) else None,
)
def test_both_refuse_missing_gradients(real_caffe, case, which):
    """Labels, or Infogain's matrix, that would need a gradient."""
    inputs = {f"b{i}": value for i, value in enumerate(case.bottoms)}
    text = [given(*pair) for pair in inputs.items()]
    flags = " ".join(f"propagate_down: {str(i == which).lower()}" for i in range(len(inputs)))
    text += [learning("b0", "y", 6)]
    text += [layer(case.type, " ".join(["y", *list(inputs)[1:]]), "loss", flags)]
    net = caffe.Net(parse("\n".join(text)), caffe.TRAIN)
    with pytest.raises(LayerError, match="layer 'l' .*: cannot backpropagate to its (label|infog)"):
        ours(net, inputs)
    with pytest.raises(RealCaffeRefused, match="cannot backpropagate to (label|infogain) inputs"):
        real_caffe.forward_backward("\n".join(text), inputs)
