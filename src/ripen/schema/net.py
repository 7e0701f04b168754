"""Nets and their training: Caffe's own names."""

from typing import Annotated, Literal

from pydantic import Field

from ripen.schema.types import Count, NonNegative, Positive, typed


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


@typed
class Solver:
    """`conf/solver/`: the fields of Caffe's SolverParameter, by their own names."""

    type: Literal["SGD"]
    base_lr: Positive
    lr_policy: Literal["fixed", "step"]
    gamma: Positive
    stepsize: Count
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: NonNegative
    max_iter: Count


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
    """What is changed in a pretrained net (`ripen.zoo.finetune`)."""

    replace: Annotated[list[str], Field(min_length=1)]
    freeze_until: str
    lr_mult_new: Positive
