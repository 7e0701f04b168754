"""PyTorch networks as Caffe nets: the same outputs, few layers, clear refusals."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from ripen.core.errors import DataError, UsageError
from ripen.nets.importing import convert
from ripen.nets.importing.convert import _difference
from ripen.nets.importing.windows import windows
from tests.ripen.nets.importing.networks import NETWORKS, SHAPE, SIZE, network, outputs

DEVIATION = (58.4, 57.1, 57.4)


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_are_pytorchs(name: str) -> None:
    module = network(name)
    converted = convert(module, SHAPE)
    random = np.random.default_rng(1).normal(size=(3, *SHAPE)).astype(np.float32)
    expected = outputs(module, torch.from_numpy(random)).numpy()
    net = converted.filled()
    net.blobs["data"].reshape(*random.shape)
    (found,) = net.forward(data=random).values()
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    assert expected.std(axis=0).min() > 1e-4  # the output depends on the image
    assert converted.difference <= 1e-5


@pytest.mark.parametrize("name", NETWORKS)
def test_images_in_bgr_that_are_not_divided(name: str) -> None:
    module = network(name)
    net = convert(module, SHAPE, deviation=DEVIATION).filled()
    bgr = np.random.default_rng(2).uniform(-120, 130, (1, *SHAPE)).astype(np.float32)
    rgb = bgr[:, ::-1] / np.array(DEVIATION, np.float32).reshape(1, 3, 1, 1)
    expected = outputs(module, torch.from_numpy(rgb)).numpy()
    (found,) = net.forward(data=bgr).values()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def types(module: nn.Module) -> Counter[str]:
    return Counter(layer.type for layer in convert(module, SHAPE).net.layer)


def test_normalizations_are_folded() -> None:
    found = types(network("resnet"))
    assert found["Convolution"] == 6
    assert found["BatchNorm"] == found["Scale"] == found["Flatten"] == 0


def test_normalizations_that_cannot_be_folded_stay() -> None:
    found = types(network("densenet"))
    assert found["BatchNorm"] == found["Scale"] == 3


def test_a_convolution_with_other_uses_is_not_folded() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            return self.bn(x) + x

    assert types(Shared())["BatchNorm"] == 1


def test_layers_are_named_like_modules_and_work_in_place() -> None:
    net = convert(network("vgg"), SHAPE, title="vgg").net
    assert net.name == "vgg"
    found = [(layer.name, layer.type, layer.bottom[:], layer.top[:]) for layer in net.layer[1:4]]
    assert found == [
        ("0", "Convolution", ["data"], ["0"]),
        ("2", "ReLU", ["0"], ["0"]),
        ("3", "Pooling", ["0"], ["3"]),
    ]
    net = convert(network("resnet"), SHAPE).net
    names = [layer.name for layer in net.layer]
    assert names[4:9] == ["4/conv1", "4/relu", "4/conv2", "4/add", "4/relu_2"]


def test_unused_layers_are_dropped() -> None:
    class Dead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.other = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            self.other(x)
            return self.conv(x)

    assert [layer.name for layer in convert(Dead(), SHAPE).net.layer] == ["data", "conv"]


def test_an_input_changed_in_place() -> None:
    class Changed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            y = F.relu_(x)
            return y * 2 + x

    assert convert(Changed(), SHAPE).difference <= 1e-5


class Applied(nn.Module):
    """A function after a convolution."""

    def __init__(self, function) -> None:
        super().__init__()
        self.conv, self.function = nn.Conv2d(3, 4, 2), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.conv(x))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU()), r"1 \(GELU\) calls aten.gelu.default. All"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(19, 2)), r"1 \(Linear\) takes \(2, 4, 19, 19"),
        (nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False)), r"0 \(BatchNorm2d\) normali"),
        (nn.AdaptiveAvgPool2d(4), r"AdaptiveAvgPool2d.* pools \(21, 21\) to \(4, 4\). All"),
        (nn.MaxPool2d(2, 4, ceil_mode=True), None),
        (nn.MaxPool2d(2, dilation=2), r"has dilation \[2, 2\]"),
        (nn.AvgPool2d(3, padding=1, count_include_pad=False), "does not count padding"),
        (nn.AvgPool2d(3, divisor_override=2), "divides by divisor_override"),
        (Applied(lambda x: F.pad(x, (1, 1, 1, 1), value=2)), r"pads by \[1, 1, 1, 1\]"),
        (Applied(lambda x: F.relu(F.pad(x, (1, 1)))), "has maps padded with zeros"),
        (Applied(lambda x: x + x[:, :1]), r"calls aten.slice"),
        (Applied(lambda x: x + x.mean((2, 3), keepdim=True)), r"combines \(2, 4, 1, 1\) and \(2, "),
        (Applied(lambda x: (x, x)), "the network returns several tensors. Allowed: one"),
        (Applied(lambda x: x.reshape(2, 2, 2, 20, 20)), r"reshapes \(2, 4, 20, 20\) to \(2, 2, "),
        (Applied(lambda x: x if x.sum() > 0 else -x), "Applied cannot be traced for images of"),
        (Applied(lambda x: x.clamp(-1, 1)), r"clamps to \(-1, 1\). Allowed: from 0 to a positive"),
        (Applied(lambda x: x.mean(1)), r"averages axes \[1\]"),
        (Applied(lambda x: F.conv2d(x, x[:, :, :2, :2])), "calls aten.slice"),
        (Applied(lambda x: F.conv2d(x, x)), "has computed weights"),
        (nn.Identity(), "the network returns its input"),
    ],
)  # fmt: skip
def test_operators_without_a_layer_in_caffe(module: nn.Module, message: str | None) -> None:
    if message is None:
        assert convert(module, SHAPE).difference == 0
        return
    with pytest.raises(UsageError, match=message) as error:
        convert(module, SHAPE)
    assert "\n" not in str(error.value)


def test_a_first_layer_that_is_not_a_convolution() -> None:
    with pytest.raises(UsageError, match=r"0 \(Pooling\) reads the image"):
        convert(nn.Sequential(nn.MaxPool2d(2)), SHAPE, deviation=DEVIATION)


def test_a_net_with_other_outputs_is_refused() -> None:
    """A network whose trace differs from what it computes."""

    class Fickle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x) * (1 + torch.compiler.is_exporting())

    with pytest.raises(DataError, match="the net's outputs differ from the network's by 1 of the"):
        convert(Fickle(), SHAPE)


@given(st.integers(1, 30), st.integers(1, 5), st.integers(1, 5), st.integers(0, 2), st.booleans())
def test_number_of_windows_is_that_of_caffes_pooling(
    size: int, kernel: int, stride: int, pad: int, ceil: bool
) -> None:
    """PyTorch's rule is Caffe's wherever a window of it begins in the map or its padding."""
    if pad * 2 > kernel or size + 2 * pad < kernel:
        return
    x = torch.zeros(1, 1, size, size)
    expected = F.max_pool2d(x, kernel, stride, pad, ceil_mode=ceil).shape[2:]
    found = windows((size, size), (kernel,) * 2, (stride,) * 2, (pad,) * 2, ceil)
    if pad or (found[0] - 1) * stride < size:
        assert found == tuple(expected)
    else:
        assert found[0] == expected[0] + 1


def test_difference_of_another_net() -> None:
    module = network("vgg")
    net = convert(module, SHAPE).filled()
    net.params["12"][1].data[...] += 1
    assert _difference(module, net, (3, SIZE, SIZE), None) > 0.1
