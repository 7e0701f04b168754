"""`ripen import-net`: a net of the zoo fetched, a PyTorch network or an ONNX model imported."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter

from caffe.formats import to_text
from caffe.proto.caffe_pb2 import TEST, TRAIN, LayerParameter, NetParameter
from ripen.core.atomic import replacing, write_text
from ripen.core.errors import UsageError
from ripen.data.image_input import Input
from ripen.nets.contract import MODELS, contract
from ripen.nets.definition import LEARNT
from ripen.nets.importing.architectures import build, load_state
from ripen.nets.importing.convert import Converted, convert
from ripen.nets.importing.from_onnx import from_onnx
from ripen.nets.published import caffemodel
from ripen.nets.surgery import add_losses
from ripen.nets.zoo import DEFINITIONS

IMAGENET = 1000  # classes
BATCHES = {TRAIN: 32, TEST: 50}
PARTS = {TRAIN: "train", TEST: "val"}
# Caffe's solver must not update a BatchNorm; a Scale learns without weight decay.
BATCH_NORM, SCALE = [{"lr_mult": 0, "decay_mult": 0}] * 3, [{"decay_mult": 0}] * 2


def import_net(
    name: str,
    weights: Path | None,
    architecture: str | None,
    outputs: int | None = None,
    size: int | None = None,
    mean: Sequence[float] | None = None,
    deviation: Sequence[float] | None = None,
) -> int:
    """Write a net's folder and print its files; return the exit code.

    Parameters
    ----------
    name : str
        The net, a folder of models/; or an ONNX model, whose name the net gets.
    weights : Path or None
        A local file of weights; required with an architecture. An ONNX model is a net by itself.
    architecture : str or None
        A network of torchvision or timm; by default `name` is a net of the zoo.
    outputs, size : int or None
        Number of classes and size of the input, if not the architecture's defaults.
    mean, deviation : sequence of float, or None
        Of an ONNX model's input, as in `from_onnx`.

    Raises
    ------
    UsageError, SourceError, DataError
        If the net does not exist, its weights are not found or do not fit, or an operator of the
        network has no layer in Caffe.
    """
    if weights is None and name.endswith(".onnx"):
        weights = Path(name)
        name = re.sub(r"[^a-z0-9]+", "_", weights.stem.lower())
    model = weights is not None and weights.suffix == ".onnx"
    if outputs and not architecture or size and not architecture and not model:
        raise UsageError("--outputs and --size go with --arch; --size with an ONNX model too")
    if not model and (mean or deviation):
        raise UsageError("--mean and --std go with an ONNX model")
    if model and weights is not None:
        if architecture:
            raise UsageError(f"--arch goes with weights of PyTorch; {weights.name} has its own")
        print(_of_onnx(name, weights, size, mean, deviation))
    elif architecture is None:
        home = caffemodel(name, weights).parent
        print(_table(sorted(f for f in home.iterdir() if f.suffix in (".prototxt", ".caffemodel"))))
    else:
        print(_imported(name, weights, architecture, outputs, size))
    if contract(name).classes:
        print(f"try it: ripen classify IMAGE --net {name}")
    return 0


def _imported(
    name: str, weights: Path | None, architecture: str, outputs: int | None, size: int | None
) -> str:
    _check_name(name)
    if weights is None:
        raise UsageError(f"--arch {architecture} needs --weights FILE")
    found = build(architecture, weights, outputs, size)
    load_state(found.module, weights)
    shape = (3, found.input.height, found.input.width)
    title = architecture.partition(":")[2]
    converted = convert(found.module, shape, title, found.deviation)
    source = {"format": "pytorch", "architecture": architecture}
    return _written(name, weights, source, converted, found.input, "PyTorch")


def _of_onnx(
    name: str,
    model: Path,
    size: int | None,
    mean: Sequence[float] | None,
    deviation: Sequence[float] | None,
) -> str:
    _check_name(name)
    converted, wanted = from_onnx(model, mean, deviation, size)
    result = _written(name, model, {"format": "onnx"}, converted, wanted, "ONNX Runtime")
    if mean is None and deviation is None:
        result += "\nits input is taken for ImageNet's, as torchvision has it: see --mean and --std"
    return result


def _check_name(name: str) -> None:
    if name in DEFINITIONS:
        raise UsageError(f"'{name}' is a net of the zoo; choose another name")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UsageError(f"'{name}' is not a valid name. Allowed: a-z, 0-9 and _")


def _written(
    name: str,
    weights: Path,
    source: dict[str, str],
    converted: Converted,
    wanted: Input,
    peer: str,
) -> str:
    """Write the folder of an imported net; return what to print."""
    net = converted.filled()
    classes = net.blobs[converted.net.layer[-1].top[0]].shape[1]
    front = {
        "name": converted.net.name,
        "caffemodel": f"{name}.caffemodel",
        "weights": {**source, "sha256": _sha256(weights)},
        "license": f"not stated: see the publisher of {weights.name}",
        "input": TypeAdapter(Input).dump_python(wanted, exclude_none=True),
        **({"classes": "imagenet"} if classes == IMAGENET else {}),
        "parameters": sum(blob.count for blobs in net.params.values() for blob in blobs),
    }
    table = _table(_write(MODELS / name, converted, front, wanted))
    if converted.difference is None:
        return f"{table}\nits outputs were not compared: {peer} is not installed"
    found = f"{converted.difference:.1g}"
    return f"{table}\nits outputs for random images agree with {peer}'s within {found}"


def _write(home: Path, converted: Converted, front: dict[str, Any], wanted: Input) -> list[Path]:
    """Write the folder of an imported net; return its files.

    Parameters
    ----------
    home : Path
        The folder; its name is the net's.
    converted : Converted
    front : dict
        Front matter of the readme.
    wanted : Input
        The net's input.
    """
    deploy, train_val = home / "deploy.prototxt", home / "train_val.prototxt"
    weights, readme = home / f"{home.name}.caffemodel", home / "readme.md"
    with replacing(weights) as temporary:
        converted.filled().save(str(temporary))
    write_text(deploy, to_text(with_probabilities(converted.net)))
    write_text(train_val, to_text(with_losses(converted.net, wanted)))
    matter = yaml.safe_dump(front, sort_keys=False, default_flow_style=None, width=200)
    write_text(readme, f"---\n{matter}---\n\nImported by `ripen import-net {home.name}`.\n")
    return [deploy, train_val, weights, readme]


def with_probabilities(net: NetParameter) -> NetParameter:
    """Return the net with a Softmax at its end."""
    result = NetParameter()
    result.CopyFrom(net)
    if net.layer[-1].type != "Softmax":
        result.layer.add(name="prob", type="Softmax", bottom=net.layer[-1].top[:1], top=["prob"])
    return result


def with_losses(net: NetParameter, wanted: Input) -> NetParameter:
    """Return the net for training: with data layers, learning rates, fillers and a loss."""
    result = NetParameter(name=net.name)
    for phase in (TRAIN, TEST):
        data = result.layer.add(name="data", type="Data", top=["data", "label"])
        data.include.add(phase=phase)
        data.data_param.source = f"ilsvrc12_{PARTS[phase]}_lmdb"
        data.data_param.batch_size, data.data_param.backend = BATCHES[phase], data.data_param.LMDB
        transform = data.transform_param
        transform.mirror, transform.crop_size = phase == TRAIN, wanted.height
        transform.mean_value.extend(wanted.mean)
    layers = [layer for layer in net.layer if layer.type != "Input"]
    if layers[-1].type == "Softmax":
        layers.pop()
    for layer in layers:
        _learning(result.layer.add(), layer)
    add_losses(result, layers[-1].top[0])
    return result


def _learning(layer: LayerParameter, plain: LayerParameter) -> None:
    """Copy a layer, with learning rates and fillers."""
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


def _table(written: list[Path]) -> str:
    width = max(len(str(file)) for file in written)
    return "\n".join(f"{file!s:<{width}}  sha256 {_sha256(file)}" for file in written)


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
