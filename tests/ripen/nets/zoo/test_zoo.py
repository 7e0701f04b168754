"""The zoo: its registry, and its definitions against the published ones, layer by layer."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from google.protobuf.message import Message

import caffe
import ripen
from caffe.proto.caffe_pb2 import NetParameter, SolverParameter
from caffe.upgrade import upgrade_net
from ripen.nets.contract import contract
from ripen.nets.zoo import DEFINITIONS

BVLC = Path("BVLC/caffe")
SONGHAN = Path("songhan/SqueezeNet-Deep-Compression")
# Paths of the published files of each net: deploy, train_val, solver.
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
# Number of learnable parameters, from the papers and readmes.
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
    # For an image of 32x32, which leaves 1 of 49 positions to the first fully connected layer.
    "vgg16": 138_357_544 - 48 * 512 * 4096,
    # With a bias in its first layer, as in Caffe's file, and without stored means and variances.
    "resnet50": 25_557_032 + 64,
}
# Defaults that some files write out and others leave out.
DEFAULTS: dict[str, Any] = {"lr_mult": 1, "decay_mult": 1, "stride": [1], "top_k": 1}
# A deploy net does not learn: only some of the published ones have fillers and rates.
OF_TRAINING = ("param", "weight_filler", "bias_filler")


NET = """
from functools import partial

from ripen.nets.definition import DEFINITIONS, Definition, deploy, softmax


def _body(n):
    return n.data


DEFINITIONS.add("tiny", Definition(partial(deploy, "Tiny", (1, 1, 2, 2), _body, softmax)))
"""
NAMES = "from ripen.nets.zoo import DEFINITIONS; print(*DEFINITIONS)"


@pytest.mark.slow  # another interpreter
def test_a_file_in_the_folder_adds_its_nets(tmp_path: Path) -> None:
    shutil.copytree(Path(ripen.__file__).parent, tmp_path / "ripen")
    (tmp_path / "ripen/nets/zoo/tiny.py").write_text(NET)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(tmp_path), *sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", NAMES], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == sorted([*DEFINITIONS, "tiny"])


def test_a_name_cannot_be_registered_twice() -> None:
    lenet = DEFINITIONS["lenet"]
    with pytest.raises(ValueError, match="two nets are called 'lenet'"):
        DEFINITIONS.add("lenet", DEFINITIONS["vgg16"])
    assert DEFINITIONS["lenet"] is lenet


@pytest.mark.parametrize("name", DEFINITIONS)
def test_every_net_decodes_the_format_of_its_published_weights(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[4])
    published, decoder = contract(name).weights, DEFINITIONS[name].decoder
    formats = {"caffemodel"} if decoder is None else {"caffemodel", decoder.format}
    assert published is None or published.format in formats


def test_every_definition_is_compared() -> None:
    # EfficientNet was never published for Caffe: test_efficientnet_lite.py compares its values.
    # lenet8 is this repository's own; the files of the others are not in the mirror.
    own = {*(f"efficientnet_lite{i}" for i in range(3)), "lenet8", "resnet50", "vgg16"}
    assert set(PUBLISHED) | own == set(DEFINITIONS)


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
def test_number_of_parameters_is_the_published_one(name: str) -> None:
    definition = DEFINITIONS[name].deploy()
    shape = definition.layer[0].input_param.shape[0].dim
    shape[0] = 1
    if name == "vgg16":
        shape[2:] = [32, 32]
    for layer in definition.layer:  # to draw millions of weights takes most of the time
        for part in ("convolution_param", "inner_product_param"):
            if layer.HasField(part):
                getattr(layer, part).ClearField("weight_filler")
    net = caffe.Net(definition, caffe.TEST)
    stored = {layer.name for layer in definition.layer if layer.type == "BatchNorm"}
    learnt = [blobs for layer, blobs in net.params.items() if layer not in stored]
    assert sum(blob.count for blobs in learnt for blob in blobs) == PARAMETERS[name]


def test_resnet50_is_the_published_one() -> None:
    """The names of its layers are those of the published file."""
    layers = {layer.name: layer for layer in DEFINITIONS["resnet50"].deploy().layer}
    kinds = Counter(layer.type for layer in layers.values())
    assert kinds["Convolution"] == kinds["BatchNorm"] == kinds["Scale"] == 53
    assert (kinds["ReLU"], kinds["Eltwise"]) == (49, 16)
    halved = {name for name, layer in layers.items() if 2 in layer.convolution_param.stride}
    thirds = {f"res{i}a_branch{part}" for i in (3, 4, 5) for part in ("1", "2a")}
    assert halved == {"conv1"} | thirds
    assert list(layers["res4f"].bottom) == ["res4e", "res4f_branch2c"]
    block = ["res3a_branch2b", "bn3a_branch2b", "scale3a_branch2b", "res3a_branch2b_relu"]
    where = list(layers).index(block[0])
    assert list(layers)[where : where + 4] == block
    assert all(list(layers[name].top) == block[:1] for name in block)
    assert [name for name in layers if name.endswith("conv1") or name == "conv1_relu"] == [
        "conv1",
        "bn_conv1",
        "scale_conv1",
        "conv1_relu",
    ]
    assert all(
        layer.batch_norm_param.use_global_stats
        for layer in layers.values()
        if layer.type == "BatchNorm"
    )


def test_vgg16_is_the_published_one() -> None:
    layers = DEFINITIONS["vgg16"].deploy().layer
    names = [layer.name for layer in layers if layer.type in ("Convolution", "Pooling")]
    assert names == [
        *("conv1_1", "conv1_2", "pool1", "conv2_1", "conv2_2", "pool2"),
        *("conv3_1", "conv3_2", "conv3_3", "pool3", "conv4_1", "conv4_2", "conv4_3", "pool4"),
        *("conv5_1", "conv5_2", "conv5_3", "pool5"),
    ]
    last = ["fc6", "relu6", "drop6", "fc7", "relu7", "drop7", "fc8", "prob"]
    assert [layer.name for layer in layers][-8:] == last
