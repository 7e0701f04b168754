"""Invariants over the whole registry of layers: adding a layer adds its tests.

A family's cases are the list CASES of its test file in this folder; its TESTED_BELOW names types
that cannot be built from a definition alone.
"""

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from caffe import rng
from caffe.layers import registry
from tests.caffe.layer_case import Alone, Case, check_gradient, values
from tests.caffe.stand_in import DEVICES, NAMED

FAMILIES = sorted(
    file.stem for file in Path(__file__).parent.glob("test_*.py") if file.stem != "test_registry"
)
MODULES = [importlib.import_module(f"tests.caffe.layers.{family}") for family in FAMILIES]
CASES: list[Case] = [case for module in MODULES for case in module.CASES]
ELSEWHERE = {kind for module in MODULES for kind in getattr(module, "TESTED_BELOW", ())}
WITH_GRADIENT = [case for case in CASES if case.learns]
EVERYWHERE = pytest.mark.parametrize("device", DEVICES, indirect=True)
OVERWRITABLE = [case for case in CASES if registry()[case.type].overwritable]


def test_every_type_has_a_case():
    assert sorted({case.type for case in CASES} | ELSEWHERE) == list(registry())


@pytest.mark.parametrize("case", [c for c in WITH_GRADIENT if not c.in_place], ids=str)
def test_gradient_is_the_numeric_one(case):
    check_gradient(case)


@pytest.mark.parametrize("case", [c for c in WITH_GRADIENT if c.in_place], ids=str)
def test_in_place_gives_the_same(case):
    apart, within = Alone(replace(case, in_place=False)), Alone(case)
    diff = np.linspace(-1, 1, case.bottoms[0].size).reshape(case.bottoms[0].shape)
    results = []
    for alone in (apart, within):
        rng.set_random_seed(5)
        results.append((alone.forward()[0], alone.backward([diff])[0]))
    assert np.array_equal(results[0][0], results[1][0])
    assert np.array_equal(results[0][1], results[1][1])


@EVERYWHERE
@pytest.mark.parametrize("case", CASES, ids=str)
def test_single_precision_gives_the_same(case, device):
    tops = []
    for dtype in (torch.float32, torch.float64):
        rng.set_random_seed(5)
        alone = Alone(case, dtype)
        rng.set_random_seed(6)
        tops.append(alone.forward())
        assert all(blob.data.dtype == tops[-1][0].dtype for blob in alone.top)
    for single, double in zip(*tops, strict=True):
        np.testing.assert_allclose(single, double, rtol=1e-5, atol=1e-6)


@EVERYWHERE
@pytest.mark.parametrize("case", WITH_GRADIENT, ids=str)
def test_second_pass_gives_the_same_and_overwrites_gradients(case, device):
    alone = Alone(replace(case, in_place=False))
    rng.set_random_seed(5)
    first = alone.forward()
    diffs = [np.ones(top.shape) for top in first]
    gradients = alone.backward(diffs, case.learns)
    learnt = [blob.diff.copy() for blob in alone.layer.blobs]
    rng.set_random_seed(5)
    # cuDNN adds the parts of some sums in any order.
    rounding = 1e-12 if NAMED == "cuda" else 0
    again = alone.forward() + alone.backward(diffs, case.learns)
    for before, after in zip(first + gradients, again, strict=True):
        np.testing.assert_allclose(after, before, rtol=rounding, atol=rounding)
    for before, blob in zip(learnt, alone.layer.blobs, strict=True):
        assert blob.diff == pytest.approx(2 * before, rel=1e-6, abs=1e-12)


def channels_last(array: np.ndarray) -> torch.Tensor:
    tensor = torch.from_numpy(np.array(array))
    return tensor.to(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor


@pytest.mark.parametrize(
    "case", [c for c in CASES if any(b.ndim == 4 for b in c.bottoms) and not c.in_place], ids=str
)
def test_channels_last_gives_the_same(case):
    """Return maps in channels_last format, as layers inside a net get them."""
    results = []
    for last in (False, True):
        rng.set_random_seed(5)
        alone = Alone(case)
        for blob, given in zip(alone.bottom, case.bottoms, strict=True):
            if last:
                blob.to(torch.float64)  # drops the numpy view, which is contiguous
                blob.set_data(channels_last(given))
        rng.set_random_seed(6)
        alone.layer.reshape(alone.bottom, alone.top)
        alone.layer.forward(alone.bottom, alone.top)
        if case.learns:
            for blob in alone.top:
                diff = np.linspace(-1, 1, blob.count).reshape(blob.shape)
                blob.set_diff(channels_last(diff) if last else torch.from_numpy(diff))
            down = [i in case.learns for i in range(len(alone.bottom))]
            alone.layer.backward(alone.top, down, alone.bottom)
        arrays = [blob.data for blob in alone.top]
        arrays += [alone.bottom[i].diff for i in case.learns]
        results.append(arrays + [blob.diff for blob in alone.layer.blobs])
    for contiguous, found in zip(*results, strict=True):
        np.testing.assert_allclose(found, contiguous, rtol=1e-9, atol=1e-12)


KEEP_FORMAT = [
    *("AbsVal", "BNLL", "Dropout", "ELU", "Exp", "Log", "PReLU", "Power", "ReLU", "ReLU6"),
    *("Sigmoid", "Swish", "TanH", "Threshold", "Eltwise", "Split"),
]


@pytest.mark.parametrize("kind", KEEP_FORMAT)
def test_channels_last_is_kept(kind):
    maps = np.abs(values(2, 3, 4, 5))
    alone = Alone(Case(kind, bottoms=(maps,) * (2 if kind == "Eltwise" else 1)))
    for blob in alone.bottom:
        blob.to(torch.float64)
        blob.set_data(channels_last(maps))
    alone.layer.forward(alone.bottom, alone.top)
    assert alone.top[0].tensor.is_contiguous(memory_format=torch.channels_last)
    if kind != "Threshold":
        alone.top[0].set_diff(channels_last(maps))
        alone.layer.backward(alone.top, [True] * len(alone.bottom), alone.bottom)
        for blob in alone.bottom:
            assert blob.grad.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("case", OVERWRITABLE, ids=str)
def test_overwritable_tops_have_no_other_references(case):
    alone = Alone(replace(case, in_place=False))
    rng.set_random_seed(5)
    alone.forward()
    held = [blob.tensor.clone() for blob in (*alone.bottom, *alone.layer.blobs)]
    diffs = [np.ones(top.shape) for top in alone.top]
    gradients = alone.backward(diffs, case.learns)
    rng.set_random_seed(5)
    alone.forward()
    for top in alone.top:
        top.tensor.fill_(7)
    for gradient, again in zip(gradients, alone.backward(diffs, case.learns), strict=True):
        assert np.array_equal(gradient, again)
    for before, blob in zip(held, (*alone.bottom, *alone.layer.blobs), strict=True):
        assert torch.equal(before, blob.tensor)
