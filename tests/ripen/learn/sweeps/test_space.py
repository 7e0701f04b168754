from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ripen.core.errors import ConfigError
from ripen.learn.estimators.caffe_net import CaffeNet
from ripen.learn.sweeps import space
from ripen.learn.sweeps.space import Choices, Interval, Space, swept_net
from ripen.learn.sweeps.study import Study
from ripen.settings.schema import Competition
from tests.ripen.learn.sweeps.conftest import CONF, competition

MakeStudy = Callable[..., Study]


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


def test_a_repeated_value_counts_once() -> None:
    assert space.parse(["seed=1,2,1"]).axes == (Choices("seed", (1, 2)),)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_the_grid_has_every_combination_once(sizes: list[int]) -> None:
    axes = tuple(Choices(f"k{i}", tuple(range(size))) for i, size in enumerate(sizes))
    grid = Space(axes, {"fixed": 7})
    places = [tuple(grid.grid(index).values()) for index in range(grid.size())]
    assert len(set(places)) == len(places) == grid.size()
    assert places == sorted(places)  # the last axis changes first
    assert {place[-1] for place in places} == {7}


@pytest.mark.slow
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
def test_an_invalid_sweep_is_one_line(
    parameters: list[str], message: str, make_study: MakeStudy
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        make_study(*parameters)
    assert "\n" not in str(caught.value)


def test_a_sampler_that_draws_needs_a_number_of_trials(make_study: MakeStudy) -> None:
    with pytest.raises(ConfigError, match=r"Set sweep\.trials"):
        make_study("solver.base_lr=interval(0.1,1)", sampler="random")
    assert make_study("solver.base_lr=interval(0.1,1)", sampler="random", trials=7).count == 7
    assert make_study("seed=1,2,3,4", trials=3).count == 3


def test_a_group_is_swept_by_its_files_names(make_study: MakeStudy) -> None:
    made = make_study("seed=1,2", "net=mlp", overrides=("net.hidden_layers=[3]",))
    assert net(made.competition).net.hidden_layers == [3]
    own = net(made.with_settings(made.suggest(0, [])))
    assert own.net.hidden_layers == [8, 8]


@pytest.mark.parametrize("name", sorted(path.stem for path in CONF.glob("sweep/[!_]*.yaml")))
def test_the_sweeps_of_conf_fit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CONF.parent)
    settings = competition(f"sweep={name}")
    assert settings.sweep is not None
    assert settings.sweep.name == name
    found = space.parse(settings.sweep.parameters)
    space.check_values(found, settings)
    assert 4 <= space.count(found, settings.sweep) <= settings.sweep.ask_above


def test_the_digits_own_sweep_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CONF.parent)
    settings = competition(name="digits")
    assert settings.sweep is not None
    found = space.parse(settings.sweep.parameters)
    space.check_values(found, settings)
    changed = space.with_settings(settings, {"solver.base_lr": 0.5})
    assert changed.models["net"]["solver"]["base_lr"] == 0.5
    assert changed.models["head"] == settings.models["head"]


def test_a_trial_changes_its_net_alone(make_study: MakeStudy) -> None:
    study = make_study("seed=1,2")
    changed = study.with_settings({"solver.base_lr": 0.7, "seed": 5})
    assert net(changed).solver.base_lr == 0.7
    assert net(study.competition).solver.base_lr == 0.1
    assert {**changed.models, "net": None} == {**study.competition.models, "net": None}
    assert (changed.seed, study.competition.seed) == (5, 2016)


def net(settings: Competition) -> CaffeNet:
    found = swept_net(settings)
    assert isinstance(found, CaffeNet)
    return found
