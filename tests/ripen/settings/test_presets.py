"""Presets: what they change, and that everything they name exists."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ripen.competition.splitters import SPLITTERS
from ripen.data.readers import READERS
from ripen.nets.surgery import trunk
from ripen.nets.zoo import DEFINITIONS
from ripen.settings.schema import Competition
from ripen.settings.yaml_files import read

CONF = Path(__file__).parents[3] / "conf"
PRESETS = sorted(path.stem for path in (CONF / "preset").glob("*.yaml"))
NETS = {
    "fast": ["efficientnet_lite0"],
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


@pytest.mark.parametrize("name", ["avocado", "titanic", *IMAGES])
def test_the_default_preset_changes_nothing(
    name: str, make_competition: Callable[..., Competition]
) -> None:
    assert make_competition(name, "preset=default") == make_competition(name)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_sections_of_a_preset_are_readers_and_their_splitters(preset: str) -> None:
    for section in read(CONF / "preset" / f"{preset}.yaml"):
        reader, _, split = section.partition(".")
        assert reader in READERS
        assert not split or split in SPLITTERS


@pytest.mark.parametrize("name", ["titanic", "house_prices", "price_tomorrow", "avocado"])
def test_fast_models_of_a_table_are_those_of_the_default(
    name: str, make_competition: Callable[..., Competition]
) -> None:
    default, fast = make_competition(name), make_competition(name, "preset=fast")
    assert 0 < len(fast.models) <= 3 < len(default.models)
    assert fast.models.items() <= default.models.items()


def test_a_preset_is_overridden_by_the_command_line_and_skips_absent_models(
    make_competition: Callable[..., Competition],
) -> None:
    best = make_competition("titanic", "preset=best", "models.lightgbm=null")
    assert best.validation == {"split": "stratified", "folds": 5, "repeats": 2}
    assert "lightgbm" not in best.models
    again = make_competition("titanic", "validation.repeats=3", "preset=best")
    assert again.validation["repeats"] == 3
