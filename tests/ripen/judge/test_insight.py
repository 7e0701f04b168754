"""A net's responses to images, against arithmetic and numeric gradients."""

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffe
from caffe import layers as L
from caffe.formats import to_text
from caffe.proto.caffe_pb2 import NetParameter
from ripen.data import image_input
from ripen.data.image_input import Input
from ripen.judge.insight import (
    NetFiles,
    Probe,
    draw,
    filter_image,
    first_filters,
    heat,
    read_files,
)
from ripen.learn import seen
from tests.ripen.images import make_image

INPUT = Input(height=9, width=9, channel_order="BGR", raw_scale=1.0, mean=[0.4, 0.4, 0.4])
CLASSES = ("cat", "dog")


def definition() -> NetParameter:
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [4, 3, 12, 10]})
    filler = {"type": "xavier"}
    n.conv1 = L.Convolution(n.data, num_output=5, kernel_size=3, weight_filler=filler)
    n.tanh1 = L.TanH(n.conv1)
    n.pool1 = L.Pooling(n.tanh1, kernel_size=2, stride=2, pool="AVE")
    n.scores = L.InnerProduct(n.pool1, num_output=2, weight_filler=filler)
    n.prob = L.Softmax(n.scores)
    return n.to_proto()


@pytest.fixture
def files(tmp_path: Path) -> NetFiles:
    for name, seed in (("before", 1), ("after", 2)):
        caffe.set_random_seed(seed)
        caffe.Net(definition(), caffe.TEST).save(str(tmp_path / name))
    return NetFiles(definition(), tmp_path / "after", tmp_path / "before", INPUT)


def test_scores_are_those_before_the_softmax(files: NetFiles) -> None:
    image = make_image(1, 40, 30)
    net = caffe.Net(definition(), str(files.weights), caffe.TEST)
    net.blobs["data"].reshape(1, 3, 12, 10)
    net.blobs["data"].data[...] = image_input.values(image, INPUT.sized(12, 10))
    net.forward()
    found = Probe(files).response(image).scores
    np.testing.assert_allclose(found, net.blobs["scores"].data[0], rtol=1e-5)


def test_the_gradient_is_the_numeric_one(files: NetFiles) -> None:
    image, step = make_image(2, 10, 12), 1e-2
    response = Probe(files).response(image)
    found, highest = response.gradient, int(response.scores.argmax())
    assert found.shape == (3, 12, 10)
    net = caffe.Net(definition(), str(files.weights), caffe.TEST)
    net.blobs["data"].reshape(1, 3, 12, 10)
    data = image_input.values(image, INPUT.sized(12, 10))
    for place in [(0, 5, 5), (1, 0, 3), (2, 11, 9), (0, 2, 8)]:
        moved = []
        for sign in (1, -1):
            net.blobs["data"].data[0] = data
            net.blobs["data"].data[(0, *place)] += sign * step
            net.forward()
            moved.append(float(net.blobs["scores"].data[0, highest]))
        assert found[place] == pytest.approx((moved[0] - moved[1]) / (2 * step), rel=2e-2, abs=2e-4)


def test_maps_are_the_strongest_channels_of_layers_with_an_extent(files: NetFiles) -> None:
    image = make_image(3, 10, 12)
    maps = Probe(files).response(image).maps
    assert {name: values.shape for name, (_, values) in maps.items()} == {
        "conv1": (10, 8),
        "tanh1": (10, 8),
        "pool1": (5, 4),
    }
    net = caffe.Net(definition(), str(files.weights), caffe.TEST)
    net.blobs["data"].reshape(1, 3, 12, 10)
    net.blobs["data"].data[...] = image_input.values(image, INPUT.sized(12, 10))
    net.forward()
    for name, (channel, values) in maps.items():
        whole = net.blobs[name].data[0]
        assert channel == whole.mean(axis=(1, 2)).argmax()
        np.testing.assert_allclose(values, whole[channel], rtol=1e-5, atol=1e-6)


def test_filters_are_the_stored_weights(files: NetFiles) -> None:
    name, found = first_filters(files.deploy, files.weights)
    net = caffe.Net(definition(), str(files.weights), caffe.TEST)
    assert name == "conv1"
    np.testing.assert_array_equal(found, net.params["conv1"][0].data)


def test_a_filter_as_an_image() -> None:
    weights = np.zeros((3, 1, 3), np.float32)
    weights[0, 0, 0], weights[2, 0, 1] = 2.0, -1.0  # blue up, red down by half
    assert np.asarray(filter_image(weights, bgr=True)).tolist() == [
        [[128, 128, 255], [64, 128, 128], [128, 128, 128]]
    ]
    grey = np.array([[[-1.0, 0.5]]], np.float32)
    assert np.asarray(filter_image(grey, bgr=False))[0, :, 0].tolist() == [0, 191]


def test_heat_goes_from_the_least_to_the_most() -> None:
    pixels = np.asarray(heat(np.array([[3.0, 4.0, 5.0]], np.float32)))[0].astype(int)
    assert (np.diff(pixels.sum(axis=1)) > 0).all()
    assert (np.asarray(heat(np.ones((2, 2), np.float32))) == pixels[0]).all()


def test_the_figures_show_every_image_and_are_the_same_each_time(
    files: NetFiles, tmp_path: Path
) -> None:
    shown = [("train/cat.1.jpg", make_image(4)), ("train/dog.2.jpg", make_image(5))]
    written = []
    for name in ("first", "again"):
        (tmp_path / name).mkdir()
        draw(files, shown, CLASSES, tmp_path / name)
        written.append({p.name: p.read_text() for p in (tmp_path / name).iterdir()})
    assert written[0] == written[1]
    counts = {name: text.count("<image ") for name, text in written[0].items()}
    assert counts == {"filters.svg": 2, "activations.svg": 8, "saliency.svg": 4}
    assert "conv1, before training: 5 filters of 3x3" in written[0]["filters.svg"]
    assert "conv1, as trained: 5 filters of 3x3" in written[0]["filters.svg"]
    said = [CLASSES[int(Probe(files).response(image).scores.argmax())] for _, image in shown]
    assert re.findall(r"<text[^>]*>pred: (\w+)<", written[0]["saliency.svg"]) == said
    for data in re.findall(r"base64,([^\"]+)", written[0]["activations.svg"]):
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert max(image.size) in range(100, 129)


@pytest.mark.parametrize("pretrained", [True, False])
def test_the_net_of_a_model_is_read_from_its_folder(
    files: NetFiles, tmp_path: Path, pretrained: bool
) -> None:
    deploy = tmp_path / "deploy.prototxt"
    deploy.write_text(to_text(files.deploy))
    before = files.before if pretrained else None
    seen.write(tmp_path, deploy, files.weights, before, files.input)
    assert read_files(tmp_path) == NetFiles(files.deploy, files.weights, before, INPUT)
