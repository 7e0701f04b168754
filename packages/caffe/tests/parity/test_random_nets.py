"""Random nets of fixed seeds, small enough for every run; `random_nets` itself runs more."""

from collections import Counter

import pytest

from caffe.errors import RealCaffeRefused
from tests.parity.random_nets import compare, generate

SEEDS = range(60)


@pytest.mark.parametrize("seed", SEEDS)
def test_net(real_caffe, measured, seed):
    net = generate(seed)
    try:
        measured(compare(real_caffe, net))
    except RealCaffeRefused as ended:
        pytest.skip(f"real Caffe ended without a reason: {ended}")


def test_most_layer_types_are_drawn():
    kinds = Counter(kind for seed in SEEDS for kind in generate(seed).kinds())
    assert len(kinds) >= 35
    assert min(count for _, count in kinds.most_common(20)) >= 10


def test_seed_determines_the_net():
    first, second = generate(7), generate(7)
    assert first.text == second.text
    assert all((values == second.params[name]).all() for name, values in first.params.items())
