from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ripen.core.errors import ConfigError
from ripen.learn.sweeps import space
from ripen.learn.sweeps.plan import Plan
from ripen.learn.sweeps.space import Choices, Interval, Space
from ripen.settings import compose as config

MakePlan = Callable[..., Plan]
CONF = Path(__file__).parents[4] / "conf"


def test_hydras_own_syntax() -> None:
    found = space.parse(
        [
            "solver.base_lr=0.001,1e-2,0.1",
            "net.hidden_layers=[4],[8],[8,8]",
            "seed=range(1,4)",
            "net.activation=choice(tanh,'relu')",
            "solver.momentum=interval(0.5,0.99)",
            "solver.weight_decay=tag(log,interval(1e-6,1e-2))",
            "solver.stepsize=int(interval(10,20))",
            "solver.max_iter=200",
        ]
    )
    assert found.axes == (
        Choices("solver.base_lr", (0.001, 0.01, 0.1)),
        Choices("net.hidden_layers", ([4], [8], [8, 8])),
        Choices("seed", (1, 2, 3)),
        Choices("net.activation", ("tanh", "relu")),
        Interval("solver.momentum", 0.5, 0.99, log=False, whole=False),
        Interval("solver.weight_decay", 1e-6, 1e-2, log=True, whole=False),
        Interval("solver.stepsize", 10, 20, log=False, whole=True),
    )
    assert found.fixed == {"solver.max_iter": 200}


def test_a_value_that_is_there_twice_counts_once() -> None:
    assert space.parse(["seed=1,2,1"]).axes == (Choices("seed", (1, 2)),)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_the_grid_has_every_combination_once(sizes: list[int]) -> None:
    axes = tuple(Choices(f"k{i}", tuple(range(size))) for i, size in enumerate(sizes))
    grid = Space(axes, {"fixed": 7})
    places = [tuple(grid.grid(index).values()) for index in range(grid.size())]
    assert len(set(places)) == len(places) == grid.size()
    assert places == sorted(places)  # the last axis changes first
    assert {place[-1] for place in places} == {7}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (["solver.base_lr=0.1"], "no setting has several values, so there are no trials"),
        (["solver.bse_lr=1,2"], r"no setting 'solver\.bse_lr'; did you mean 'solver\.base_lr'\?"),
        (["solver.base_lr=0,1"], r"solver\.base_lr is 0: input should be greater than 0"),
        (["solver.base_lr=1,-1"], r"solver\.base_lr is -1: input should be greater than 0"),
        (["solver.base_lr=1,fast"], r"solver\.base_lr is 'fast': input should be a valid number"),
        (["solver.base_lr=interval(-1,1)"], "is an interval, which has no grid"),
        (["net.hidden_layers=[8],[0]"], r"hidden_layers\.0 is 0: input should be greater"),
        (["net=mlp,other"], "has no 'other'"),
        (["seed=1,2", "seed=3"], "'seed' is there twice"),
        (["+seed=1,2"], "with no [+], ~ or @"),
        (["seed=1,,2"], "is no override of Hydra: extraneous input"),
        (["seed=1,2", "solver.max_iter=ten"], r"solver\.max_iter is 'ten'"),
        (["net=glob(*)"], "write its values, or an interval"),
        (["seed=range(1,1000001)"], r"1,000,000 trials are more than sweep\.ask_above=1,000"),
    ],
)
def test_what_is_wrong_with_a_sweep_is_one_line(
    parameters: list[str], message: str, make_plan: MakePlan
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        make_plan(*parameters)
    assert "\n" not in str(caught.value)


def test_a_drawn_sweep_says_how_many(make_plan: MakePlan) -> None:
    with pytest.raises(ConfigError, match=r"Set sweep\.trials"):
        make_plan("solver.base_lr=interval(0.1,1)", sampler="random")
    assert make_plan("solver.base_lr=interval(0.1,1)", sampler="random", trials=7).count == 7
    assert make_plan("seed=1,2,3,4", trials=3).count == 3


def test_a_group_is_swept_by_its_files_names(make_plan: MakePlan) -> None:
    made = make_plan("seed=1,2", "net=mlp", overrides=("net.hidden_layers=[3]",))
    own = made.trial_config(made.settings(0, [])).competition.avocado.train.net
    assert own.hidden_layers == [8, 8]


@pytest.mark.parametrize("name", sorted(path.stem for path in CONF.glob("sweep/[!_]*.yaml")))
def test_the_sweeps_of_conf_fit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CONF.parent)
    settings = config.from_mapping(config.compose([f"sweep={name}"], CONF), "test")
    assert settings.sweep.name == name
    found = space.parse(settings.sweep.parameters)
    space.check(found, settings, "avocado")
    assert 4 <= space.count(found, settings.sweep) <= settings.sweep.ask_above


def test_the_digits_own_sweep_fits() -> None:
    settings = config.from_mapping(config.compose([], CONF), "test")
    found = space.parse(settings.competition.digits.sweep.parameters)
    space.check(found, settings, "digits")
    changed = space.with_settings(settings, "digits", {"solver.base_lr": 0.5})
    assert changed.competition.digits.train.solver.base_lr == 0.5
    assert changed.solver == settings.solver


def test_a_trial_changes_its_competitions_section_alone(make_plan: MakePlan) -> None:
    plan = make_plan("seed=1,2")
    changed = plan.trial_config({"solver.base_lr": 0.7, "seed": 5})
    assert changed.competition.avocado.train.solver.base_lr == 0.7
    assert changed.solver == plan.config.solver
    assert changed.seed == 5
