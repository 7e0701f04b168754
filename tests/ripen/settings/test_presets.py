"""Presets: what they change, and that everything they name exists."""

from collections.abc import Callable

import pytest

from ripen.nets.surgery import trunk
from ripen.nets.zoo import DEFINITIONS
from ripen.settings.schema import Competition

NETS = {
    "default": ["efficientnet_lite2"],
    "best": ["efficientnet_lite2", "efficientnet_lite1", "efficientnet_lite0"],
}
IMAGES = ("cats_vs_dogs", "cats_vs_dogs_redux")


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("preset", NETS)
def test_each_model_stands_on_features_of_nets_of_the_zoo(
    preset: str, name: str, make_competition: Callable[..., Competition]
) -> None:
    competition = make_competition(name, f"preset={preset}")
    features = competition.features
    assert competition.models["net"]["inputs"] == NETS[preset]
    for model in competition.models.values():
        assert set(model["inputs"]) <= {"images", *features}
    for frozen in (each for each in features.values() if "net" in each):
        definition = DEFINITIONS[frozen["net"]].deploy()
        (*_, last) = trunk(definition, frozen["layers"], frozen["pools"], frozen["sides"][0]).layer
        assert last.type in ("Pooling", "Concat")


@pytest.mark.parametrize("name", ["avocado", *IMAGES])
def test_the_default_preset_changes_nothing(
    name: str, make_competition: Callable[..., Competition]
) -> None:
    assert make_competition(name, "preset=default") == make_competition(name)


@pytest.mark.parametrize("name", IMAGES)
def test_the_best_preset_changes_images(
    name: str, make_competition: Callable[..., Competition]
) -> None:
    assert make_competition(name, "preset=best") != make_competition(name)
