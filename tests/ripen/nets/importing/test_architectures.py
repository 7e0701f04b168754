"""Weights from files: states, wrapped states, and files that are not states."""

from pathlib import Path

import pytest
import torch
from torch import nn

from ripen.core.errors import DataError
from ripen.nets.importing.architectures import load_state, read_state
from tests.ripen.nets.importing.networks import network


def ones() -> nn.Module:
    module = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    for value in module.state_dict().values():
        value.fill_(1)
    return module


def filled(file: Path) -> list[float]:
    module = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    load_state(module, file)
    return sorted({float(v) for value in module.state_dict().values() for v in value.flatten()})


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s}, lambda s: {"model": s}])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_states(tmp_path: Path, wrap, prefix: str) -> None:
    state = {prefix + key: value for key, value in ones().state_dict().items()}
    torch.save(wrap(state), tmp_path / "x.pth")
    assert filled(tmp_path / "x.pth") == [1]


def test_a_state_without_counters(tmp_path: Path) -> None:
    state = ones().state_dict()
    del state["1.num_batches_tracked"]
    torch.save(state, tmp_path / "x.pth")
    assert filled(tmp_path / "x.pth") == [0, 1]


def test_safetensors(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file(ones().state_dict(), tmp_path / "x.safetensors")
    assert filled(tmp_path / "x.safetensors") == [1]
    (tmp_path / "x.safetensors").write_bytes(b"other")
    with pytest.raises(DataError, match=r"x.safetensors: not a .safetensors file"):
        read_state(tmp_path / "x.safetensors")


def test_old_names_of_densenet(tmp_path: Path) -> None:
    layer = nn.ModuleDict({"denselayer1": nn.ModuleDict({"conv1": nn.Conv2d(1, 1, 1)})})
    state = {
        key.replace("conv1", "conv.1"): torch.full_like(value, 3)
        for key, value in layer.state_dict().items()
    }
    torch.save(state, tmp_path / "x.pth")
    load_state(layer, tmp_path / "x.pth")
    assert {float(value) for value in layer.state_dict().values()} == {3}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "not a dict of tensors"),
        ([1], "not a dict of tensors"),
        ({"0.weight": torch.zeros(2, 1, 1, 1)}, "'0.bias' is missing"),
        ({"0.weight": torch.zeros(3)}, r"'0.weight' has shape \(3,\); expected \(2, 1, 1, 1\)"),
        (ones().state_dict() | {"fc.x": torch.zeros(1)}, "unexpected 'fc.x', which this"),
        (network("vgg"), "not a file of PyTorch weights: Weights only load failed"),
    ],
)
def test_files_with_other_content(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(DataError, match=rf"x\.pth: {message}"):
        filled(tmp_path / "x.pth")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.pth: cannot be read: No such file or directory"):
        filled(tmp_path / "x.pth")
    (tmp_path / "x.pth").write_bytes(b"other")
    with pytest.raises(DataError, match=r"x\.pth: not a file of PyTorch weights"):
        filled(tmp_path / "x.pth")
