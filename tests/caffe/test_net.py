"""Nets: what is part of them, how they run forward and backward, their files, and bad ones."""

from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

import caffe
from caffe.errors import CaffeError, FormatError, LayerError, NetError, ShapeError
from caffe.proto.caffe_pb2 import NetParameter

MLP = """
name: "mlp"
layer { name: "data" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }
layer { name: "ip1" type: "InnerProduct" bottom: "x" top: "h" inner_product_param {
  num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "act" type: "Sigmoid" bottom: "h" top: "h" }
layer { name: "ip2" type: "InnerProduct" bottom: "h" top: "y" inner_product_param {
  num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "label" top: "loss" }
layer { name: "acc" type: "Accuracy" bottom: "y" bottom: "label" top: "acc"
  include { phase: TEST } }
"""
X = np.array([[1.0, -2, 3], [0.5, 1, -1]], np.float32)
LABEL = np.array([1.0, 0], np.float32)


def parse(text: str) -> NetParameter:
    return text_format.Parse(text, NetParameter())


def net(text: str = MLP, phase: int = caffe.TRAIN, **options: object) -> caffe.Net:
    return caffe.Net(parse(text), phase, **options)


def run(made: caffe.Net) -> dict[str, np.ndarray]:
    return made.forward(x=X, label=LABEL)


def layers(made: caffe.Net) -> list[tuple[str, list[str], list[str]]]:
    return [(layer.type, list(layer.param.bottom), list(layer.param.top)) for layer in made.layers]


class TestParts:
    def test_names(self):
        made = net()
        assert list(made.blobs) == ["x", "label", "h", "y", "loss"]
        assert list(made.params) == ["ip1", "ip2"]
        assert [blob.shape for blob in made.params["ip1"]] == [(4, 3), (4,)]
        assert made.inputs == ["x", "label"]
        assert made.outputs == ["loss"]
        assert [layer.type for layer in made.layers[2:]] == [
            "InnerProduct",
            "Sigmoid",
            "InnerProduct",
            "SoftmaxWithLoss",
        ]
        assert list(made.layer_dict) == ["data", "label", "ip1", "act", "ip2", "loss"]
        assert made.top_names["ip1"] == made.bottom_names["act"] == ["h"]
        assert made.blob_loss_weights["loss"] == 1
        assert made.blob_loss_weights["y"] == 0

    def test_splits_are_named_as_by_caffe(self):
        assert layers(net(phase=caffe.TEST))[5:] == [
            ("InnerProduct", ["h"], ["y"]),
            ("Split", ["y"], ["y_ip2_0_split_0", "y_ip2_0_split_1"]),
            ("SoftmaxWithLoss", ["y_ip2_0_split_0", "label_label_0_split_0"], ["loss"]),
            ("Accuracy", ["y_ip2_0_split_1", "label_label_0_split_1"], ["acc"]),
        ]

    @pytest.mark.parametrize(
        "call",
        [
            lambda f, w: caffe.Net(f, w, caffe.TEST),
            lambda f, w: caffe.Net(f, caffe.TEST, weights=w),
            lambda f, w: caffe.Net(f, weights=w, phase=caffe.TEST),
            lambda f, w: caffe.Net(network_file=f, phase=caffe.TEST, weights=w),
        ],
    )
    def test_all_ways_to_call(self, tmp_path, call):
        (tmp_path / "net.prototxt").write_text(MLP)
        first = net()
        first.save(str(tmp_path / "w.caffemodel"))
        made = call(str(tmp_path / "net.prototxt"), str(tmp_path / "w.caffemodel"))
        assert made.outputs == ["loss", "acc"]
        assert np.array_equal(made.params["ip1"][0].data, first.params["ip1"][0].data)

    def test_no_phase(self):
        with pytest.raises(NetError, match="the phase is missing. Allowed: caffe.TRAIN, TEST"):
            caffe.Net(parse(MLP))


RULED = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 } } }
layer { name: "ruled" type: "Sigmoid" bottom: "x" top: "y" RULE }
"""


@pytest.mark.parametrize(
    ("rule", "phase", "level", "stages", "there"),
    [
        ("", 0, 0, [], True),
        ("include { phase: TRAIN }", 0, 0, [], True),
        ("include { phase: TRAIN }", 1, 0, [], False),
        ("exclude { phase: TEST }", 1, 0, [], False),
        ("include { min_level: 2 }", 0, 1, [], False),
        ("include { min_level: 2 max_level: 3 }", 0, 3, [], True),
        ("include { max_level: 3 }", 0, 4, [], False),
        ('include { stage: "a" stage: "b" }', 0, 0, ["a"], False),
        ('include { stage: "a" stage: "b" }', 0, 0, ["b", "a", "c"], True),
        ('include { not_stage: "a" }', 0, 0, ["a"], False),
        ('include { stage: "a" } include { stage: "b" }', 0, 0, ["b"], True),
        ('exclude { stage: "a" } exclude { stage: "b" }', 0, 0, ["b"], False),
    ],
)
def test_rules(rule, phase, level, stages, there):
    made = net(RULED.replace("RULE", rule), phase, level=level, stages=stages)
    assert ("ruled" in made.layer_dict) == there


class TestForward:
    def test_by_hand(self):
        made = net()
        h = 1 / (1 + np.exp(-(X @ made.params["ip1"][0].data.T)))
        y = h @ made.params["ip2"][0].data.T
        p = np.exp(y) / np.exp(y).sum(1, keepdims=True)
        out = run(made)
        assert list(out) == ["loss"]
        assert out["loss"] == pytest.approx(-np.log(p[[0, 1], [1, 0]]).mean(), rel=1e-6)
        assert made.blobs["h"].data == pytest.approx(h, rel=1e-6)

    def test_more_blobs_on_request(self):
        out = net().forward(blobs=["h", "y"], x=X, label=LABEL)
        assert {name: value.shape for name, value in out.items()} == {
            "loss": (),
            "h": (2, 4),
            "y": (2, 2),
        }

    def test_in_parts(self):
        made = net()
        whole = run(made)["loss"].copy()
        made.blobs["loss"].data[...] = 0
        assert list(made.forward(end="act")) == ["h"]
        assert made.blobs["loss"].data == 0
        assert made.forward(start="ip2")["loss"] == whole

    def test_views_stay_live(self):
        made = net()
        views = {name: blob.data for name, blob in made.blobs.items()}
        run(made)
        first = views["y"].copy()
        made.forward(x=-X, label=LABEL)
        assert not np.array_equal(views["y"], first)
        assert np.array_equal(views["y"], made.blobs["y"].data)

    def test_a_script_may_write_into_parameters(self):
        made = net()
        made.params["ip2"][0].data[...] = 0
        assert run(made)["loss"] == pytest.approx(np.log(2))

    def test_looking_changes_nothing(self):
        seen, unseen = net(), net()
        unseen.share_with(seen)
        for made in (seen, unseen):
            run(made)
            made.backward()
            if made is seen:
                for blob in made.blobs.values():
                    assert blob.data.shape == blob.diff.shape
            made.forward(x=2 * X, label=LABEL)
            made.backward()
        for name, blob in seen.blobs.items():
            assert np.array_equal(blob.data, unseen.blobs[name].data)
        for mine, theirs in zip(seen.params["ip1"], unseen.params["ip1"], strict=True):
            assert np.array_equal(mine.diff, theirs.diff)

    def test_batches_of_another_size(self):
        made = net()
        whole = run(made)
        first = whole["loss"].copy()
        made.blobs["x"].reshape(4, 3)
        made.blobs["label"].reshape(4)
        made.reshape()
        assert made.blobs["y"].shape == (4, 2)
        out = made.forward(x=np.tile(X, (2, 1)), label=np.tile(LABEL, 2))
        assert out["loss"] == pytest.approx(first, rel=1e-6)

    @pytest.mark.parametrize(
        ("inputs", "message"),
        [
            ({"x": X}, r"inputs \['x'\] do not match the net's inputs \['label', 'x'\]"),
            ({"x": X, "label": LABEL, "z": X}, r"\['label', 'x', 'z'\] do not match"),
            ({"x": X[:1], "label": LABEL}, r"blob 'x' has shape \(2, 3\).*\(1, 3\)"),
            ({"x": X[:, :2], "label": LABEL}, r"blob 'x' has shape \(2, 3\).*\(2, 2\)"),
        ],
    )
    def test_wrong_inputs(self, inputs, message):
        with pytest.raises(CaffeError, match=message):
            net().forward(**inputs)

    def test_no_such_layer(self):
        with pytest.raises(NetError, match="no layer 'ip9'. The layers: data"):
            net().forward(end="ip9")

    def test_forward_all_runs_any_number(self):
        made = net(MLP.split('layer { name: "label"')[0] + MLP[MLP.index('layer { name: "ip1"') :
                   MLP.index('layer { name: "loss"')])  # fmt: skip
        many = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
        out = made.forward_all(x=many, blobs=["h"])
        assert out["y"].shape == (5, 2)
        assert out["h"].shape == (5, 4)
        made.blobs["x"].reshape(5, 3)
        assert out["y"] == pytest.approx(made.forward(x=many)["y"], rel=1e-5)

    def test_callbacks(self):
        made, seen = net(), []
        made.before_forward(lambda i: seen.append(("before", i)))
        made.after_forward(lambda i: seen.append(("after", i)))
        made.before_backward(lambda i: seen.append(("back", i)))
        made.after_backward(lambda i: seen.append(("done", i)))
        made.forward(start="ip2", end="ip2")
        made.backward(start="ip2", end="ip2")
        assert seen == [("before", 4), ("after", 4), ("back", 4), ("done", 4)]


class TestBackward:
    def test_by_hand(self):
        made = net()
        run(made)
        made.backward()
        h, y = made.blobs["h"].data, made.blobs["y"].data
        p = np.exp(y) / np.exp(y).sum(1, keepdims=True)
        dy = (p - np.eye(2)[[1, 0]]) / 2
        dh = dy @ made.params["ip2"][0].data * h * (1 - h)
        assert made.params["ip2"][0].diff == pytest.approx(dy.T @ h, rel=1e-5)
        assert made.params["ip2"][1].diff == pytest.approx(dy.sum(0), rel=1e-5)
        assert made.params["ip1"][0].diff == pytest.approx(dh.T @ X, rel=1e-5)
        assert made.params["ip1"][1].diff == pytest.approx(dh.sum(0), rel=1e-4)

    def test_gradients_of_parameters_add_up_until_they_are_cleared(self):
        made = net()
        run(made)
        made.backward()
        once = made.params["ip1"][0].diff.copy()
        made.backward()
        assert made.params["ip1"][0].diff == pytest.approx(2 * once)
        made.clear_param_diffs()
        assert not made.params["ip1"][0].diff.any()

    def test_inputs_have_none_unless_forced(self):
        plain, forced = net(), net("force_backward: true " + MLP)
        forced.share_with(plain)
        for made in (plain, forced):
            run(made)
        assert not plain.backward()["x"].any()
        assert forced.backward()["x"].any()

    def test_of_given_gradients(self):
        text = MLP[: MLP.index('layer { name: "label"')] + MLP[MLP.index('layer { name: "ip1"') :]
        made = net("force_backward: true " + text[: text.index('layer { name: "loss"')])
        made.forward(x=X)
        given = np.array([[1, 0], [0, 2]], np.float32)
        diffs = made.backward(diffs=["h"], y=given)
        w1, w2 = (made.params[name][0].data for name in ("ip1", "ip2"))
        h = made.blobs["h"].data
        dh = given @ w2 * h * (1 - h)
        assert list(diffs) == ["x", "h"]
        assert diffs["x"] == pytest.approx(dh @ w1, rel=1e-5)

    def test_no_such_output(self):
        with pytest.raises(NetError, match="'y' is no output. The outputs: loss"):
            net().backward(y=np.zeros((2, 2)))

    def test_frozen_layers_and_what_is_below_get_none(self):
        frozen = 'bottom: "x" top: "h" param { lr_mult: 0 } param { lr_mult: 0 }'
        made = net(MLP.replace('bottom: "x" top: "h"', frozen))
        run(made)
        made.backward()
        assert not made.params["ip1"][0].diff.any()
        assert not made.blobs["h"].diff.any()
        assert made.params["ip2"][0].diff.any()

    def test_propagate_down_false_stops_it(self):
        stop = 'name: "ip2" type: "InnerProduct" propagate_down: false'
        made = net(MLP.replace('name: "ip2" type: "InnerProduct"', stop))
        run(made)
        made.backward()
        assert not made.params["ip1"][0].diff.any()
        assert made.params["ip2"][0].diff.any()

    def test_loss_weight(self):
        made = net(MLP.replace('top: "loss"', 'top: "loss" loss_weight: 3'))
        plain = net()
        plain.share_with(made)
        for each in (made, plain):
            run(each)
            each.backward()
        assert made.blob_loss_weights["loss"] == 3
        assert made.params["ip1"][0].diff == pytest.approx(3 * plain.params["ip1"][0].diff)

    def test_two_losses_without_tops(self):
        twice = MLP.replace(
            'bottom: "label" top: "loss" }',
            'bottom: "label" } layer { name: "more" type: "SoftmaxWithLoss" bottom: "y" '
            'bottom: "label" }',
        )
        plain, made = net(), net(twice)
        made.share_with(plain)
        for each in (plain, made):
            run(each)
            each.backward()
        assert made.outputs == []
        assert made.params["ip1"][0].diff == pytest.approx(2 * plain.params["ip1"][0].diff)

    def test_a_loss_that_is_used_too(self):
        used = 'top: "loss" loss_weight: 1 } layer { name: "s" type: "Silence" bottom: "loss" }'
        made = net(MLP.replace('top: "loss" }', used))
        plain = net()
        plain.share_with(made)
        for each in (made, plain):
            run(each)
            each.backward()
        assert made.params["ip1"][0].diff == pytest.approx(plain.params["ip1"][0].diff)


SHARED = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "a" type: "InnerProduct" bottom: "x" top: "a" param { name: "w" A }
  inner_product_param { num_output: 3 bias_term: false weight_filler { type: "xavier" } } }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" param { name: "w" B }
  inner_product_param { num_output: NB bias_term: false TB weight_filler { type: "xavier" } } }
layer { name: "loss" type: "Reduce" bottom: "b" top: "loss" }
""".replace('layer { name: "loss" type: "Reduce" bottom: "b" top: "loss" }\n', "")


def shared(a: str = "", b: str = "", outputs: int = 3, more: str = "") -> caffe.Net:
    text = SHARED.replace(" A }", f" {a} }}").replace(" B }", f" {b} }}")
    return net("force_backward: true" + text.replace("NB", str(outputs)).replace("TB", more))


class TestSharing:
    def test_by_name_values_and_gradients(self):
        made = shared()
        made.params["b"][0].data[...] = np.arange(9).reshape(3, 3)
        w = made.params["a"][0].data
        assert np.array_equal(w, np.arange(9).reshape(3, 3))
        made.forward(x=X)
        made.backward(b=np.ones((2, 3), np.float32))
        a, ones = X @ w.T, np.ones((2, 3))
        assert made.params["a"][0].diff == pytest.approx(ones.T @ a + (ones @ w).T @ X)
        assert len(made.learnable_params) == 1

    def test_other_shapes_are_refused(self):
        with pytest.raises(ShapeError, match=r"'b'.*'w' of shape \(2, 3\).*'a'.*\(3, 3\)"):
            shared(outputs=2)

    def test_permissive_sharing_needs_as_many_elements(self):
        text = "share_mode: PERMISSIVE"
        with pytest.raises(ShapeError, match=r"'w'"):
            shared(b=text, outputs=2)
        text = SHARED.replace(" A }", " }").replace(" B }", " share_mode: PERMISSIVE }")
        text = text.replace("dim: 2 dim: 3", "dim: 2 dim: 2").replace("TB", "axis: 0")
        made = net(text.replace("NB", "1"))
        assert [made.params[name][0].shape for name in "ab"] == [(3, 2), (1, 6)]
        made.params["a"][0].data[0, 1] = 7
        assert made.params["b"][0].data[0, 1] == 7

    def test_multipliers_must_agree(self):
        with pytest.raises(NetError, match="'b': shared parameter 'w' has lr_mult 3 .* 2 in.*'a'"):
            shared("lr_mult: 2", "lr_mult: 3")
        assert shared("", "lr_mult: 3").learnable_params[0].lr == 3

    def test_share_with_another_net(self):
        first, second = net(), net(phase=caffe.TEST)
        second.share_with(first)
        first.params["ip1"][0].data[0, 0] = 42
        assert second.params["ip1"][0].data[0, 0] == 42

    def test_share_with_a_net_of_other_shapes(self):
        with pytest.raises(ShapeError, match=r"layer 'ip1': shapes \(5, 3\) and \(4, 3\)"):
            net(MLP.replace("num_output: 4", "num_output: 5")).share_with(net())


class TestFiles:
    def test_save_and_copy_from(self, tmp_path):
        first, second = net(), net()
        first.save(tmp_path / "w.caffemodel")
        second.copy_from(tmp_path / "w.caffemodel")
        for name in first.params:
            for mine, theirs in zip(first.params[name], second.params[name], strict=True):
                assert np.array_equal(mine.data, theirs.data)
        stored = NetParameter.FromString((tmp_path / "w.caffemodel").read_bytes())
        assert stored.name == "mlp"
        assert [layer.name for layer in stored.layer] == list(first.layer_dict)

    def test_copy_from_by_layer_name(self, tmp_path):
        first = net()
        first.save(tmp_path / "w.caffemodel")
        other = net(
            MLP.replace('name: "ip2"', 'name: "new"').replace("num_output: 2", "num_output: 5")
        )
        before = other.params["new"][0].data.copy()
        other.copy_from(tmp_path / "w.caffemodel")
        assert np.array_equal(other.params["ip1"][0].data, first.params["ip1"][0].data)
        assert np.array_equal(other.params["new"][0].data, before)

    def test_copy_from_refuses_other_shapes(self, tmp_path):
        net().save(tmp_path / "w.caffemodel")
        with pytest.raises(ShapeError, match=r"w.caffemodel: layer 'ip1'.*\(4, 3\).*\(5, 3\)"):
            net(MLP.replace("num_output: 4", "num_output: 5")).copy_from(tmp_path / "w.caffemodel")

    def test_copy_from_refuses_another_number_of_blobs(self, tmp_path):
        net().save(tmp_path / "w.caffemodel")
        text = MLP.replace("num_output: 2", "num_output: 2 bias_term: false")
        with pytest.raises(ShapeError, match="layer 'ip2' has 2 blobs; the net's has 1"):
            net(text).copy_from(tmp_path / "w.caffemodel")

    def test_values_in_the_definition_are_used(self):
        blob = "blobs { shape { dim: 2 dim: 4 } data: [1,2,3,4,5,6,7,8] } blobs { data: [1, 2] }"
        made = net(MLP.replace('layer { name: "ip2"', f'layer {{ {blob} name: "ip2"'))
        assert made.params["ip2"][0].data.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]

    @pytest.mark.parametrize("length", [0, 1, 50, -1])
    def test_truncated_weights(self, tmp_path, length):
        net().save(tmp_path / "w.caffemodel")
        content = (tmp_path / "w.caffemodel").read_bytes()
        (tmp_path / "w.caffemodel").write_bytes(content[:length])
        with pytest.raises(FormatError, match=r"w.caffemodel: .*(truncated|holds no)"):
            net().copy_from(tmp_path / "w.caffemodel")

    def test_text_where_weights_belong(self, tmp_path):
        (tmp_path / "w.caffemodel").write_text(MLP)
        with pytest.raises(FormatError, match="w.caffemodel: .*NetParameter"):
            net().copy_from(tmp_path / "w.caffemodel")

    def test_weights_where_text_belongs(self, tmp_path):
        net().save(tmp_path / "w.caffemodel")
        with pytest.raises(FormatError, match="w.caffemodel.*text"):
            caffe.Net(str(tmp_path / "w.caffemodel"), caffe.TEST)

    def test_no_file(self, tmp_path):
        with pytest.raises(FormatError, match="net.prototxt: cannot be read: No such file"):
            caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)


def file_error(folder: Path, text: str) -> str:
    (folder / "net.prototxt").write_text(text)
    with pytest.raises(FormatError, match="net.prototxt:") as caught:
        caffe.Net(str(folder / "net.prototxt"), caffe.TEST)
    return str(caught.value).split("net.prototxt:")[1]


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ('name: "n"\nlayer {\n  nam: "x"\n}', "3:3:", '"nam"'),
        ('name: "n"\nlayer { name: 5 }', "2:15:", "5"),
        ("layer { phase: TRIAN }", "1:16:", "TRIAN"),
        ('layer {\n name: "x"\n', "2:8:", "}"),
        ('layer { name: "x }', "1:15:", '"x }'),
    ],
)
def test_text_errors_say_line_and_column(tmp_path, text, where, what):
    message = file_error(tmp_path, text)
    assert message.startswith(where)
    assert what in message
    assert "\n" not in message


@given(st.text(max_size=40))
def test_any_text_is_a_net_or_a_clear_error(text):
    try:
        net_from = caffe.formats.parse_text(text, NetParameter(), "some.prototxt")
    except FormatError as error:
        assert str(error).startswith("some.prototxt:")  # noqa: PT017 - any text may be right
    else:
        assert isinstance(net_from, NetParameter)


X_INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 } } }'


@pytest.mark.parametrize(
    ("error", "text", "message"),
    [
        (
            NetError,
            'layer { name: "s" type: "Sigmoid" bottom: "x" top: "y" }',
            r"unknown bottom blob 'x' \(layer 's', bottom index 0\)$",
        ),
        (
            NetError,
            'layer { name: "s" type: "Sigmoid" bottom: "b" top: "a" } '
            'layer { name: "t" type: "Sigmoid" bottom: "a" top: "b" }',
            r"unknown bottom blob 'b' \(layer 's', bottom index 0\). Layer 't' gives it",
        ),
        (
            NetError,
            X_INPUT + 'layer { name: "y" type: "Sigmoid" bottom: "x" top: "y" }'
            'layer { name: "z" type: "TanH" bottom: "y" top: "x" }',
            r"top blob 'x' \(layer 'z'\) is produced by multiple sources",
        ),
        (
            NetError,
            X_INPUT + 'layer { name: "y" type: "Sigmoid" bottom: "x" top: "y" }'
            'layer { name: "z" type: "TanH" bottom: "x" top: "x" }',
            r"top blob 'x' \(layer 'z'\) is produced by multiple sources",
        ),
        (
            LayerError,
            X_INPUT + 'layer { name: "s" type: "Sigmoyd" bottom: "x" top: "y" }',
            "layer 's': unknown type 'Sigmoyd'; did you mean Sigmoid",
        ),
        (
            LayerError,
            X_INPUT + 'layer { name: "s" type: "Sigmoid" bottom: "x" top: "y" top: "z" }',
            r"layer 's' \(Sigmoid\): has 2 top blobs. Allowed: 1",
        ),
        (
            NetError,
            'layer { name: "x" type: "Input" top: "x" include {} exclude {} }',
            "layer 'x': has include and exclude rules",
        ),
        (
            LayerError,
            X_INPUT + 'layer { name: "s" type: "Sigmoid" bottom: "x" top: "y" '
            "propagate_down: true propagate_down: true }",
            "layer 's' .*1 bottoms and 2 propagate_down",
        ),
        (
            LayerError,
            X_INPUT + 'layer { name: "s" type: "Sigmoid" bottom: "x" top: "y" param {} }',
            "layer 's' .*0 parameter blobs and 1 param",
        ),
        (
            CaffeError,
            'layer { name: "x" type: "Input" top: "x" '
            "input_param { shape { dim: 1048576 dim: 1048576 } } }",
            r"layer 'x'.*\(1048576, 1048576\)",
        ),
    ],
)
def test_bad_nets(error, text, message):
    with pytest.raises(error, match=message):
        net(text)


LEGACY = MLP[MLP.index('layer { name: "ip1"') : MLP.index('layer { name: "loss"')]


@pytest.mark.parametrize(
    "head",
    [
        'input: "x" input_dim: 2 input_dim: 3 input_dim: 1 input_dim: 1',
        'input: "x" input_shape { dim: 2 dim: 3 dim: 1 dim: 1 }',
    ],
)
def test_inputs_as_they_were_written_once(head):
    made = net(f"{head} {LEGACY}")
    assert made.inputs == ["x"]
    assert made.blobs["x"].shape == (2, 3, 1, 1)
    assert made.forward(x=X.reshape(2, 3, 1, 1))["y"].shape == (2, 2)


def test_memory_data():
    text = """
    layer { name: "data" type: "MemoryData" top: "x" top: "label"
      memory_data_param { batch_size: 2 channels: 3 height: 1 width: 1 } }
    """ + MLP[MLP.index('layer { name: "ip1"') :]
    made, plain = net(text), net()
    plain.share_with(made)
    made.set_input_arrays(X.reshape(2, 3, 1, 1), LABEL)
    assert made.forward()["loss"] == pytest.approx(run(plain)["loss"])
    with pytest.raises(LayerError, match="layer 'data' is Input: MemoryData must be the first"):
        plain.set_input_arrays(X.reshape(2, 3, 1, 1), LABEL)


@given(st.integers(1, 4), st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(1, 5))
def test_shapes_follow_from_the_inputs(batch, inner, outputs):
    dims = " ".join(f"dim: {size}" for size in (batch, *inner))
    text = MLP[MLP.index('layer { name: "ip1"') : MLP.index('layer { name: "ip2"')]
    made = net(
        f'layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ {dims} }} }} }}'
        + text.replace("num_output: 4", f"num_output: {outputs}")
    )
    assert made.blobs["h"].shape == (batch, outputs)
    assert made.params["ip1"][0].shape == (outputs, int(np.prod(inner)))
