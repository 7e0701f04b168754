"""Imported PyTorch networks in real Caffe: PyTorch's answers, and the same training."""

from pathlib import Path

import numpy as np
import pytest
import torch
from google.protobuf import text_format

from caffe.proto.caffe_pb2 import NetParameter
from ripen.data.image_input import Input
from ripen.nets.importing import convert
from ripen.nets.importing.import_net import with_losses, with_probabilities
from tests.parity.compare import check_net, relative_difference
from tests.ripen.nets.importing.networks import NETWORKS, SHAPE, SIZE, network, outputs


@pytest.mark.parametrize("name", NETWORKS)
def test_real_caffe_gives_pytorchs_answers(real_caffe, measured, tmp_path: Path, name: str):
    module = network(name)
    converted = convert(module, SHAPE)
    converted.filled().save(str(tmp_path / "net.caffemodel"))
    data = np.random.default_rng(0).normal(size=(1, *SHAPE)).astype(np.float32)
    found = real_caffe.forward_backward(
        text_format.MessageToString(with_probabilities(converted.net)),
        {"data": data},
        phase=1,
        backward=False,
        weights=tmp_path / "net.caffemodel",
    )
    expected = outputs(module, torch.from_numpy(data))
    top = converted.net.layer[-1].top[0]
    difference = relative_difference(found[f"data/{top}"], expected.numpy())
    assert difference <= 1e-5
    if "data/prob" in found and top != "prob":
        assert found["data/prob"] == pytest.approx(expected.softmax(1).numpy(), abs=1e-5)
    measured(difference)


# Not densenet: real Caffe's wheel takes no mean of a batch.
@pytest.mark.parametrize("name", ["vgg", "resnet", "squeezenet"])
def test_training_is_the_same_in_both(real_caffe, measured, name: str):
    promised = Input(height=SIZE, width=SIZE, channel_order="BGR", raw_scale=255.0)
    net = with_losses(convert(network(name), SHAPE).net, promised)
    text = text_format.MessageToString(without_data(net))
    random = np.random.default_rng(0)
    data = random.normal(size=(4, *SHAPE)).astype(np.float32)
    label = np.array([0, 1, 2, 3], np.float32)
    measured(check_net(real_caffe, text, {"data": data, "label": label}, tolerance=5e-5))


def without_data(net: NetParameter) -> NetParameter:
    """Return the net with inputs for its LMDBs, and without chance."""
    result = NetParameter()
    given = result.layer.add(name="data", type="Input", top=["data", "label"])
    given.input_param.shape.add(dim=[4, *SHAPE])
    given.input_param.shape.add(dim=[4])
    result.layer.extend(layer for layer in net.layer if layer.type not in ("Data", "Dropout"))
    return result
