"""The zoo's definitions against the published ones, layer by layer."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from google.protobuf.message import Message

import caffe
from caffe.proto.caffe_pb2 import NetParameter, SolverParameter
from caffe.upgrade import upgrade_net
from ripen.zoo import DEFINITIONS

BVLC = Path("BVLC/caffe")
SONGHAN = Path("songhan/SqueezeNet-Deep-Compression")
# Net, and where its published files are: deploy, train_val, solver.
PUBLISHED: dict[str, tuple[Path | None, Path | None, Path | None]] = {
    "squeezenet": (SONGHAN / "SqueezeNet_deploy", SONGHAN / "SqueezeNet_trainval", None),
    "rcnn_ilsvrc13": (BVLC / "models/bvlc_reference_rcnn_ilsvrc13/deploy", None, None),
    "lenet": (
        BVLC / "examples/mnist/lenet",
        BVLC / "examples/mnist/lenet_train_test",
        BVLC / "examples/mnist/lenet_solver",
    ),
    "cifar10_full_sigmoid": (
        None,
        BVLC / "examples/cifar10/cifar10_full_sigmoid_train_test",
        BVLC / "examples/cifar10/cifar10_full_sigmoid_solver",
    ),
    "cifar10_full_sigmoid_bn": (
        None,
        BVLC / "examples/cifar10/cifar10_full_sigmoid_train_test_bn",
        BVLC / "examples/cifar10/cifar10_full_sigmoid_solver_bn",
    ),
    **{
        name: (
            BVLC / f"models/{folder}/deploy",
            BVLC / f"models/{folder}/train_val",
            BVLC / f"models/{folder}/{solver}",
        )
        for name, folder, solver in (
            ("alexnet", "bvlc_alexnet", "solver"),
            ("caffenet", "bvlc_reference_caffenet", "solver"),
            ("googlenet", "bvlc_googlenet", "quick_solver"),
            ("flickr_style", "finetune_flickr_style", "solver"),
        )
    },
    **{
        name: (
            BVLC / f"examples/cifar10/{name}",
            BVLC / f"examples/cifar10/{name}_train_test",
            BVLC / f"examples/cifar10/{name}_solver",
        )
        for name in ("cifar10_quick", "cifar10_full")
    },
}
PARTS = ("deploy", "train_val")
FILES = [(name, i) for name in PUBLISHED for i in range(2) if PUBLISHED[name][i] is not None]
# Learnable numbers, as the papers and readmes count them.
PARAMETERS = {
    "squeezenet": 1_248_424,
    "alexnet": 60_965_224,
    "caffenet": 60_965_224,
    "googlenet": 6_998_552,
    "rcnn_ilsvrc13": 60_965_224 - 800 * 4097,
    "flickr_style": 60_965_224 - 980 * 4097,
    "lenet": 431_080,
    "cifar10_quick": 145_578,
    "cifar10_full": 89_578,
    "cifar10_full_sigmoid": 89_578,
}
# How the files spell what the definitions leave to the default, or the other way round.
DEFAULTS: dict[str, Any] = {"lr_mult": 1, "decay_mult": 1, "stride": [1], "top_k": 1}
# A deploy file learns nothing: some of the published ones have fillers and rates, some have not.
OF_TRAINING = ("param", "weight_filler", "bias_filler")


def test_every_definition_is_compared() -> None:
    # EfficientNet was never published for Caffe: test_efficientnet_lite.py compares its values.
    assert set(PUBLISHED) | {f"efficientnet_lite{i}" for i in range(3)} == set(DEFINITIONS)


def plain(message: Message, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a message's settings that are not the default, as plain Python."""
    found: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.name in without:
            continue
        if field.message_type is None:
            item = list(value) if field.is_repeated else value
            default = DEFAULTS.get(field.name, field.default_value)
        elif field.is_repeated:
            item, default = [plain(each, without) for each in value], None
            item = item if any(item) else []
        else:
            item, default = plain(value, without), {}
        if item not in (default, [], {}):
            found[field.name] = item
    return found


def read(mirror: Path, file: Path, message: Message) -> Any:
    return text_format.Parse((mirror / f"{file}.prototxt").read_text(), message)


@pytest.mark.parametrize(("name", "part"), FILES)
def test_layers_are_those_of_the_published_file(mirror: Path, name: str, part: int) -> None:
    file, make = PUBLISHED[name][part], getattr(DEFINITIONS[name], PARTS[part])
    assert file is not None
    published = upgrade_net(read(mirror, file, NetParameter()))
    ours, without = upgrade_net(make()), OF_TRAINING if part == 0 else ()
    assert ours.name == published.name
    theirs = [plain(layer, without) for layer in published.layer]
    if part == 0:  # published without a Softmax, or with another name for the input
        theirs[0]["name"] = "data"
        if theirs[-1]["type"] != "Softmax" and ours.layer[-1].type == "Softmax":
            theirs.append({"name": "prob", "type": "Softmax", "bottom": theirs[-1]["top"]})
            theirs[-1]["top"] = ["prob"]
    for layer, expected in zip(ours.layer, theirs, strict=True):
        assert plain(layer, without) == expected


@pytest.mark.parametrize("name", [name for name, files in PUBLISHED.items() if files[2]])
def test_solver_is_the_published_one(mirror: Path, name: str) -> None:
    file = PUBLISHED[name][2]
    assert file is not None
    published = plain(read(mirror, file, SolverParameter()), ("net", "snapshot_prefix"))
    published.pop("solver_mode", None)
    ours = DEFINITIONS[name].solver
    assert ours is not None
    assert plain(ours, ("net", "snapshot_prefix")) == published


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_as_many_as_published(name: str) -> None:
    definition = DEFINITIONS[name].deploy()
    definition.layer[0].input_param.shape[0].dim[0] = 1
    net = caffe.Net(definition, caffe.TEST)
    assert sum(blob.count for blobs in net.params.values() for blob in blobs) == PARAMETERS[name]
