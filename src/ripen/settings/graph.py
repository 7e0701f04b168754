"""Which stages each competition goes through: what `graph` in conf/ is made from."""

from collections.abc import Sequence

from omegaconf import ListConfig, OmegaConf

PHOTOS = ("fetch", "prepare", "features", "baselines", "train", "evaluate", "predict", "report")
STAGES_OF = {
    "avocado": ("fetch", "prepare", "baselines", "sweep", "train", "evaluate", "predict", "report"),
    "digits": ("fetch", "prepare", "baselines", "sweep", "train", "evaluate", "predict", "report"),
    "cats_vs_dogs": PHOTOS,
    "cats_vs_dogs_redux": PHOTOS,
    "imagenet_subset": tuple(stage for stage in PHOTOS if stage != "predict"),
    "imagenet": ("fetch", "prepare", "baselines", "evaluate", "report"),
}
DRAWN = ("digits", *(name for name, stages in STAGES_OF.items() if "features" in stages))
"""Competitions of pictures in which nets are trained."""


def competitions_of(stage: str, competitions: Sequence[str]) -> list[str]:
    """Return those of the competitions that go through a stage, in their order.

    One that is not known goes through all, so that the schema can say that it is not known.
    """
    return [name for name in competitions if stage in STAGES_OF.get(name, (stage,))]


def drawn(competitions: Sequence[str]) -> str:
    """Return the competition of pictures whose figures `dvc plots` shows: the last of several.

    Where there is none it is digits, which most have run.
    """
    return next((name for name in reversed(competitions) if name in DRAWN), DRAWN[0])


def register() -> None:
    """Let `${competitions_of:STAGE,${competitions}}` and `${drawn:…}` be written in conf/."""

    def resolved(stage: str, competitions: Sequence[str]) -> ListConfig:
        # DVC resolves in place, which takes no plain list.
        return OmegaConf.create(competitions_of(stage, competitions))

    OmegaConf.register_new_resolver("competitions_of", resolved, replace=True)
    OmegaConf.register_new_resolver("drawn", drawn, replace=True)
