"""Nets: construction, and running forward and backward."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import caffe
from caffe.errors import CaffeError, LayerError, NetError
from tests.caffe.net_case import LABEL, MLP, X, net, parse, run


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
    def test_all_call_signatures(self, tmp_path, call):
        (tmp_path / "net.prototxt").write_text(MLP)
        first = net()
        first.save(str(tmp_path / "w.caffemodel"))
        made = call(str(tmp_path / "net.prototxt"), str(tmp_path / "w.caffemodel"))
        assert made.outputs == ["acc", "loss"]
        assert np.array_equal(made.params["ip1"][0].data, first.params["ip1"][0].data)

    def test_missing_phase(self):
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

    def test_partial_runs(self):
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

    def test_writes_into_parameters_take_effect(self):
        made = net()
        made.params["ip2"][0].data[...] = 0
        assert run(made)["loss"] == pytest.approx(np.log(2))

    def test_reading_views_changes_nothing(self):
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

    def test_forward_backward_all_runs_any_number(self):
        text = MLP[: MLP.index('layer { name: "label"')] + MLP[MLP.index('layer { name: "ip1"') :]
        made = net("force_backward: true " + text[: text.index('layer { name: "loss"')])
        random = np.random.default_rng(0)
        many, grads = (random.normal(size=(5, n)).astype(np.float32) for n in (3, 2))
        values, gradients = made.forward_backward_all(["h"], ["y"], x=many, y=grads)
        made.blobs["x"].reshape(5, 3)
        assert values["y"] == pytest.approx(made.forward(x=many)["y"], rel=1e-5)
        assert gradients["x"] == pytest.approx(made.backward(y=grads)["x"], rel=1e-5)
        assert gradients["y"] == pytest.approx(grads)
        assert values["h"].shape == (5, 4)
        empty, _ = made.forward_backward_all(x=many[:0], z=grads)  # z is ignored, as in pycaffe
        assert empty["y"].shape == (0,)

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
        assert made.params["ip2"][0].diff == pytest.approx(dy.T @ h, rel=1e-4, abs=1e-7)
        assert made.params["ip2"][1].diff == pytest.approx(dy.sum(0), rel=1e-4, abs=1e-7)
        assert made.params["ip1"][0].diff == pytest.approx(dh.T @ X, rel=1e-4, abs=1e-7)
        assert made.params["ip1"][1].diff == pytest.approx(dh.sum(0), rel=1e-4, abs=1e-7)

    def test_gradients_of_parameters_add_up_until_they_are_cleared(self):
        made = net()
        run(made)
        made.backward()
        once = made.params["ip1"][0].diff.copy()
        made.backward()
        assert made.params["ip1"][0].diff == pytest.approx(2 * once)
        made.clear_param_diffs()
        assert not made.params["ip1"][0].diff.any()

    def test_inputs_have_no_gradient_unless_forced(self):
        plain, forced = net(), net("force_backward: true " + MLP)
        forced.share_with(plain)
        for made in (plain, forced):
            run(made)
        assert not plain.backward()["x"].any()
        assert forced.backward()["x"].any()

    def test_backward_from_given_gradients(self):
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
        with pytest.raises(NetError, match="'y' is not an output. The outputs: loss"):
            net().backward(y=np.zeros((2, 2)))

    def test_frozen_layers_and_those_below_get_no_gradient(self):
        frozen = 'bottom: "x" top: "h" param { lr_mult: 0 } param { lr_mult: 0 }'
        made = net(MLP.replace('bottom: "x" top: "h"', frozen))
        run(made)
        made.backward()
        assert not made.params["ip1"][0].diff.any()
        assert not made.blobs["h"].diff.any()
        assert made.params["ip2"][0].diff.any()

    def test_propagate_down_false_stops_the_gradient(self):
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
        assert made.params["ip1"][0].diff == pytest.approx(
            3 * plain.params["ip1"][0].diff, rel=1e-4, abs=1e-7
        )

    def test_weighted_tops_of_another_batch_size(self):
        text = MLP[: MLP.index('layer { name: "label"')] + MLP[MLP.index('layer { name: "ip1"') :]
        weighted = 'top: "y" loss_weight: 0.5'
        made = net(text[: text.index('layer { name: "loss"')].replace('top: "y"', weighted))
        made.blobs["x"].reshape(4, 3)
        made.forward(x=np.tile(X, (2, 1)))
        made.backward()
        assert made.params["ip2"][1].diff.tolist() == [2, 2]

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
        assert made.params["ip1"][0].diff == pytest.approx(
            2 * plain.params["ip1"][0].diff, rel=1e-4, abs=1e-7
        )

    def test_loss_that_is_also_a_bottom(self):
        used = 'top: "loss" loss_weight: 1 } layer { name: "s" type: "Silence" bottom: "loss" }'
        made = net(MLP.replace('top: "loss" }', used))
        plain = net()
        plain.share_with(made)
        for each in (made, plain):
            run(each)
            each.backward()
        assert made.params["ip1"][0].diff == pytest.approx(plain.params["ip1"][0].diff)


LEGACY = MLP[MLP.index('layer { name: "ip1"') : MLP.index('layer { name: "loss"')]


@pytest.mark.parametrize(
    "head",
    [
        'input: "x" input_dim: 2 input_dim: 3 input_dim: 1 input_dim: 1',
        'input: "x" input_shape { dim: 2 dim: 3 dim: 1 dim: 1 }',
    ],
)
def test_old_input_fields(head):
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
