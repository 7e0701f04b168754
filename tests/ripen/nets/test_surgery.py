import pytest
from google.protobuf import text_format

import caffe
from caffe.proto.caffe_pb2 import NetParameter
from ripen.core.errors import ConfigError
from ripen.nets.zoo import DEFINITIONS, lenet
from ripen.nets.surgery import Change, finetuned


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
        # Their data and title are their own.
        kept = [layer for layer in ours.layer if layer.type not in ("Data", "ImageData")]
        wanted = [layer for layer in theirs.layer if layer.type not in ("Data", "ImageData")]
        assert [text_format.MessageToString(layer) for layer in kept] == [
            text_format.MessageToString(layer) for layer in wanted
        ]


def test_what_is_frozen_learns_nothing_and_the_rest_as_before() -> None:
    net = lenet.lenet8_deploy(5)
    before = rates(net)
    after = rates(finetuned(net, Change(["ip2"], "new", 3, 10, freeze_until="pool1")))
    assert after["conv1"] == [(0, 0), (0, 0)]
    assert after["conv2"] == before["conv2"]
    assert after["ip2_new"] == [(10, 1), (20, 0)]
    assert rates(net) == before


def test_a_convolution_and_side_branches_are_replaced() -> None:
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
    # Real Caffe refuses the best 5 of 2.
    assert {layer.accuracy_param.top_k for layer in changed.layer if layer.type == "Accuracy"} == {
        1
    }


def test_what_new_biases_begin_with() -> None:
    change = Change(["conv_final"], "cats", 2, bias=1)
    net = caffe.Net(finetuned(DEFINITIONS["squeezenet"].deploy(), change), caffe.TEST)
    assert net.params["conv_final_cats"][1].data.tolist() == [1, 1]
    assert not net.params["conv1"][1].data.any()


def test_rates_that_are_not_written_are_written_out() -> None:
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
        (Change(["relu1"], "x", 2), r"layer 'relu1' of net 'LeNet8' is of type ReLU, .*Allowed"),
        (
            Change(["ip2"], "x", 2, freeze_until="rleu3"),
            r"finetune\.freeze_until: .*no layer 'rleu3'; did you mean 'relu3'\?",
        ),
        (Change(["ip2"], "x", 2, freeze_until="prob"), r"'prob' is not before 'ip2'"),
    ],
)
def test_what_cannot_be_changed(change: Change, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        finetuned(lenet.lenet8_deploy(5), change)
    assert "\n" not in str(caught.value)
