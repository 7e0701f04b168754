"""An imported net's files: as it is used, as it is trained, its weights, its contract."""

from pathlib import Path
from typing import Any

import yaml

from caffe.formats import to_text
from caffe.proto.caffe_pb2 import TEST, TRAIN, LayerParameter, NetParameter
from ripen.core.atomic import replacing, write_text
from ripen.nets.importing.convert import Converted
from ripen.nets.zoo.contract import Input
from ripen.nets.zoo.definition import LEARNT

BATCHES = {TRAIN: 32, TEST: 50}
PARTS = {TRAIN: "train", TEST: "val"}
BATCH_NORM, SCALE = [{"lr_mult": 0, "decay_mult": 0}] * 3, [{"decay_mult": 0}] * 2


def write(home: Path, converted: Converted, front: dict[str, Any], promised: Input) -> list[Path]:
    """Write a net's folder; return its files.

    Parameters
    ----------
    home : Path
        Its folder, whose name is the net's.
    converted : Converted
    front : dict
        The front matter of its readme.
    promised : Input
        What the net takes.
    """
    deploy, train_val = home / "deploy.prototxt", home / "train_val.prototxt"
    weights, readme = home / f"{home.name}.caffemodel", home / "readme.md"
    with replacing(weights) as temporary:
        converted.filled().save(str(temporary))
    write_text(deploy, to_text(used(converted.net)))
    write_text(train_val, to_text(trained(converted.net, promised)))
    matter = yaml.safe_dump(front, sort_keys=False, default_flow_style=None, width=200)
    write_text(readme, f"---\n{matter}---\n\nImported by `ripen import-net {home.name}`.\n")
    return [deploy, train_val, weights, readme]


def used(net: NetParameter) -> NetParameter:
    """Return the net with probabilities at its end."""
    result = NetParameter()
    result.CopyFrom(net)
    if net.layer[-1].type != "Softmax":
        result.layer.add(name="prob", type="Softmax", bottom=net.layer[-1].top[:1], top=["prob"])
    return result


def trained(net: NetParameter, promised: Input) -> NetParameter:
    """Return the net that reads pictures and labels, with rates and fillers, and losses."""
    result = NetParameter(name=net.name)
    for phase in (TRAIN, TEST):
        data = result.layer.add(name="data", type="Data", top=["data", "label"])
        data.include.add(phase=phase)
        data.data_param.source = f"ilsvrc12_{PARTS[phase]}_lmdb"
        data.data_param.batch_size, data.data_param.backend = BATCHES[phase], data.data_param.LMDB
        transform = data.transform_param
        transform.mirror, transform.crop_size = phase == TRAIN, promised.height
        transform.mean_value.extend(promised.mean)
    layers = [layer for layer in net.layer if layer.type not in ("Input", "Softmax")]
    for layer in layers:
        _learning(result.layer.add(), layer)
    ends = [layers[-1].top[0], "label"]
    accuracy = result.layer.add(name="accuracy", type="Accuracy", bottom=ends, top=["accuracy"])
    accuracy.include.add(phase=TEST)
    result.layer.add(name="loss", type="SoftmaxWithLoss", bottom=ends, top=["loss"])
    return result


def _learning(layer: LayerParameter, plain: LayerParameter) -> None:
    """Copy a layer, and say how it learns and how it begins."""
    layer.CopyFrom(plain)
    if layer.type in ("Convolution", "InnerProduct"):
        convolution = layer.type == "Convolution"
        settings = layer.convolution_param if convolution else layer.inner_product_param
        settings.weight_filler.type = "msra" if convolution else "xavier"
        _rates(layer, LEARNT[: 1 + settings.bias_term])
    elif layer.type == "BatchNorm":
        _rates(layer, BATCH_NORM)
    elif layer.type == "Scale" and len(layer.bottom) == 1:
        _rates(layer, SCALE)


def _rates(layer: LayerParameter, rates: list[dict[str, int]]) -> None:
    for rate in rates:
        layer.param.add(**rate)
