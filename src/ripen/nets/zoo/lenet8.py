"""LeNet for pictures of 8x8: two small convolutions, each pooled, and two layers of sums."""

from functools import partial
from pathlib import Path
from typing import Any

from caffe import NetSpec
from caffe import layers as L
from caffe.net_spec import Top
from caffe.proto.caffe_pb2 import NetParameter
from ripen.nets.zoo.definition import (
    LEARNT,
    XAVIER,
    Definition,
    Source,
    deploy,
    loss_and_accuracy,
    max_pool,
    softmax,
    train_val,
)

TITLE = "LeNet8"
SHAPE = (1, 1, 8, 8)
FILLED: dict[str, Any] = {"param": LEARNT, "weight_filler": XAVIER}


def written_train_val(
    classes: int, train: tuple[Path, int], validation: tuple[Path, int]
) -> NetParameter:
    """Write the net that is trained.

    Parameters
    ----------
    classes : int
        Number of outputs.
    train, validation : (Path, int)
        The list file of an HDF5Data layer, and how many rows make a batch.
    """
    parts = [
        {"source": source.as_posix(), "batch_size": size} for source, size in (train, validation)
    ]
    source = Source(parts[0], parts[1], type="HDF5Data")
    return train_val(TITLE, source, partial(_body, classes=classes), loss_and_accuracy)


def written_deploy(classes: int) -> NetParameter:
    """Write the net that is used: input ``data``, output ``prob``."""
    return deploy(TITLE, SHAPE, partial(_body, classes=classes), softmax)


def _body(n: NetSpec, classes: int) -> Top:
    x = n.data
    for stage, num_output in ((1, 16), (2, 32)):
        n[f"conv{stage}"] = L.Convolution(x, num_output=num_output, kernel_size=3, pad=1, **FILLED)
        n[f"relu{stage}"] = L.ReLU(n[f"conv{stage}"], in_place=True)
        n[f"pool{stage}"] = x = max_pool(n[f"relu{stage}"], kernel_size=2)
    n.ip1 = L.InnerProduct(x, num_output=64, **FILLED)
    n.relu3 = L.ReLU(n.ip1, in_place=True)
    n.ip2 = L.InnerProduct(n.relu3, num_output=classes, **FILLED)
    return n.ip2


digits = Definition(
    partial(written_deploy, 10),
    partial(written_train_val, 10, (Path("train.txt"), 100), (Path("test.txt"), 100)),
)
