"""The attributes and methods of nets under pycaffe's names."""

import copy
import pickle

import numpy as np
import pytest

import caffe
from caffe.arguments import net_options
from caffe.errors import CaffeError, NetError, ShapeError
from tests.caffe.net_case import LABEL, MLP, X, net, run


@pytest.mark.parametrize(
    "call",
    [
        lambda f, w: caffe.Net(f, caffe.TEST, 2, ["a"], w),
        lambda f, w: caffe.Net(f, caffe.TEST, level=2, stages=["a"], weights=w),
        lambda f, w: caffe.Net(f, phase=caffe.TEST, level=2, stages=("a",), weights=w),
    ],
)
def test_level_and_stages(tmp_path, call):
    ruled = 'layer { name: "r" type: "TanH" bottom: "y" top: "r" include { stage: "a" RULE } }'
    ruled = ruled.replace("RULE", "min_level: 2")
    (tmp_path / "net.prototxt").write_text(MLP + ruled)
    net().save(tmp_path / "w.caffemodel")
    assert "r" in call(str(tmp_path / "net.prototxt"), str(tmp_path / "w.caffemodel")).blobs


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((), {}, "the phase is missing"),
        ((2,), {}, "the phase is 2. Allowed: caffe.TRAIN, TEST"),
        ((caffe.TEST,), {"phase": caffe.TEST}, "was given phase twice"),
        ((caffe.TEST, 0, None, None, 3), {}, "was given 5 arguments after the file"),
        ((caffe.TEST,), {"stages": "abc"}, "stages is 'abc'. Allowed: a list of names"),
    ],
)
def test_contradictory_arguments_are_refused(arguments, options, message):
    with pytest.raises(NetError, match=message):
        caffe.Net(net().to_proto(), *arguments, **options)


def test_numbers_of_blobs_and_layers():
    made = net()
    assert made._layer_names == ["data", "label", "ip1", "act", "ip2", "loss"]
    assert made._blob_names == ["x", "label", "h", "y", "loss"]
    assert made._blobs == list(made.blobs.values())
    assert (made._inputs, made._outputs) == ([0, 1], [4])
    assert [made._bottom_ids(i) for i in range(6)] == [[], [], [0], [2], [2], [3, 1]]
    assert [made._top_ids(i) for i in range(6)] == [[0], [1], [2], [2], [3], [4]]
    assert made._blob_loss_weights == [0, 0, 0, 0, 1]
    assert [len(layer.blobs) for layer in made.layers] == [0, 0, 2, 0, 2, 0]


def test_passes_by_number():
    made = net()
    loss = run(made)["loss"].copy()
    assert made._forward(0, 5) == pytest.approx(float(loss), rel=1e-6)
    assert made._forward(0, 4) == 0
    made._backward(5, 4)
    assert made.params["ip2"][0].diff.any()
    assert not made.params["ip1"][0].diff.any()
    for call in (made._forward, lambda first, last: made._backward(last, first)):
        with pytest.raises(NetError, match="layers 0 to 6 of a net with layers 0 to 5"):
            call(0, 6)
        with pytest.raises(NetError, match="layers -1 to 2 of a net with layers 0 to 5"):
            call(-1, 2)


def test_batches():
    parts = list(net()._batch({"x": np.ones((5, 3), np.float32)}))
    assert [part["x"].shape for part in parts] == [(2, 3)] * 3
    assert parts[2]["x"].tolist() == [[1, 1, 1], [0, 0, 0]]


def test_inputs_broadcast_as_in_numpy():
    made = net()
    made.forward(x=np.array([[1], [2]]), label=LABEL)
    assert made.blobs["x"].data.tolist() == [[1] * 3, [2] * 3]
    for values in (X[:, :2], X.reshape(2, 3, 1)):
        with pytest.raises(ShapeError, match=r"'x' has shape \(2, 3\).*not broadcast"):
            made.forward(x=values, label=LABEL)


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda: caffe.set_random_seed(None), TypeError),
        (lambda: caffe.set_random_seed(-1), OverflowError),
        (lambda: caffe.set_device(1.5), TypeError),
        (lambda: net().blobs["x"].reshape(num=1), RuntimeError),
        (lambda: net().forward_all(), RuntimeError),
        (lambda: net().forward_all(blobs="y", x=X, label=LABEL), TypeError),
    ],
)
def test_slips_are_of_the_kinds_of_pycaffe(call, kind):
    with pytest.raises(kind, match=r"\w"):
        call()


def test_scripts_attach_attributes_to_blobs_and_call_the_phase_true():
    blob = net().blobs["x"]
    blob.note = "mine"
    assert blob.note == "mine"
    assert net_options((True,), {})["phase"] == caffe.TEST


@pytest.mark.parametrize("slip", [None, 3, "x"])
def test_what_is_no_array_is_refused_like_pycaffe_does(slip):
    with pytest.raises(AttributeError, match="'x' was given .*Needed: an array of"):
        net().forward(x=slip, label=LABEL)


def test_all_items_of_a_net_with_losses():
    made = net("force_backward: true" + MLP)
    values, gradients = made.forward_backward_all(
        x=np.tile(X, (2, 1)), label=np.tile(LABEL, 2), blobs=["y"]
    )
    once = made.forward(x=X, label=LABEL)["loss"]
    assert values["loss"] == pytest.approx([float(once)] * 2, rel=1e-6)
    assert gradients["x"].shape == (4, 3)
    assert gradients["x"][2:] == pytest.approx(gradients["x"][:2], rel=1e-5)


def test_net_surgery():
    full = net('layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 6 } } }'
               'layer { name: "fc" type: "InnerProduct" bottom: "x" top: "y" inner_product_param '
               '{ num_output: 4 weight_filler { type: "xavier" } } }')  # fmt: skip
    conv = net(
        'layer { name: "x" type: "Input" top: "x" input_param { shape '
        "{ dim: 1 dim: 1 dim: 2 dim: 3 } } }"
        'layer { name: "conv" type: "Convolution" bottom: "x" top: "y" convolution_param '
        "{ num_output: 4 kernel_h: 2 kernel_w: 3 } }"
    )
    full.params["fc"][1].data[...] = [1, 2, 3, 4]
    conv.params["conv"][0].data.flat = full.params["fc"][0].data.flat
    conv.params["conv"][1].data[...] = full.params["fc"][1].data
    x = np.arange(6, dtype=np.float32)
    expected = full.forward(x=x.reshape(1, 6))["y"]
    assert conv.forward(x=x.reshape(1, 1, 2, 3))["y"].ravel() == pytest.approx(expected[0])
    conv.blobs["x"].reshape(1, 1, 3, 4)
    assert conv.forward()["y"].shape == (1, 4, 2, 2)


def test_several_devices():
    assert not caffe.has_nccl()
    for call in (lambda: caffe.NCCL(None, ""), caffe.NCCL.new_uid):
        with pytest.raises(CaffeError, match=r"NCCL: .* Check caffe.has_nccl\(\) first"):
            call()
    assert (caffe.solver_count(), caffe.solver_rank()) == (1, 0)
    caffe.set_multiprocess(False)
    try:
        caffe.set_solver_count(3)
        caffe.set_solver_rank(2)
        assert (caffe.solver_count(), caffe.solver_rank()) == (3, 2)
    finally:
        caffe.set_solver_count(1)
        caffe.set_solver_rank(0)


@pytest.mark.parametrize("ends", [{"start": -1}, {"start": 99}, {"end": 6}])
def test_a_layer_number_that_is_not_there(ends):
    with pytest.raises(ValueError, match=r"no layer -?\d+\. The layers: 0 to 5"):
        net().forward(**ends)


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda: caffe.set_random_seed(2**32), OverflowError),
        (lambda: caffe.set_solver_count(None), TypeError),
        (lambda: caffe.set_solver_rank("a"), TypeError),
        (lambda: setattr(net().layers[1], "blobs", []), AttributeError),
    ],
)
def test_slips_are_refused_at_once(call, kind):
    with pytest.raises(kind, match=r"seed|integer|blobs"):  # the kinds are pycaffe's
        call()


@pytest.mark.parametrize("call", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_net_cannot_be_copied(call):
    with pytest.raises(RuntimeError, match="a Net cannot be copied or pickled"):  # as in pycaffe
        call(net())
    with pytest.raises(RuntimeError, match=r"a Blob cannot be copied.*blob.data.copy\(\)"):
        call(net().blobs["x"])


def test_timer():
    timer = caffe.Timer()
    assert timer.ms == 0
    timer.start()
    first = timer.ms
    assert 0 < first < 1e3
    timer.stop()
    assert timer.ms == first
