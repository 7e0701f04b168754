"""Nets of the zoo made ready to be trained on arrays, at any size."""

import numpy as np
import pytest

import caffe
from caffe.proto.caffe_pb2 import TEST, TRAIN, NetParameter
from ripen.core.errors import ConfigError, UsageError
from ripen.nets.surgery import Change
from ripen.nets.surgery import trainable


def types(net: NetParameter) -> list[str]:
    return [layer.type for layer in net.layer]


def test_a_net_with_a_train_val_reads_arrays_in_its_data_layers_place() -> None:
    net = trainable("squeezenet", 131, 4)
    train, test = net.train_val.layer[:2]
    for layer, phase in ((train, TRAIN), (test, TEST)):
        assert (layer.type, list(layer.top)) == ("MemoryData", ["data", "label"])
        assert [rule.phase for rule in layer.include] == [phase]
        given = layer.memory_data_param
        assert (given.batch_size, given.channels, given.height, given.width) == (4, 3, 131, 131)
    assert types(net.train_val)[-3:] == ["SoftmaxWithLoss", "Accuracy", "Accuracy"]
    assert list(net.deploy.layer[0].input_param.shape[0].dim) == [1, 3, 131, 131]
    assert (net.wanted.height, net.wanted.width, net.wanted.mean) == (131, 131, [104, 117, 123])


def test_a_net_of_which_only_the_use_is_written_gets_losses() -> None:
    net = trainable("efficientnet_lite0", 64, 2)
    assert types(net.train_val)[:2] == ["MemoryData", "MemoryData"]
    assert types(net.train_val)[-2:] == ["Accuracy", "SoftmaxWithLoss"]
    changed = net.changed(Change([_scores(net.deploy)], "new", 3))
    learnt = caffe.Net(changed.train_val, caffe.TRAIN)
    # From scratch too there is something to begin with.
    assert all(blobs[0].data.any() for blobs in learnt.params.values())
    random = np.random.default_rng(0)
    data = random.uniform(-1, 1, (2, 3, 64, 64)).astype(np.float32)
    learnt.set_input_arrays(data, np.array([0, 2], np.float32))
    assert 0 < float(learnt.forward()["loss"]) < 20
    assert caffe.Net(changed.deploy, caffe.TEST).forward()["prob"].shape[1] == 3


def _scores(net: NetParameter) -> str:
    return [layer.name for layer in net.layer if layer.type in ("InnerProduct", "Convolution")][-1]


def test_a_net_that_cannot_be_trained_to_classify() -> None:
    with pytest.raises(ConfigError, match=r"net 'R-CNN-ilsvrc13' gives no probabilities: .*last"):
        trainable("rcnn_ilsvrc13", 227, 4)
    with pytest.raises(UsageError, match=r"no net 'squeezent' in models/; did you mean squeezenet"):
        trainable("squeezent", 227, 4)
