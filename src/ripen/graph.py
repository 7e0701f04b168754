"""Which stages each competition goes through: what `graph` in conf/ is made from."""

from collections.abc import Sequence

from omegaconf import OmegaConf

STAGES_OF = {
    "avocado": ("fetch", "prepare", "baselines", "train", "evaluate", "predict"),
    "digits": ("fetch", "prepare", "baselines", "train", "evaluate", "predict"),
}


def competitions_of(stage: str, competitions: Sequence[str]) -> list[str]:
    """Return those of the competitions that go through a stage, in their order.

    One that is not known goes through all, so that the schema can say that it is not known.
    """
    return [name for name in competitions if stage in STAGES_OF.get(name, (stage,))]


def register() -> None:
    """Let `${competitions_of:STAGE,${competitions}}` be written in conf/."""
    OmegaConf.register_new_resolver("competitions_of", competitions_of, replace=True)
