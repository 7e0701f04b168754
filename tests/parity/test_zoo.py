"""The zoo's nets in both engines: random weights, forward and backward; SqueezeNet with its own."""

from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

import caffe
from ripen.data import image_input
from ripen.data.decode import decode as read_image
from ripen.data.image_input import Input
from ripen.nets.zoo import DEFINITIONS
from ripen.nets.zoo.squeezenet import decode
from tests.parity.compare import Arrays, assert_equal, ours, params, state

SQUEEZENET = Input(
    height=227, width=227, channel_order="BGR", raw_scale=255.0, mean=[104.0, 117.0, 123.0]
)


def forward_at(net: caffe.Net, values: Arrays) -> None:
    """Run every layer forward on real Caffe's values of its bottoms, and leave real Caffe's tops.

    In nets as large as these some of a million maxima and kinks is always so near to a tie that
    rounding decides it, and from there on down gradients differ; at the same values they may not.
    The layers in place here change nothing when they run again.
    """

    def take(i: int) -> None:
        for name in net.bottom_names[net.layers[i].name]:
            net.blobs[name].data[...] = values[f"data/{name}"]

    net.before_forward(take)
    net.forward()
    for name, blob in net.blobs.items():
        blob.data[...] = values[f"data/{name}"]


@pytest.mark.parametrize("name", DEFINITIONS)
def test_forward_and_backward(real_caffe, measured, name):
    # A hundred layers of random weights enlarge rounding; their own weights do not.
    tolerance = 5e-4 if name.startswith("efficientnet") else 1e-4
    definition = DEFINITIONS[name].deploy()
    shape = definition.layer[0].input_param.shape[0].dim
    shape[0] = 1
    if name in ("vgg16", "resnet50"):  # of 224x224 they would take a minute
        shape[2:] = [32, 32] if name == "vgg16" else [64, 64]
        for layer in definition.layer:
            if layer.name == "pool5" and name == "resnet50":
                layer.pooling_param.kernel_size = 2  # the whole map, as 7 of the whole picture
    definition.force_backward = True
    caffe.set_random_seed(1)
    net = caffe.Net(definition, caffe.TEST)
    top = definition.layer[-1].top[0]
    random = np.random.default_rng(0)
    normalize(net, random)
    data = random.uniform(-100, 100, net.blobs["data"].shape).astype(np.float32)
    diff = random.normal(size=net.blobs[top].shape).astype(np.float32)
    text = text_format.MessageToString(definition)
    expected = real_caffe.forward_backward(
        text, {"data": data}, params(net), {top: diff}, phase=caffe.TEST
    )
    forward = ours(net, {"data": data}, backward=False)
    kept = {key: expected[key] for key in expected if key.startswith(("data/", "param/"))}
    assert_equal({key: forward[key] for key in kept}, kept, tolerance)
    forward_at(net, expected)
    net.blobs[top].diff[...] = diff
    net.backward()
    measured(assert_equal({**forward, **gradients(net)}, expected, tolerance))


def normalize(net: caffe.Net, random: np.random.Generator) -> None:
    """Give normalizations means and variances, as if they had seen pictures."""
    for name, blobs in net.params.items():
        if net.layer_dict[name].type == "BatchNorm":
            mean, variance, factor = blobs
            mean.data[...] = random.normal(size=mean.shape)
            variance.data[...] = random.uniform(1, 4, variance.shape)
            factor.data[...] = 1


def gradients(net: caffe.Net) -> Arrays:
    return {key: array for key, array in state(net).items() if key.startswith(("diff/", "param_d"))}


def test_real_caffe_sees_the_same_in_the_cat(real_caffe, measured, mirror: Path, tmp_path: Path):
    file = mirror / "songhan/SqueezeNet-Deep-Compression/compressed_SqueezeNet.net"
    definition = DEFINITIONS["squeezenet"].deploy()
    net = caffe.Net(definition, caffe.TEST)
    decode(file.read_bytes(), net, "file")
    net.save(str(tmp_path / "squeezenet.caffemodel"))
    picture = read_image(mirror / "BVLC/caffe/examples/images/cat.jpg", "cat.jpg")
    data = image_input.values(picture, SQUEEZENET)[np.newaxis]
    expected = real_caffe.forward_backward(
        text_format.MessageToString(definition),
        {"data": data},
        phase=caffe.TEST,
        backward=False,
        weights=tmp_path / "squeezenet.caffemodel",
    )["data/prob"]
    found = net.forward(data=data)["prob"]
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)
    measured(float(np.abs(found - expected).max() / expected.max()))
