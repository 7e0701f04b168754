"""ReLU6 in Caffe 1.0's layers runs as one clamp, with the same values in all blobs."""

import numpy as np
import pytest
from google.protobuf import text_format
from numpy.typing import NDArray

import caffe
from caffe.fuse import clamps
from caffe.proto.caffe_pb2 import NetParameter

BOUND = 6
RELU6 = """
force_backward: true
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 4 dim: 5 } } }
layer { name: "c" type: "Convolution" bottom: "x" top: "c"
        convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: "msra" } } }
layer { name: "below" type: "Power" bottom: "c" top: "m" power_param { scale: -1 shift: 6 } }
layer { name: "r1" type: "ReLU" bottom: "m" top: "m" }
layer { name: "back" type: "Power" bottom: "m" top: "y" power_param { scale: -1 shift: 6 } }
layer { name: "r2" type: "ReLU" bottom: "y" top: "y" }
"""
Arrays = dict[str, NDArray[np.float32]]


def net(text: str = RELU6, phase: int = caffe.TEST) -> caffe.Net:
    caffe.set_random_seed(3)
    return caffe.Net(text_format.Parse(text, NetParameter()), phase)


def run(one: caffe.Net, parts: bool, look_first: bool = False) -> Arrays:
    """Run a net forward and backward, unfused if `parts`, and return all its arrays."""
    if parts:
        one.before_forward(lambda i: None)
        one.after_backward(lambda i: None)
    if look_first:
        held = {name: (blob.data, blob.diff) for name, blob in one.blobs.items()}
    random = np.random.default_rng(0)
    one.forward(x=(8 * random.normal(size=(2, 3, 4, 5))).astype(np.float32))
    one.backward(y=random.normal(size=(2, 4, 4, 5)).astype(np.float32))
    found = {f"{name}/data": blob.data.copy() for name, blob in one.blobs.items()}
    found |= {f"{name}/diff": blob.diff.copy() for name, blob in one.blobs.items()}
    found |= {f"w{i}": blob.diff.copy() for i, blob in enumerate(one.params["c"])}
    if look_first:
        for name, (data, diff) in held.items():
            assert np.array_equal(data, found[f"{name}/data"])
            assert np.array_equal(diff, found[f"{name}/diff"])
    return found


@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
@pytest.mark.parametrize("look_first", [False, True])
def test_fused_layers_give_the_same_values_and_gradients(phase: int, look_first: bool) -> None:
    one, four = run(net(phase=phase), False, look_first), run(net(phase=phase), True)
    x = one["c/data"]
    assert (x < 0).any() and (x > BOUND).any() and ((x > 0) & (x < BOUND)).any()  # noqa: PT018
    # The four layers round x to the precision of numbers around 6.
    for name, values in four.items():
        assert one[name] == pytest.approx(values, abs=5e-7, rel=1e-6), name


def test_by_hand() -> None:
    one = net()
    weight, bias = one.params["c"]
    weight.data[...], bias.data[...] = 0, [-1, 1e-9, 4, 7]
    one.forward(x=np.zeros((2, 3, 4, 5), np.float32))
    one.backward(y=np.ones((2, 4, 4, 5), np.float32))
    at = (0, slice(None), 0, 0)
    # Exact: 6 - (6 - 1e-9) would be 0.
    assert one.blobs["y"].data[at] == pytest.approx([0, 1e-9, 4, 6], rel=1e-6, abs=0)
    assert one.blobs["m"].data[at].tolist() == [7, 6, 2, 0]
    assert one.blobs["c"].diff[at].tolist() == [0, 1, 1, 0]
    assert one.blobs["m"].diff[at].tolist() == [0, -1, -1, 0]
    assert one.blobs["y"].diff[at].tolist() == [0, 1, 1, 1]


def test_partial_ranges_run_unfused() -> None:
    one = net()
    one.forward(x=np.full((2, 3, 4, 5), 9, np.float32))
    one.blobs["m"].data[...] = 2
    one.forward(start="r1")
    assert (one.blobs["y"].data == 4).all()
    one.blobs["c"].data[...] = 5
    one.forward(start="below", end="back")
    assert (one.blobs["m"].data == 1).all()
    assert (one.blobs["y"].data == 5).all()


def test_other_shapes() -> None:
    one = net()
    one.forward(x=np.ones((2, 3, 4, 5), np.float32))
    one.blobs["x"].reshape(1, 3, 2, 2)
    one.forward(x=np.ones((1, 3, 2, 2), np.float32))
    expected = np.maximum(6 - one.blobs["c"].data, 0)
    assert one.blobs["m"].data == pytest.approx(expected, rel=1e-6)


def test_clamps_are_found() -> None:
    assert list(clamps(net().steps)) == [2]
    assert clamps(net().steps)[2].bound == BOUND


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('bottom: "m" top: "y" power_param { scale: -1', 'bottom: "m" top: "y" power_param { '),
        ("scale: -1 shift: 6", "scale: -1 shift: 5"),
        ("shift: 6", "shift: -6"),
        ("shift: 6", "shift: 6 power: 2"),
        ('top: "m" }', 'top: "m" relu_param { negative_slope: 0.1 } }'),
        ('bottom: "y" top: "y"', 'bottom: "y" top: "y" loss_weight: 1'),
        ('type: "ReLU" bottom: "y"', 'type: "Sigmoid" bottom: "y"'),
    ],
)
def test_similar_layers_are_not_fused(old: str, new: str) -> None:
    count = -1 if new == "shift: -6" else 1
    assert old in RELU6
    assert clamps(net(RELU6.replace(old, new, count)).steps) == {}
