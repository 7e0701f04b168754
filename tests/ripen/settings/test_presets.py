"""Presets: what they change, and that all that they name is there."""

from collections.abc import Callable

import pytest

from ripen.nets.surgery import trunk
from ripen.nets.zoo import DEFINITIONS
from ripen.settings.schema import Config

NETS = {
    "default": ["efficientnet_lite2"],
    "best": ["efficientnet_lite2", "efficientnet_lite1", "efficientnet_lite0"],
}


@pytest.mark.parametrize("preset", NETS)
def test_each_head_stands_on_features_of_nets_of_the_zoo(
    preset: str, make_config: Callable[..., Config]
) -> None:
    competitions = make_config(f"preset={preset}").competition
    for competition in (competitions.cats_vs_dogs, competitions.cats_vs_dogs_redux):
        features = competition.features.nets
        assert competition.train.heads["net"].nets == NETS[preset]
        for head in competition.train.heads.values():
            assert set(head.nets) <= set(features)
        assert set(competition.baselines.nets) <= set(features)
        for frozen in features.values():
            definition = DEFINITIONS[frozen.net].deploy()
            (*_, last) = trunk(definition, frozen.layers, frozen.pools, frozen.sides[0]).layer
            assert last.type in ("Pooling", "Concat")


def test_the_default_preset_changes_nothing(make_config: Callable[..., Config]) -> None:
    assert make_config("preset=default").competition == make_config().competition
    best = make_config("preset=best").competition
    assert best.avocado == make_config().competition.avocado
    assert best.cats_vs_dogs != make_config().competition.cats_vs_dogs
