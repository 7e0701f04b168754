"""Nets and their training: Caffe's own names."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ripen.settings.schema.types import Count, NonNegative, Positive, typed


@typed
class Net:
    """`conf/net/`: the network that NetSpec writes as a prototxt.

    `weights` is where the weights come from: "xavier", the talk's "ones" or "random" (normal with
    standard deviation 1).
    """

    hidden_layers: list[Count]
    activation: Literal["sigmoid", "tanh", "relu"]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    weights: Literal["xavier", "ones", "random"]


# What a policy cannot do without; the others take base_lr alone, or Caffe's defaults.
NEEDED = {
    "step": ("gamma", "stepsize"),
    "exp": ("gamma",),
    "inv": ("gamma", "power"),
    "multistep": ("gamma", "stepvalue"),
    "poly": ("power",),
    "sigmoid": ("gamma", "stepsize"),
}


@typed
class Solver:
    """`conf/solver/`: the fields of Caffe's SolverParameter, by their own names.

    What is not given is as Caffe has it.
    """

    type: Literal["SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"] = "SGD"
    base_lr: Positive
    lr_policy: Literal["fixed", "step", "exp", "inv", "multistep", "poly", "sigmoid"]
    gamma: Positive | None = None
    power: Positive | None = None
    stepsize: Count | None = None
    stepvalue: list[Count] = Field(default_factory=list)
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    momentum2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    rms_decay: Annotated[float, Field(ge=0, lt=1)] = 0.99
    delta: Positive = 1e-8
    weight_decay: NonNegative = 0.0
    regularization_type: Literal["L1", "L2"] = "L2"
    clip_gradients: Positive | None = None
    iter_size: Count = 1
    max_iter: Count

    @model_validator(mode="after")
    def _policy_has_what_it_needs(self) -> Self:
        for name in NEEDED.get(self.lr_policy, ()):
            if not getattr(self, name):
                raise ValueError(f"lr_policy '{self.lr_policy}' needs '{name}'")
        if self.momentum and self.type in ("AdaGrad", "RMSProp"):
            raise ValueError(f"type '{self.type}' takes no momentum")
        return self


@typed
class Train:
    """When to look at the training, and when to end it.

    Every `check_interval` iterations the loss, averaged over that interval, is compared with the
    check before: a change below `tolerance`, `patience` times in a row, is convergence. After
    `early_stopping` checks without a better validation loss training ends too. The weights of the
    best validation loss are kept.
    """

    batch_size: Count
    check_interval: Count
    tolerance: NonNegative
    patience: Count
    early_stopping: Count


@typed
class Finetune:
    """What is changed in a pretrained net (`ripen.nets.surgery`).

    `from` names the net whose weights it begins with; `replace` the layers that give its scores.
    The head alone learns where nothing up to the layer `freeze_until` does. New layers learn
    `lr_mult_new` times as fast as others.
    """

    from_: str
    replace: Annotated[list[str], Field(min_length=1)]
    freeze_until: str
    lr_mult_new: Positive
