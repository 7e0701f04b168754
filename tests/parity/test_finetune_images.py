"""The files of a net that is trained further, in real Caffe: it trains as we do."""

import json

import numpy as np
import pytest

import caffe
from ripen.learn.models import mlp
from ripen.nets.surgery import Change, trainable
from ripen.settings.schema import Solver
from tests.parity.compare import assert_equal

TRAIN = """
import json
import numpy as np
import caffe
given = dict(np.load(FOLDER + "/given.npz"))  # kept: real Caffe reads where the arrays are
solver = caffe.get_solver(FOLDER + "/solver.prototxt")
solver.net.copy_from(FOLDER + "/start.caffemodel")
for i in range(2):
    solver.net.set_input_arrays(given["data"][i], given["labels"][i])
    solver.step(1)
np.savez(FOLDER + "/" + OUT, **{
    "param/%s/%d" % (name, i): blob.data
    for name, blobs in solver.net.params.items() for i, blob in enumerate(blobs)
})
net = caffe.Net(FOLDER + "/deploy.prototxt", caffe.TEST)
net.share_with(solver.net)
net.blobs["data"].data[...] = given["data"][0][:1]
result = [float(x) for x in net.forward()["prob"].ravel()]
"""


@pytest.mark.parametrize("freeze_until", [None, "fire9/concat"], ids=["full", "head"])
def test_two_iterations_of_squeezenet(real_caffe, measured, tmp_path, freeze_until):
    change = Change(["conv_final"], "cats_vs_dogs", 2, 10, freeze_until)
    net = trainable("squeezenet", 67, 2).changed(change)
    for layer in net.train_val.layer:
        layer.dropout_param.dropout_ratio = 0  # of which each Caffe has its own chance
        if layer.type != "Dropout":
            layer.ClearField("dropout_param")
    solver = Solver(base_lr=1e-4, lr_policy="poly", power=1, momentum=0.9, iter_size=2, max_iter=9)
    written = mlp.solver(solver, tmp_path / "train_val.prototxt", tmp_path / "model", 3)
    for name, message in (
        ("train_val", net.train_val),
        ("deploy", net.deploy),
        ("solver", written),
    ):
        (tmp_path / f"{name}.prototxt").write_text(mlp.to_text(message))
    caffe.set_random_seed(1)
    caffe.Net(net.deploy, caffe.TEST).save(str(tmp_path / "start.caffemodel"))
    random = np.random.default_rng(0)
    data = random.uniform(-100, 100, (2, 4, 3, 67, 67)).astype(np.float32)
    labels = random.integers(0, 2, (2, 4)).astype(np.float32)
    np.savez(tmp_path / "given.npz", data=data, labels=labels)
    code = f"FOLDER, OUT = {json.dumps(str(tmp_path))}, 'OUT.npz'\n{TRAIN}"
    theirs = real_caffe.script(code.replace("OUT.npz", "real.npz"))
    names: dict = {}
    exec(code.replace("OUT.npz", "ours.npz"), names)
    np.testing.assert_allclose(names["result"], theirs, rtol=1e-3)
    ours, real = (dict(np.load(tmp_path / f"{name}.npz")) for name in ("ours", "real"))
    weights = [name for name in real if name.endswith("/0")]
    measured(assert_equal({n: ours[n] for n in weights}, {n: real[n] for n in weights}, 1e-4))
    for name in set(real) - set(weights):  # biases, which begin with 0 and hardly move
        np.testing.assert_allclose(ours[name], real[name], rtol=1e-3, atol=1e-9)
    first = caffe.Net(net.deploy, str(tmp_path / "start.caffemodel"), caffe.TEST)
    moved = {
        name
        for name, blobs in first.params.items()
        if (ours[f"param/{name}/0"] != blobs[0].data).any()
    }
    learns = {"conv_final_cats_vs_dogs"} if freeze_until else set(first.params)
    assert moved == learns
