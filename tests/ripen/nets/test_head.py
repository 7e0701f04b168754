"""A head on frozen features, trained and joined with its net, in both engines."""

from pathlib import Path

import numpy as np
from ripen.learn.training import heads
from ripen.settings.schema.net import Solver
from ripen.settings.schema.photos import Head

import caffe
from caffe.formats import to_text
from ripen.core.atomic import write_text
from ripen.nets import head
from ripen.nets.engines.engine import RealEngine, TorchEngine
from ripen.nets.surgery import trunk
from ripen.nets.zoo import DEFINITIONS

SIDE = 83
SOLVER = Solver(base_lr=0.001, lr_policy="poly", power=1.0, momentum=0.9, max_iter=30)


def test_both_engines_train_the_same_head(real: RealEngine, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    labels = np.arange(24) % 2
    images = rng.normal(0, 40, (24, 3, SIDE, SIDE)).astype(np.float32)
    images[labels == 1, 0] += 30
    layers, pools = ["fire8/concat", "conv_final"], ["AVE", "MAX"]
    frozen = trunk(DEFINITIONS["squeezenet"].deploy(), layers, pools, SIDE)
    caffe.set_random_seed(7)
    net = caffe.Net(frozen, caffe.TEST)
    net.save(str(tmp_path / "frozen.caffemodel"))
    net.blobs["data"].reshape(*images.shape)
    (features,) = net.forward(data=images).values()
    rows = heads.Rows(np.array(features).reshape(24, -1), labels)
    settings = Head(nets=["squeezenet"], batch_size=8, check_interval=10, solver=SOLVER)
    deploy = head.deploy([frozen], 2)
    write_text(tmp_path / "deploy.prototxt", to_text(deploy))
    found, curves, every = [], [], np.arange(24)
    for name, engine in (("torch", TorchEngine()), ("real", real)):
        own, whole = tmp_path / name, tmp_path / f"{name}.caffemodel"
        curves.append(heads.train(settings, rows, every, every, own, 3, engine).curve())
        weights = {"": tmp_path / "frozen.caffemodel"}
        head.write_whole(deploy, weights, own / "model.caffemodel", whole)
        found.append(engine.predict(tmp_path / "deploy.prototxt", whole, images))
        alone = heads.predict(own, rows.data, engine)
        np.testing.assert_allclose(found[-1], alone, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(curves[1], curves[0], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-3, atol=1e-5)
    assert (found[0].argmax(axis=1) == labels).all()
