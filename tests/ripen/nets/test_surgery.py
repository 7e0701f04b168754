"""Nets changed: fine-tuned for other classes, and fed with arrays at any size."""

import numpy as np
import pytest
from google.protobuf import text_format

import caffe
from caffe.proto.caffe_pb2 import TEST, TRAIN, NetParameter
from ripen.core.errors import ConfigError, UsageError
from ripen.nets.surgery import Change, finetuned, trainable
from ripen.nets.zoo import DEFINITIONS, lenet


def rates(net: NetParameter) -> dict[str, list[tuple[float, float]]]:
    return {
        layer.name: [(spec.lr_mult, spec.decay_mult) for spec in layer.param]
        for layer in net.layer
        if layer.param
    }


def test_caffenet_becomes_the_published_flickr_style() -> None:
    caffenet = DEFINITIONS["caffenet"]
    assert caffenet.train_val is not None
    published = DEFINITIONS["flickr_style"]
    assert published.train_val is not None
    change = Change(["fc8"], "flickr", 20, lr_mult_new=10)
    for ours, theirs in (
        (finetuned(caffenet.train_val(), change), published.train_val()),
        (finetuned(caffenet.deploy(), change), published.deploy()),
    ):
        # The two nets differ in their data layers and titles.
        kept = [layer for layer in ours.layer if layer.type not in ("Data", "ImageData")]
        wanted = [layer for layer in theirs.layer if layer.type not in ("Data", "ImageData")]
        assert [text_format.MessageToString(layer) for layer in kept] == [
            text_format.MessageToString(layer) for layer in wanted
        ]


def test_frozen_layers_do_not_learn_and_the_others_learn_as_before() -> None:
    net = lenet.lenet8_deploy(5)
    before = rates(net)
    after = rates(finetuned(net, Change(["ip2"], "new", 3, 10, freeze_until="pool1")))
    assert after["conv1"] == [(0, 0), (0, 0)]
    assert after["conv2"] == before["conv2"]
    assert after["ip2_new"] == [(10, 1), (20, 0)]
    assert rates(net) == before


def test_a_convolution_and_auxiliary_classifiers_are_replaced() -> None:
    changed = finetuned(DEFINITIONS["squeezenet"].deploy(), Change(["conv_final"], "cats", 2))
    layers = {layer.name: layer for layer in changed.layer}
    assert layers["conv_final_cats"].convolution_param.num_output == 2
    assert not layers["conv_final_cats"].convolution_param.HasField("bias_filler")
    assert "conv_final" not in {
        top for layer in changed.layer for top in (*layer.bottom, *layer.top)
    }
    googlenet = DEFINITIONS["googlenet"].train_val
    assert googlenet is not None
    heads = ["loss1/classifier", "loss2/classifier", "loss3/classifier"]
    changed = finetuned(googlenet(), Change(heads, "cats", 2))
    outputs = {
        layer.name: layer.inner_product_param.num_output
        for layer in changed.layer
        if layer.name.endswith("_cats")
    }
    assert outputs == {f"{head}_cats": 2 for head in heads}
    # Real Caffe refuses a top-5 accuracy with 2 classes.
    assert {layer.accuracy_param.top_k for layer in changed.layer if layer.type == "Accuracy"} == {
        1
    }


def test_initial_bias_of_new_layers() -> None:
    change = Change(["conv_final"], "cats", 2, bias=1)
    net = caffe.Net(finetuned(DEFINITIONS["squeezenet"].deploy(), change), caffe.TEST)
    assert net.params["conv_final_cats"][1].data.tolist() == [1, 1]
    assert not net.params["conv1"][1].data.any()


def test_default_rates_are_written_out() -> None:
    net = text_format.Parse(
        """
        name: "n"
        layer { name: "c" type: "Convolution" top: "c"
                convolution_param { num_output: 4 bias_term: false } }
        layer { name: "b" type: "BatchNorm" bottom: "c" top: "b" }
        layer { name: "s" type: "InnerProduct" bottom: "b" top: "s"
                inner_product_param { num_output: 4 } }
        """,
        NetParameter(),
    )
    changed = finetuned(net, Change(["s"], "x", 7, 10, freeze_until="b"))
    assert rates(changed) == {
        "c": [(0, 0)],
        "b": [(0, 0)] * 3,
        "s_x": [(10, 1), (10, 1)],
    }
    assert changed.layer[1].batch_norm_param.use_global_stats
    assert changed.layer[2].inner_product_param.weight_filler.type == "xavier"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            Change(["ip3"], "x", 2),
            r"finetune\.replace: net 'LeNet8' has no layer 'ip3'; did you mean 'ip\d'\?",
        ),
        (Change(["relu1"], "x", 2), r"layer 'relu1' of net 'LeNet8' has type ReLU, .*Allowed"),
        (
            Change(["ip2"], "x", 2, freeze_until="rleu3"),
            r"finetune\.freeze_until: .*no layer 'rleu3'; did you mean 'relu3'\?",
        ),
        (Change(["ip2"], "x", 2, freeze_until="prob"), r"'prob' is not before 'ip2'"),
    ],
)
def test_impossible_changes(change: Change, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        finetuned(lenet.lenet8_deploy(5), change)
    assert "\n" not in str(caught.value)


def types(net: NetParameter) -> list[str]:
    return [layer.type for layer in net.layer]


def test_data_layers_of_a_train_val_net_become_memory_data() -> None:
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


def test_a_deploy_net_gets_losses() -> None:
    net = trainable("efficientnet_lite0", 64, 2)
    assert types(net.train_val)[:2] == ["MemoryData", "MemoryData"]
    assert types(net.train_val)[-2:] == ["Accuracy", "SoftmaxWithLoss"]
    changed = net.changed(Change([_scores(net.deploy)], "new", 3))
    learnt = caffe.Net(changed.train_val, caffe.TRAIN)
    # No layer begins at 0, from which it could not learn.
    assert all(blobs[0].data.any() for blobs in learnt.params.values())
    random = np.random.default_rng(0)
    data = random.uniform(-1, 1, (2, 3, 64, 64)).astype(np.float32)
    learnt.set_input_arrays(data, np.array([0, 2], np.float32))
    assert 0 < float(learnt.forward()["loss"]) < 20
    assert caffe.Net(changed.deploy, caffe.TEST).forward()["prob"].shape[1] == 3


def _scores(net: NetParameter) -> str:
    return [layer.name for layer in net.layer if layer.type in ("InnerProduct", "Convolution")][-1]


def test_a_net_without_probabilities_cannot_be_trained() -> None:
    with pytest.raises(ConfigError, match=r"net 'R-CNN-ilsvrc13' has no probabilities: .*last"):
        trainable("rcnn_ilsvrc13", 227, 4)
    with pytest.raises(
        UsageError, match=r"no net 'squeezent' in models/; did you mean 'squeezenet"
    ):
        trainable("squeezent", 227, 4)
