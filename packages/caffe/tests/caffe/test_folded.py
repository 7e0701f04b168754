"""Layers that run as one give what they give alone, whatever a script looks at or writes."""

import numpy as np
import pytest
import torch
from google.protobuf import text_format

import caffe
from caffe.device import use
from caffe.folded import Folded
from caffe.normalized import Normalized
from caffe.proto.caffe_pb2 import NetParameter
from tests.caffe import stand_in

X = np.random.default_rng(0).normal(size=(2, 4, 7, 6)).astype(np.float32)
SHAPE = "dim: 2 dim: 4 dim: 7 dim: 6"
INPUT = f'layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ {SHAPE} }} }} }}'


def conv(name: str, bottom: str, more: str = "kernel_size: 3 pad: 1") -> str:
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" '
        f'convolution_param {{ num_output: 4 {more} weight_filler {{ type: "msra" }} '
        'bias_filler { type: "gaussian" std: 1 } } }'
    )


def layer(name: str, kind: str, bottom: str, top: str, more: str = "") -> str:
    bottoms = " ".join(f'bottom: "{each}"' for each in bottom.split())
    return f'layer {{ name: "{name}" type: "{kind}" {bottoms} top: "{top}" {more} }}'


SCALE = (
    'scale_param { bias_term: true filler { type: "gaussian" std: 1 } '
    'bias_filler { type: "gaussian" std: 1 } }'
)
# A residual block as ResNet's, in place; its second half with a blob for each layer.
BLOCK = "\n".join(
    [
        INPUT,
        conv("a", "x"),
        layer("a_bn", "BatchNorm", "a", "a"),
        layer("a_scale", "Scale", "a", "a", SCALE),
        layer("a_relu", "ReLU", "a", "a"),
        conv("b", "a", "kernel_size: 1 group: 2 bias_term: false"),
        layer("b_bn", "BatchNorm", "b", "b_bn"),
        layer("b_scale", "Scale", "b_bn", "b_scale", SCALE),
        conv("c", "x", "kernel_size: 1"),
        conv("d", "c", "kernel_size: 3 pad: 1 group: 4"),
        layer("d_bias", "Bias", "d", "d", 'bias_param { filler { type: "gaussian" } }'),
        layer("sum", "Eltwise", "b_scale d", "sum"),
        layer("relu", "ReLU", "sum", "relu"),
        conv("e", "relu"),
        layer("relu6", "ReLU6", "e", "e"),
        conv("f", "e"),
        layer("p", "Power", "f", "p", "power_param { scale: -1 shift: 6 }"),
        layer("q", "ReLU", "p", "p"),
        layer("r", "Power", "p", "r", "power_param { scale: -1 shift: 6 }"),
        layer("s", "ReLU", "r", "r"),
    ]
)


def build(text: str = BLOCK, phase: int = caffe.TEST) -> caffe.Net:
    caffe.set_random_seed(1)
    random = np.random.default_rng(0)
    net = caffe.Net(text_format.Parse(text, NetParameter()), phase)
    for each in net.layers:
        if each.type == "BatchNorm":
            for blob, low in zip(each.blobs, (-1, 1, 2), strict=True):
                values = random.uniform(low, low + 1, blob.shape).astype(np.float32)
                blob.tensor.copy_(torch.from_numpy(values))
    return net


def alone(net: caffe.Net) -> caffe.Net:
    net.before_forward(lambda i: None)
    return net


def everything(net: caffe.Net) -> dict[str, np.ndarray]:
    return {name: blob.data.copy() for name, blob in net.blobs.items()}


def assert_equal(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=2e-5, err_msg=name)


def test_what_is_folded() -> None:
    found = [group for group in build()._groups.values() if isinstance(group, Folded)]
    names = [[step.layer.name for step in group.steps] for group in found]
    assert names == [
        ["a", "a_bn", "a_scale", "a_relu"],
        ["b", "b_bn", "b_scale"],
        ["c"],
        ["d", "d_bias", "sum", "relu"],
        ["e", "relu6"],
        ["f", "p", "q", "r", "s"],
    ]


def test_all_blobs_have_the_same_values() -> None:
    one, each = build(), alone(build())
    one.forward(x=X)
    each.forward(x=X)
    assert_equal(everything(one), everything(each))
    for net in (one, each):  # now that views of all blobs exist
        net.forward(x=-X)
    assert_equal(everything(one), everything(each))


def test_a_blob_between_keeps_the_values_of_its_pass() -> None:
    one, each = build(), alone(build())
    for net in (one, each):
        net.forward(x=X)
        for blobs in net.params.values():
            blobs[0].tensor.mul_(2)
        net.blobs["x"].tensor.zero_()
    each.blobs["x"].data[...] = one.blobs["x"].data[...] = 0
    assert_equal(everything(one), everything(each))


@pytest.mark.parametrize("name", ["a", "a_bn", "a_scale", "b_scale", "d_bias", "d"])
@pytest.mark.parametrize("hold", [False, True])
def test_written_weights_take_effect(name: str, hold: bool) -> None:
    one, each = build(), alone(build())
    held = one.params[name][0].data if hold else None
    one.forward(x=X)
    for net in (one, each):
        net.params[name][0].data[...] += 0.5
    for _ in range(2):
        assert one.forward(x=X)["r"] == pytest.approx(each.forward(x=X)["r"], rel=1e-5, abs=2e-5)
        for net in (one, each):
            net.params[name][0].data[...] *= -1
    assert hold == (held is not None)


def test_shared_weights_take_effect() -> None:
    one, other = build(), build()
    one.forward(x=X)
    other.params["a"][0].tensor.add_(1)
    one.share_with(other)
    assert one.forward(x=X)["r"] == pytest.approx(
        alone(other).forward(x=X)["r"], rel=1e-5, abs=2e-5
    )


def test_another_shape() -> None:
    one, each = build(), alone(build())
    for net in (one, each):
        net.forward(x=X)
        net.blobs["x"].reshape(1, 4, 3, 9)
        net.forward(x=X.ravel()[: 4 * 27].reshape(1, 4, 3, 9))
    assert_equal(everything(one), everything(each))


def test_backward_after_a_folded_pass() -> None:
    one, each = build("force_backward: true\n" + BLOCK), build("force_backward: true\n" + BLOCK)
    alone(each)
    for net in (one, each):
        net.forward(x=X)
        net.backward(r=np.ones_like(net.blobs["r"].data))
        for blobs in net.params.values():
            assert all(np.isfinite(blob.diff).all() for blob in blobs)
    assert one.blobs["x"].diff == pytest.approx(each.blobs["x"].diff, rel=1e-4, abs=1e-4)
    for name in one.params:
        for mine, theirs in zip(one.params[name], each.params[name], strict=True):
            np.testing.assert_allclose(mine.diff, theirs.diff, rtol=1e-4, atol=1e-3)


def test_backward_takes_what_a_script_wrote_after_the_pass() -> None:
    text = "force_backward: true\n" + BLOCK
    one, each = build(text), alone(build(text))
    for net in (one, each):
        net.forward(x=X)
        for name in ("b", "sum"):
            net.blobs[name].data[...] = np.linspace(-1, 1, net.blobs[name].count).reshape(
                net.blobs[name].data.shape
            )
        net.backward(r=np.ones_like(net.blobs["r"].data))
    assert one.blobs["x"].diff == pytest.approx(each.blobs["x"].diff, rel=1e-4, abs=1e-4)
    assert_equal(everything(one), everything(each))


def change(net: caffe.Net, random: np.random.Generator, held: list[object]) -> None:
    """Do one of the things that a script may do between two passes."""
    names = list(net.params)
    blob = net.params[names[random.integers(len(names))]][0]
    between = net.blobs[list(net.blobs)[random.integers(len(net.blobs))]]
    match random.integers(9):
        case 0:
            blob.data[...] *= 1.5
        case 1:
            blob.tensor.mul_(0.5)
        case 2:
            blob.set_data(blob.tensor + 0.25)
        case 3:
            held.append(blob.data)
        case 4:
            held.append(between.data)
        case 5:
            for view in held:
                view *= 0.75  # type: ignore[operator]
        case 6:
            held.clear()
        case 7:
            between.data[...] += 1
        case 8:
            net.blobs["x"].reshape(int(random.integers(1, 3)), 4, 7, 6)


@pytest.mark.parametrize("seed", range(15))
def test_whatever_a_script_does_between_passes(seed: int) -> None:
    nets = build(), alone(build())
    randoms = [np.random.default_rng(seed) for _ in nets]
    held: tuple[list[object], list[object]] = ([], [])
    for _ in range(12):
        for net, random, views in zip(nets, randoms, held, strict=True):
            change(net, random, views)
            for _ in range(2):  # the second one without looking at anything again
                net.run_forward()
        one, each = (net.blobs["r"].tensor for net in nets)  # no view, which would be noticed
        np.testing.assert_allclose(one, each, rtol=1e-5, atol=2e-5)
    assert_equal(everything(nets[0]), everything(nets[1]))


def test_the_first_layers_run_as_one_though_a_script_holds_the_image() -> None:
    text = (
        INPUT + conv("f", "x") + layer("s", "Scale", "f", "s", SCALE) + layer("r", "ReLU", "s", "r")
    )
    one, each = build(text), alone(build(text))
    for net in (one, each):
        image = net.blobs["x"].data
        image[...] = X
        net.run_forward()
        image[...] = 0  # the blobs in between still show the last pass
    assert one.blobs["s"].deferred
    image = one.blobs["x"].data
    for name in ("f", "s", "r"):
        np.testing.assert_allclose(one.blobs[name].data, each.blobs[name].data, atol=2e-5)


def test_a_part_of_the_net() -> None:
    one, each = build(), alone(build())
    for net in (one, each):
        net.forward(x=X)
        net.blobs["a"].data[...] = 1
        net.forward(start="b", end="b_bn")
        net.forward(start="d_bias", end="sum")
    assert_equal(everything(one), everything(each))


def test_the_variable_turns_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAFFE_FUSION", "0")
    net = build()
    assert not any(isinstance(group, Folded) for group in net._groups.values())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('type: "ReLU" bottom: "a"', 'type: "Sigmoid" bottom: "a"'),
        ('top: "a" scale_param {', 'top: "a" scale_param { axis: 2 num_axes: 0'),
        ('top: "a_relu', 'top: "a_relu'),
        ('bottom: "sum" top: "relu"', 'bottom: "sum" top: "relu" relu_param { negative_slope: 2 }'),
        ('top: "sum"', 'top: "sum" eltwise_param { operation: MAX }'),
        ('top: "sum"', 'top: "sum" eltwise_param { coeff: 1 coeff: -1 }'),
    ],
)
def test_similar_layers_give_the_same(old: str, new: str) -> None:
    text = BLOCK.replace(old, new)
    one, each = build(text), alone(build(text))
    one.forward(x=X)
    each.forward(x=X)
    assert_equal(everything(one), everything(each))


class TestOnADevice:
    """The stand-in here, CUDA where there is one."""

    def train(self, where: str) -> dict[str, np.ndarray]:
        """Return all values and gradients of a net in training, after two passes."""
        device = stand_in.device(where)
        use(device)
        try:
            net = build("force_backward: true\n" + BLOCK, caffe.TRAIN)
            assert any(isinstance(group, Normalized) for group in net._groups.values())
            found: dict[str, np.ndarray] = {}
            for _ in range(2):
                net.clear_param_diffs()
                net.forward(x=X)
                net.backward(r=np.linspace(-1, 1, X.size, dtype=np.float32).reshape(X.shape))
            for name, blob in net.blobs.items():
                found |= {name: blob.data.copy(), f"{name}/diff": blob.diff.copy()}
            for name, blobs in net.params.items():
                for i, blob in enumerate(blobs):
                    found |= {f"{name}[{i}]": blob.data.copy(), f"{name}[{i}]/d": blob.diff.copy()}
            return found
        finally:
            use(None)

    def test_training_is_the_same(self) -> None:
        expected, found = self.train("cpu"), self.train(stand_in.OTHER)
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-4, err_msg=name)

    def test_inference_is_the_same(self) -> None:
        each = alone(build())
        each.forward(x=X)
        expected = everything(each)
        use(stand_in.device(stand_in.OTHER))
        try:
            one = build()
            one.forward(x=X)
            assert_equal(everything(one), expected)
            one.params["a"][0].data[...] *= 2
            each.params["a"][0].data[...] *= 2
            found = one.forward(x=X)["r"].copy()
        finally:
            use(None)
        assert found == pytest.approx(each.forward(x=X)["r"], rel=1e-5, abs=2e-5)
