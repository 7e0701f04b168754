"""LRN."""

import numpy as np
import pytest
import torch

from caffe.errors import LayerError
from caffe.layers.lrn import channel_sum, power
from tests.caffe.layer_case import Alone, Case, run, values

MAPS = values(2, 6, 3, 4)


def lrn(settings: str, x: np.ndarray = MAPS, **more) -> Case:
    return Case("LRN", f"lrn_param {{ {settings} }}", (x,), **more)


WITHIN = "norm_region: WITHIN_CHANNEL"
CASES = [
    lrn(""),
    lrn("local_size: 3 alpha: 0.5 beta: 0.6 k: 2"),
    lrn("local_size: 1"),
    lrn("local_size: 15 alpha: 2"),
    lrn(f"local_size: 3 alpha: 2 {WITHIN}"),
    lrn(f"local_size: 3 beta: 1.5 {WITHIN}"),
    lrn(f"local_size: 9 {WITHIN}"),
]


def test_across_channels_by_hand():
    x = np.array([1.0, 2, 3, 4]).reshape(1, 4, 1, 1)
    tops, bottoms = run(lrn("local_size: 3 alpha: 3 beta: 1 k: 1", x), np.ones((1, 4, 1, 1)))
    scale = np.array([1 + 5, 1 + 14, 1 + 29, 1 + 25])
    assert tops[0].reshape(-1) == pytest.approx(np.array([1, 2, 3, 4]) / scale)
    # 1 / scale - 2 x * the sum of x / scale^2 over the same channels
    share = np.array([1, 2, 3, 4]) / scale**2
    sums = np.array([share[:2].sum(), share[:3].sum(), share[1:].sum(), share[2:].sum()])
    assert bottoms[0].reshape(-1) == pytest.approx(1 / scale - 2 * np.array([1, 2, 3, 4]) * sums)


def test_within_a_channel_by_hand():
    x = np.array([[1.0, 2], [3, 4]]).reshape(1, 1, 2, 2)
    tops, _ = run(lrn(f"local_size: 3 alpha: 2 beta: 1 k: 7 {WITHIN}", x))
    # Each of the four windows holds the whole map, and counts five values of padding.
    assert tops[0] == pytest.approx(x / (1 + 2 * 30 / 9))


@pytest.mark.parametrize("beta", [0.75, 0.5])
def test_equals_torch(beta):
    x = values(3, 7, 5, 4)
    tops, _ = run(lrn(f"local_size: 5 alpha: 0.3 beta: {beta} k: 1.5", x))
    expected = torch.nn.functional.local_response_norm(torch.from_numpy(x), 5, 0.3, beta, 1.5)
    assert tops[0] == pytest.approx(expected.numpy(), rel=1e-6)


def test_power_by_roots_is_the_power():
    scale = torch.logspace(-20, 20, 1001)
    assert power(scale, 0.75).numpy() == pytest.approx(scale.double().pow(-0.75).numpy(), rel=1e-6)
    assert power(torch.tensor([0.0]), 0.75).isinf().all()


@pytest.mark.parametrize("size", [1, 3, 5, 11])
def test_channel_sum_in_any_memory_format(size):
    x = torch.from_numpy(values(2, 4, 3, 5))
    half = size // 2
    expected = torch.stack([x[:, max(c - half, 0) : c + half + 1].sum(1) for c in range(4)], 1)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        found = channel_sum(x.to(memory_format=memory_format), size)
        assert found.is_contiguous(memory_format=memory_format)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (lrn("local_size: 4"), r"local_size is 4\. Allowed: odd"),
        (lrn("local_size: 0"), r"local_size is 0\. Allowed: odd"),
        (lrn("", values(3, 4)), r"bottom has shape \(3, 4\)\. Allowed: 4 axes"),
        (lrn("", in_place=True), "its top is its bottom"),
    ],
)
def test_bad_settings_are_refused(case, message):
    with pytest.raises(LayerError, match=f"layer 'layer' .LRN.: .*{message}"):
        Alone(case)
