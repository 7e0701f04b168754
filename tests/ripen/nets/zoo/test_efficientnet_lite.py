"""EfficientNet-lite: its blocks, its folded layers, and its probabilities against PyTorch's."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

import caffe
from ripen.core.errors import DataError, SourceError
from ripen.data import image_input
from ripen.data.decode import decode as read_image
from ripen.nets import published as weights
from ripen.nets.contract import contract
from ripen.nets.definition import relu6
from ripen.nets.folding import Filter, Normalization, same
from ripen.nets.zoo import DEFINITIONS
from ripen.nets.zoo.efficientnet_lite import SCALES, blocks, decode

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "zeros"),
    [(224, 3, 2, (0, 1)), (112, 3, 1, (1, 1)), (56, 5, 2, (1, 2)), (15, 5, 2, (2, 2))],
)
def test_same_padding(size: int, kernel: int, stride: int, zeros: tuple[int, int]) -> None:
    assert same(size, kernel, stride) == zeros


def test_blocks_are_the_published_ones() -> None:
    found = list(blocks(SCALES[0]))
    assert [b.outputs for b in found] == [
        16,
        24,
        24,
        40,
        40,
        *[80] * 3,
        *[112] * 3,
        *[192] * 4,
        320,
    ]
    assert [b.size for b in found if b.stride == 2] == [112, 56, 28, 14]
    assert sum(b.residual for b in found) == 9
    assert [len(list(blocks(scale))) for scale in SCALES] == [16, 21, 21]


@given(st.integers(5, 12), st.sampled_from([1, 3, 5]), st.integers(1, 2), st.integers(0, 2**32 - 1))
def test_a_folded_filter_has_the_same_values(
    size: int, kernel: int, stride: int, seed: int
) -> None:
    """Padding on one side, a convolution and its normalization equal one wider convolution."""
    random = np.random.default_rng(seed)
    x, weight = random.normal(size=(2, 3, size, size)), random.normal(size=(4, 3, kernel, kernel))
    mean, scale, shift = random.normal(size=(3, 4))
    variance = random.uniform(0.1, 2, 4)
    before, after = same(size, kernel, stride)
    padded = functional.pad(torch.from_numpy(x), (before, after, before, after))
    plain = functional.conv2d(padded, torch.from_numpy(weight), stride=stride)
    parts = map(torch.from_numpy, (mean, variance, scale, shift))
    expected = functional.batch_norm(plain, *parts, eps=1e-3)
    folded = Filter(weight, np.zeros(4)).normalized(
        Normalization(mean, variance, scale, shift, 1e-3)
    )
    wide, pad = folded.widened((before, before), (after, after))
    found = functional.conv2d(
        torch.from_numpy(x), *map(torch.from_numpy, wide), stride=stride, padding=pad
    )
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_relu6_in_layers_of_caffe() -> None:
    n = caffe.NetSpec()
    n.data = caffe.layers.Input(shape={"dim": [7]})
    relu6(n, n.data, "x")
    net = caffe.Net(n.to_proto(), caffe.TEST)
    values = np.array([-9, -1, 0, 0.5, 5.75, 6, 100], np.float32)
    (found,) = net.forward(data=values).values()
    assert found.tolist() == [0, 0, 0, 0.5, 5.75, 6, 6]


def saved(state: object) -> bytes:
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no weights", "file: not a file of PyTorch weights"),
        (saved([1, 2]), "file: not a dict of tensors"),
        (saved({"x": torch.zeros(1)}), "file: '_conv_stem.weight' is missing"),
    ],
)
def test_files_with_other_content(content: bytes, message: str) -> None:
    net = caffe.Net(DEFINITIONS["efficientnet_lite0"].deploy(), caffe.TEST)
    with pytest.raises(DataError, match=message):
        decode(content, net, "file")


def reference(state: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Return the probabilities of the published net, computed with PyTorch from its own weights."""

    def conv(x: torch.Tensor, name: str, norm: str, stride: int = 1) -> torch.Tensor:
        weight = state[f"{name}.weight"]
        sides = same(x.shape[-1], weight.shape[-1], stride)
        groups = x.shape[1] // weight.shape[1]
        y = functional.conv2d(functional.pad(x, sides * 2), weight, stride=stride, groups=groups)
        parts = (state[f"{norm}.{p}"] for p in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(y, *parts, eps=1e-3)

    x = functional.relu6(conv(x, "_conv_stem", "_bn0", 2))
    for i, block in enumerate(blocks(SCALES[0])):
        where, y = f"_blocks.{i}", x
        if block.widening != 1:
            y = functional.relu6(conv(y, f"{where}._expand_conv", f"{where}._bn0"))
        y = functional.relu6(conv(y, f"{where}._depthwise_conv", f"{where}._bn1", block.stride))
        y = conv(y, f"{where}._project_conv", f"{where}._bn2")
        x = x + y if block.residual else y
    x = functional.relu6(conv(x, "_conv_head", "_bn1")).mean((2, 3))
    return functional.linear(x, state["_fc.weight"], state["_fc.bias"]).softmax(1)


def test_probabilities_are_pytorchs(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    try:
        net = weights.load("efficientnet_lite0")
    except SourceError as error:
        pytest.skip(str(error))
    files = sorted((mirror / "EliSchwartz/imagenet-sample-images").glob("*.JPEG"))[:4]
    promised = contract("efficientnet_lite0").input
    data = np.stack([image_input.values(read_image(f, f.name), promised) for f in files])
    net.blobs["data"].reshape(*data.shape)
    found = net.forward(data=data)["prob"]
    state = torch.load(
        "models/efficientnet_lite0/efficientnet_lite0.pth", weights_only=True, map_location="cpu"
    )
    rgb = torch.from_numpy(data[:, ::-1].copy()) / 128
    np.testing.assert_allclose(found, reference(state, rgb), rtol=2e-4, atol=1e-5)
    assert (found.argmax(axis=1) == reference(state, rgb).argmax(1).numpy()).all()
