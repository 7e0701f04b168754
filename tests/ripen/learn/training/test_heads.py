"""Heads on features: the very net that the whole one becomes when all below the head is frozen."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import caffe
from caffe.formats import to_text
from caffe.proto.caffe_pb2 import NetParameter
from ripen.core.atomic import write_text
from ripen.learn.models.train_net import Training, train_net
from ripen.learn.training import heads
from ripen.nets import head
from ripen.nets.engines.engine import TorchEngine
from ripen.nets.surgery import output, trunk
from ripen.nets.zoo import DEFINITIONS
from ripen.settings.schema.net import Solver, Train
from ripen.settings.schema.photos import Head

SOLVER = Solver(base_lr=0.05, lr_policy="fixed", momentum=0.9, weight_decay=0.05, max_iter=40)
SETTINGS = Head(nets=["squeezenet"], batch_size=8, check_interval=10, solver=SOLVER)


def tiny() -> NetParameter:
    """Return a net of two convolutions."""
    n = caffe.NetSpec()
    n.data = caffe.layers.Input(shape={"dim": [1, 3, 12, 12]})
    filler = {"type": "gaussian", "std": 0.3}
    for name, outputs in (("first", 6), ("second", 10)):
        bottom = n.data if name == "first" else n.relu
        n[name] = caffe.layers.Convolution(
            bottom, num_output=outputs, kernel_size=3, weight_filler=filler
        )
        n.relu = caffe.layers.ReLU(n[name], in_place=True)
    return n.to_proto()


def rows_of(net: caffe.Net, pictures: NDArray[np.float32], labels: NDArray[np.int64]) -> heads.Rows:
    net.blobs["data"].reshape(*pictures.shape)
    (found,) = net.forward(data=pictures).values()
    return heads.Rows(np.array(found).reshape(len(pictures), -1), labels)


def whole_train_val(
    frozen: NetParameter, lists: tuple[Path, Path], sizes: tuple[int, int], classes: int
) -> NetParameter:
    """Return the whole net to be trained as Caffe users do it: all rates of the frozen part 0."""
    net = head.train_val(classes, (lists[0], sizes[0]), (lists[1], sizes[1]))
    data, rest = list(net.layer[:2]), list(net.layer[2:])
    rest[0].bottom[:] = [output(frozen)]
    whole = NetParameter(name="whole")
    whole.layer.extend([*data, *frozen.layer[1:], *rest])
    for layer in whole.layer:
        if layer.type == "Convolution":
            del layer.param[:]
            for _ in range(2):
                layer.param.add(lr_mult=0, decay_mult=0)
        if layer.type == "Dropout":
            layer.dropout_param.dropout_ratio = 0
    return whole


@pytest.mark.parametrize(
    ("net", "layers", "pools", "side"),
    [
        ("tiny", ["second"], ["AVE"], 12),
        ("tiny", ["first", "second"], ["AVE", "MAX"], 14),
        ("squeezenet", ["fire9/concat", "conv_final"], ["AVE", "MAX"], 83),
    ],
)
def test_the_head_alone_is_the_whole_net_with_rates_0(
    net: str, layers: list[str], pools: list[str], side: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    n = 12 if net == "squeezenet" else 40
    pictures = rng.normal(0, 30, (n, 3, side, side)).astype(np.float32)
    labels = np.arange(n) % 2
    pictures[labels == 1] += 10
    definition = tiny() if net == "tiny" else DEFINITIONS[net].deploy()
    frozen = trunk(definition, layers, pools, side)
    caffe.set_random_seed(3)
    net_below = caffe.Net(frozen, caffe.TEST)
    net_below.save(str(tmp_path / "frozen.caffemodel"))
    rows, held_out = np.arange(n - 4), np.arange(n - 4, n)
    features = rows_of(net_below, pictures, labels)
    settings = SETTINGS
    alone = heads.train(settings, features, rows, held_out, tmp_path / "alone", 5, TorchEngine())
    whole = train_whole(frozen, heads.Rows(pictures, labels), rows, held_out, features, tmp_path)
    np.testing.assert_allclose(alone.curve(), whole.curve(), rtol=2e-4, atol=1e-6)
    here, there = (
        caffe.Net(str(tmp_path / where / definition), caffe.TEST, weights=str(tmp_path / weights))
        for where, definition, weights in (
            ("alone", heads.HEAD, "alone/model.caffemodel"),
            ("whole", "train_val.prototxt", "whole/model.caffemodel"),
        )
    )
    for blob in (0, 1):
        np.testing.assert_allclose(
            here.params["scores"][blob].data,
            there.params["scores"][blob].data,
            rtol=2e-3,
            atol=2e-6,
        )
    # And the whole net that is put together gives what the head gives.
    deployed = head.deploy([frozen], 2)
    write_text(tmp_path / "deploy.prototxt", to_text(deployed))
    head.write_whole(
        deployed,
        {"": tmp_path / "frozen.caffemodel"},
        tmp_path / "alone" / "model.caffemodel",
        tmp_path / "model.caffemodel",
    )
    engine = TorchEngine()
    together = engine.predict(tmp_path / "deploy.prototxt", tmp_path / "model.caffemodel", pictures)
    np.testing.assert_allclose(
        together, heads.predict(tmp_path / "alone", features.data, engine), rtol=1e-4, atol=1e-6
    )


def train_whole(
    frozen: NetParameter,
    pictures: heads.Rows,
    rows: NDArray[np.int64],
    held_out: NDArray[np.int64],
    features: heads.Rows,
    folder: Path,
) -> Training:
    """Train the whole net on pictures in the order that the head alone has seen."""
    own = folder / "whole"
    own.mkdir()
    order = rows[np.random.default_rng(5).permutation(len(rows))]
    lists = (
        heads.write_rows(own, "train", pictures, order),
        heads.write_rows(own, "held_out", pictures, held_out),
    )
    sizes = SETTINGS.batch_size, len(held_out)
    net = whole_train_val(frozen, lists, sizes, 2)
    start = caffe.Net(head.deploy([frozen], 2), caffe.TEST)
    begin = own / "scaling.caffemodel"
    head.start(2, head.Scaling.of(features.data, rows), begin)
    start.copy_from(str(folder / "frozen.caffemodel"))
    start.copy_from(str(begin))
    start.save(str(own / "start.caffemodel"))
    to_the_end = Train(
        batch_size=SETTINGS.batch_size,
        check_interval=SETTINGS.check_interval,
        tolerance=0,
        patience=SOLVER.max_iter,
        early_stopping=SOLVER.max_iter,
    )
    return train_net(
        net, SOLVER, to_the_end, 5, own, lambda _: None, own / "start.caffemodel", keep="last"
    )
