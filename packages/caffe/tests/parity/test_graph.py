"""Backward passes, splits and sharing: the same nets in both engines."""

import numpy as np
import pytest

import caffe
from caffe.errors import RealCaffeRefused
from tests.parity.compare import check_net, parse

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(4, 5)).astype(np.float32)
T = RANDOM.normal(size=(4, 5)).astype(np.float32)
HEAD = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 5 } } }
layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 4 dim: 5 } } }
"""


def inner(name: str, bottom: str, top: str, more: str = "") -> str:
    return (
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{top}" {more} '
        'inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }\n'
    )


def layer(kind: str, bottoms: str, tops: str = "", more: str = "") -> str:
    names = " ".join(f'bottom: "{b}"' for b in bottoms.split())
    names += " ".join(f' top: "{t}"' for t in tops.split())
    return f'layer {{ name: "{kind}-{bottoms}-{tops}" type: "{kind}" {names} {more} }}\n'


FROZEN = "param { lr_mult: 0 } param { lr_mult: 0 }"
NETS = {
    "chain": inner("a", "x", "a") + inner("b", "a", "b") + layer("EuclideanLoss", "b t", "l"),
    "in place": inner("a", "x", "a")
    + layer("TanH", "a", "a")
    + layer("Sigmoid", "a", "a")
    + layer("EuclideanLoss", "a t", "l"),
    "frozen below": inner("a", "x", "a", FROZEN)
    + inner("b", "a", "b")
    + layer("EuclideanLoss", "b t", "l"),
    "frozen above": inner("a", "x", "a")
    + inner("b", "a", "b", FROZEN)
    + layer("EuclideanLoss", "b t", "l"),
    "half frozen": inner("a", "x", "a", "param { lr_mult: 0 }")
    + layer("EuclideanLoss", "a t", "l"),
    "all frozen": inner("a", "x", "a", FROZEN) + layer("EuclideanLoss", "a t", "l"),
    "no loss": inner("a", "x", "a") + layer("TanH", "a", "b"),
    "weighted top": inner("a", "x", "a") + layer("TanH", "a", "b", "loss_weight: 0.5"),
    "side branch without loss": inner("a", "x", "a")
    + inner("b", "a", "b")
    + layer("EuclideanLoss", "a t", "l"),
    "two losses": inner("a", "x", "a")
    + inner("b", "a", "b")
    + layer("EuclideanLoss", "a t", "l", "loss_weight: 2")
    + layer("SigmoidCrossEntropyLoss", "b t", "m", "loss_weight: 0.25"),
    "losses without tops": inner("a", "x", "a")
    + layer("EuclideanLoss", "a t")
    + layer("EuclideanLoss", "t a"),
    "loss of weight 0": inner("a", "x", "a") + layer("EuclideanLoss", "a t", "l", "loss_weight: 0"),
    "loss that is used": inner("a", "x", "a")
    + layer("EuclideanLoss", "a t", "l", "loss_weight: 2")
    + layer("Silence", "l"),
    "three uses": inner("a", "x", "a")
    + layer("TanH", "a", "b")
    + layer("Sigmoid", "a", "c")
    + layer("EuclideanLoss", "b t", "l")
    + layer("EuclideanLoss", "c a", "m"),
    "in place, then used twice": inner("a", "x", "a")
    + layer("ReLU", "a", "a")
    + layer("EuclideanLoss", "a t", "l")
    + layer("EuclideanLoss", "x a", "m"),
    "not passed down": inner("a", "x", "a")
    + inner("b", "a", "b", "propagate_down: false")
    + layer("EuclideanLoss", "b t", "l"),
    "not passed down by a layer that learns nothing": inner("a", "x", "a")
    + layer("TanH", "a", "b", "propagate_down: false")
    + layer("EuclideanLoss", "b t", "l"),
    "not passed down on one of two ways": inner("a", "x", "a")
    + layer("TanH", "a", "b", "propagate_down: false")
    + layer("Sigmoid", "a", "c")
    + layer("EuclideanLoss", "b c", "l"),
    "not passed down in place": inner("a", "x", "a")
    + layer("TanH", "a", "a", "propagate_down: false")
    + inner("b", "a", "b")
    + layer("EuclideanLoss", "b t", "l"),
    "passed down to an input": layer("TanH", "x", "y", "propagate_down: true")
    + layer("EuclideanLoss", "y t", "l", "propagate_down: true propagate_down: false"),
    "learnt target": inner("a", "x", "a")
    + inner("b", "t", "b")
    + layer("EuclideanLoss", "a b", "l"),
    "shared weights": inner("a", "x", "a", 'param { name: "w" } param { name: "v" }')
    + inner("b", "a", "b", 'param { name: "w" } param { name: "u" }')
    + inner("c", "b", "c", 'param { name: "w" } param { name: "v" }')
    + layer("EuclideanLoss", "c t", "l"),
    "silenced": inner("a", "x", "a")
    + layer("Silence", "a")
    + inner("b", "x", "b")
    + layer("EuclideanLoss", "b t", "l"),
}


@pytest.mark.parametrize("force", [False, True], ids=["", "forced"])
@pytest.mark.parametrize("name", NETS)
def test_net(real_caffe, measured, name, force):
    text = f"force_backward: {str(force).lower()}" + HEAD + NETS[name]
    measured(check_net(real_caffe, text, {"x": X, "t": T}, tolerance=1e-5))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (layer("TanH", "y", "z"), "unknown bottom blob 'y'"),
        (layer("TanH", "x", "y") + layer("TanH", "t", "y"), "'y' .* produced by multiple sources"),
        (layer("TanH", "x", "y") + layer("TanH", "x", "x"), "'x' .* produced by multiple sources"),
        (layer("Tanh", "x", "y"), "unknown type 'Tanh'"),
        (layer("TanH", "x", "y", "propagate_down: true propagate_down: true"), "propagate_down"),
        (layer("TanH", "x", "y", "param {}"), "1 param"),
        (
            inner("a", "x", "a", 'param { name: "w" lr_mult: 2 }')
            + inner("b", "a", "b", 'param { name: "w" lr_mult: 3 }'),
            "'w' has lr_mult 3",
        ),
        (
            inner("a", "x", "a", 'param { name: "w" }')
            + inner("b", "a", "b", 'param {} param { name: "w" }'),
            "'w' of shape",
        ),
    ],
)
def test_both_refuse(real_caffe, text, message):
    with pytest.raises(caffe.CaffeError, match=message):
        caffe.Net(parse(HEAD + text), caffe.TRAIN)
    with pytest.raises(RealCaffeRefused, match=r"Check failed|Unknown bottom|multiple sources"):
        real_caffe.forward_backward(HEAD + text)
