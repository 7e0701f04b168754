"""Definitions changed for new classes, in real Caffe: it loads them, and trains them as we do."""

import numpy as np
import pytest
from google.protobuf import text_format

import caffe
from caffe.proto.caffe_pb2 import SolverParameter
from ripen.learn.arrays import write_rows
from ripen.nets.surgery import Change, finetuned
from ripen.nets.zoo import DEFINITIONS, lenet
from tests.parity.compare import assert_equal, params, state

CHANGE = Change(["ip2"], "new", 3, 10)
FROZEN = Change(["ip2"], "new", 3, 10, freeze_until="relu3")
LAST = {
    "alexnet": ["fc8"],
    "caffenet": ["fc8"],
    "googlenet": ["loss1/classifier", "loss2/classifier", "loss3/classifier"],
    "squeezenet": ["conv_final"],
}


def weights_only(arrays):
    return {name: values for name, values in arrays.items() if name.startswith("param/")}


@pytest.mark.parametrize("change", [CHANGE, FROZEN], ids=["full", "head"])
def test_the_same_weights_after_20_steps(real_caffe, measured, tmp_path, change):
    random = np.random.default_rng(0)
    data = random.uniform(0, 1, (30, 1, 8, 8)).astype(np.float32)
    source = write_rows(tmp_path, "part", data, np.arange(30) % 3)
    written = finetuned(lenet.lenet8_train_val(5, (source, 10), (source, 30)), change)
    (tmp_path / "net.prototxt").write_text(text_format.MessageToString(written))
    definition = SolverParameter(
        net=str(tmp_path / "net.prototxt"),
        base_lr=0.01,
        lr_policy="fixed",
        momentum=0.9,
        weight_decay=5e-4,
        max_iter=20,
        test_iter=[1],
        test_interval=100,
        test_initialization=False,
        snapshot_prefix=str(tmp_path / "model"),
        snapshot_after_train=False,
    )
    (tmp_path / "solver.prototxt").write_text(text_format.MessageToString(definition))
    pretrained = tmp_path / "pretrained.caffemodel"
    caffe.set_random_seed(3)
    caffe.Net(finetuned(lenet.lenet8_deploy(5), Change([], "", 1)), caffe.TEST).save(
        str(pretrained)
    )
    solver = caffe.get_solver(str(tmp_path / "solver.prototxt"))
    solver.net.copy_from(str(pretrained))
    first = params(solver.net)
    solver.step(20)
    expected = real_caffe.train(tmp_path, 20, params=first)
    found = weights_only(state(solver.net))
    measured(assert_equal(found, weights_only(expected), 1e-4))
    moved = {name for name, value in first.items() if (found[f"param/{name}"] != value).any()}
    learns = {f"ip2_new/{i}" for i in (0, 1)}
    assert moved == (learns if change is FROZEN else set(first))


def test_real_caffe_copies_the_weights_that_stay(real_caffe, tmp_path):
    caffe.set_random_seed(3)
    old = caffe.Net(lenet.lenet8_deploy(5), caffe.TEST)
    pretrained = tmp_path / "pretrained.caffemodel"
    old.save(str(pretrained))
    changed = finetuned(lenet.lenet8_deploy(5), CHANGE)
    data = np.random.default_rng(0).uniform(0, 1, (1, 1, 8, 8)).astype(np.float32)
    expected = real_caffe.forward_backward(
        text_format.MessageToString(changed),
        {"data": data},
        phase=caffe.TEST,
        backward=False,
        weights=pretrained,
    )
    old.blobs["data"].data[...] = data
    old.forward()
    for layer in ("conv1", "conv2", "ip1"):
        np.testing.assert_array_equal(expected[f"param/{layer}/0"], old.params[layer][0].data)
    np.testing.assert_allclose(expected["data/ip1"], old.blobs["ip1"].data, rtol=1e-4, atol=1e-6)
    assert expected["data/prob"].shape == (1, 3)


@pytest.mark.parametrize("name", LAST)
def test_real_caffe_takes_the_changed_nets_of_the_zoo(real_caffe, name):
    changed = finetuned(DEFINITIONS[name].deploy(), Change(LAST[name][-1:], "new", 7, 10))
    changed.layer[0].input_param.shape[0].dim[0] = 1
    data = np.zeros(tuple(changed.layer[0].input_param.shape[0].dim), np.float32)
    found = real_caffe.forward_backward(
        text_format.MessageToString(changed), {"data": data}, phase=caffe.TEST, backward=False
    )
    assert found[f"data/{changed.layer[-1].top[0]}"].size == 7
