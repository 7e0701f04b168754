"""Sweeps: what is varied, how trials are chosen, who runs them, where they are kept."""

from typing import Annotated, Literal

from pydantic import Field

from ripen.settings.schema.types import Count, typed


@typed
class Pruner:
    """How hopeless trials end early: by their validation loss at a check, against other trials'.

    "median" compares with the median of what was finished; "successive_halving" lets one in
    `reduction_factor` go on at `first_iteration`, at `reduction_factor` times as many, and so on.
    """

    name: Literal["none", "median", "successive_halving"]
    startup_trials: Annotated[int, Field(ge=0)]
    first_iteration: Count
    reduction_factor: Annotated[int, Field(ge=2)]


@typed
class Sweep:
    """`conf/sweep/`: trials of one competition's net.

    `parameters` are overrides in Hydra's own syntax, of the settings of the competition's section
    `train` and of `seed`: ``solver.base_lr=0.01,0.1`` (these values), ``solver.momentum=
    interval(0.5,0.99)``, ``solver.base_lr=tag(log,interval(0.001,1))``; one with a single value
    holds for every trial. `trials` is how many, null for the whole grid. The trials of a `round`
    are chosen, and pruned, without knowing of each other, so that as many can run at once. Curves
    are thinned to `curve_points`. With `train_best` the stage `train` takes the best settings.
    More trials than `ask_above` are not begun unasked.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    parameters: Annotated[list[str], Field(min_length=1)]
    sampler: Literal["grid", "random", "tpe"]
    trials: Count | None
    round: Count
    pruner: Pruner
    curve_points: Annotated[int, Field(ge=2)]
    train_best: bool
    ask_above: Count


@typed
class Launcher:
    """`conf/launcher/`: who runs the trials; changes no result.

    `workers` is how many at once, null for one for each core; `address` that of a Ray cluster,
    null for one on this machine.
    """

    name: Literal["basic", "joblib", "ray"]
    workers: Count | None
    address: str | None


@typed
class Study:
    """`conf/study/`: the relational store of Optuna's studies; without `uri` `.ripen/studies.db`.

    The address holds no user or password: PostgreSQL's client takes those from PGUSER, PGPASSWORD
    or ~/.pgpass. `timeout` is how many seconds a locked store is waited for.
    """

    uri: Annotated[str, Field(pattern=r"^[^@]*$")] | None
    timeout: Annotated[int, Field(ge=0)]
