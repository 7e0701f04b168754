"""The handwritten digits: small pictures."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ripen.settings.schema.baselines import Baselines
from ripen.settings.schema.common import Compute, Evaluate, Predict, Prepare
from ripen.settings.schema.net import Finetune, Solver, Train
from ripen.settings.schema.sweep import Sweep
from ripen.settings.schema.types import Count, typed


@typed
class DigitsFetch:
    """How many of the pictures of 5-9 come with a label, and how many more for learning curves."""

    source: Literal["builtin"]
    n_train: Annotated[int, Field(ge=25, le=400)]
    n_more: Annotated[int, Field(ge=5, le=400)]


@typed
class DigitsTrain:
    """The pretraining, and what all ways of training on from there share.

    The net is LeNet for 8x8, made here: `finetune.from` is "lenet8".
    """

    pretrain: Solver
    finetune: Finetune
    solver: Solver
    train: Train

    @model_validator(mode="after")
    def _begins_with_what_is_made_here(self) -> Self:
        if self.finetune.from_ != "lenet8":
            raise ValueError(f"finetune.from is '{self.finetune.from_}'. Allowed: lenet8")
        return self


@typed
class Digits:
    """`conf/competition/digits.yaml`."""

    compute: Compute
    fetch: DigitsFetch
    prepare: Prepare
    baselines: Baselines
    train: DigitsTrain
    sweep: Sweep
    learning_curve: list[Count]
    evaluate: Evaluate
    predict: Predict
