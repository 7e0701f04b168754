"""The avocados: a table."""

from typing import Annotated, Literal

from pydantic import Field

from ripen.settings.schema.baselines import Baselines
from ripen.settings.schema.common import Compute, Evaluate, Predict, Prepare
from ripen.settings.schema.net import Net, Solver, Train
from ripen.settings.schema.sweep import Sweep
from ripen.settings.schema.types import Count, typed


@typed
class AvocadoFetch:
    """How many avocados are drawn, and how well remembered."""

    source: Literal["builtin"]
    n_train: Annotated[int, Field(ge=20)]
    n_test: Count
    n_more: Annotated[int, Field(ge=0)]
    label_noise: Annotated[float, Field(ge=0, le=0.5)]


@typed
class TableTrain:
    """The net of a table: the sections of these names."""

    net: Net
    solver: Solver
    train: Train


Measurement = Literal["height_cm", "weight_g", "squishiness", "red", "green", "blue"]


@typed
class AvocadoEvaluate(Evaluate):
    """What the evaluation draws and measures.

    `regions` are the two measurements of the decision regions; by how many avocados the best
    possible accuracy is measured is `bayes_sample`.
    """

    regions: Annotated[list[Measurement], Field(min_length=2, max_length=2)]
    bayes_sample: Count


@typed
class Avocado:
    """`conf/competition/avocado.yaml`."""

    compute: Compute
    fetch: AvocadoFetch
    prepare: Prepare
    baselines: Baselines
    train: TableTrain
    sweep: Sweep
    learning_curve: list[Count]
    evaluate: AvocadoEvaluate
    predict: Predict
