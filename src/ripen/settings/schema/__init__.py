"""The whole configuration as dataclasses: `conf/` is its one source, and must fit them."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from ripen.settings.schema.avocado import Avocado
from ripen.settings.schema.baselines import Baselines
from ripen.settings.schema.common import Evaluate, Predict, Prepare
from ripen.settings.schema.digits import Digits
from ripen.settings.schema.net import Net, Solver, Train
from ripen.settings.schema.photos import CatsVsDogs, ImageNet, ImageNetSubset
from ripen.settings.schema.sweep import Launcher, Study, Sweep
from ripen.settings.schema.types import Count, typed

CompetitionName = Literal[
    "avocado", "digits", "cats_vs_dogs", "cats_vs_dogs_redux", "imagenet", "imagenet_subset"
]
COMPETITIONS: tuple[CompetitionName, ...] = get_args(CompetitionName)


@typed
class Competitions:
    """`conf/competition/`: what is particular to each competition."""

    avocado: Avocado
    digits: Digits
    cats_vs_dogs: CatsVsDogs
    cats_vs_dogs_redux: CatsVsDogs
    imagenet: ImageNet
    imagenet_subset: ImageNetSubset


@typed
class Graph:
    """The competitions that each stage runs for, and the one that `dvc plots` shows figures of.

    All from `competitions` (`ripen.settings.graph`).
    """

    fetch: list[CompetitionName]
    prepare: list[CompetitionName]
    features: list[CompetitionName]
    baselines: list[CompetitionName]
    sweep: list[CompetitionName]
    train: list[CompetitionName]
    evaluate: list[CompetitionName]
    predict: list[CompetitionName]
    report: list[CompetitionName]
    plots: CompetitionName


@typed
class Engine:
    """`conf/engine/`: who runs Caffe nets, our own Caffe or real Caffe 1.0 (`ripen.nets.engines`)."""

    name: Literal["torch", "real"]


@typed
class Tracking:
    """`conf/tracking/`: MLflow's store; without `uri` a SQLite file at the repository's root.

    The address holds no user or password: MLflow takes those from MLFLOW_TRACKING_USERNAME and
    MLFLOW_TRACKING_PASSWORD.
    """

    uri: Annotated[str, Field(pattern=r"^[^@]*$")] | None


@typed
class Config:
    """Everything that can be chosen. `overrides` are those that `ripen compose` was given."""

    competitions: Annotated[list[CompetitionName], Field(min_length=1)]
    graph: Graph
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    reproducibility: Literal["portable", "fast"]
    threads: Count
    engine: Engine
    learning_curve: list[Count]
    prepare: Prepare
    baselines: Baselines
    net: Net
    solver: Solver
    train: Train
    sweep: Sweep
    launcher: Launcher
    study: Study
    evaluate: Evaluate
    predict: Predict
    tracking: Tracking
    competition: Competitions
    overrides: list[str]
