"""A run's budget: what is begun, what is left out, and that the settings stay true."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ripen.cli import budget
from ripen.cli.budget import Unit
from ripen.core.errors import ConfigError, DataError
from ripen.settings.compose import check
from ripen.settings.schema import Competition
from ripen.stages.settings import compose

CONF = Path(__file__).parents[3] / "conf"


def unit(name: str, cost: float, competition: str = "titanic") -> Unit:
    return Unit(competition, name, f"fit@{competition}.{name}", cost)


class Clock:
    """A clock of stages that take a second for each unit of their cost."""

    def __init__(self, seconds: float, kept: float = 0) -> None:
        self.left_, self.kept, self.ran = seconds, kept, list[str]()

    def left(self, all: bool) -> float:
        return self.left_ + self.kept * all

    def dvc(self, unit: Unit, limit: float) -> float | None:
        self.ran.append(unit.stage.rpartition(".")[2])
        took = min(unit.cost, limit)
        self.left_ -= took
        return took if took == unit.cost else None


MODELS = [unit("ridge", 1), unit("lightgbm", 3), unit("catboost", 15), unit("net", 40)]


@pytest.mark.parametrize(
    ("seconds", "known", "ran", "undone"),
    [
        (100, {}, ["ridge", "lightgbm", "catboost", "net"], {}),
        (30, {}, ["ridge", "lightgbm", "catboost"], {"net": "not begun, about 35 s"}),
        # Times of an earlier run are better than a guess.
        (20, {"net": 40.0}, ["ridge", "lightgbm", "catboost"], {"net": "not begun, about 40 s"}),
        # One fit says nothing of the rate: the next is begun, and stopped when time is up.
        (
            10,
            {"lightgbm": 20.0},
            ["ridge", "catboost"],
            {
                "lightgbm": "not begun, about 20 s",
                "catboost": "stopped",
                "net": "not begun, about 1 s",
            },
        ),
    ],
    ids=["all", "one too slow", "known", "stopped"],
)
def test_models_too_slow_for_the_rest_are_not_begun(
    seconds: float, known: dict[str, float], ran: list[str], undone: dict[str, str]
) -> None:
    clock = Clock(seconds)
    times = {f"fit@titanic.{name}": took for name, took in known.items()}
    found = budget.spend(MODELS, times, clock.left, clock.dvc)
    assert clock.ran == ran
    assert {unit.name: reason for unit, reason in found.items()} == undone


def test_unchanged_models_cost_nothing_and_keep_their_time() -> None:
    clock, known = Clock(20), {"fit@titanic.net": 40.0, "fit@titanic.ridge": 1.0}
    found = budget.spend(
        MODELS, known, clock.left, lambda unit, _: 0 if unit.name == "ridge" else clock.dvc(unit, _)
    )
    assert known["fit@titanic.ridge"] == 1.0
    assert [unit.name for unit in found] == ["net"]


def test_models_that_an_earlier_run_has_finished_are_not_left_out() -> None:
    clock, known = Clock(4), {"fit@titanic.net": 40.0, "fit@titanic.ridge": 1.0}
    ready = {"fit@titanic.net", "fit@titanic.ridge"}
    found = budget.spend(MODELS, known, clock.left, clock.dvc, ready)
    assert clock.ran == ["lightgbm"]
    assert [unit.name for unit in found] == ["catboost"]
    assert budget.spend(MODELS[:1], known, Clock(0).left, clock.dvc, ready) == {}


def test_a_budget_too_short_for_one_model_is_one_line() -> None:
    clock = Clock(0.5)
    with pytest.raises(
        DataError,
        match=r"^the budget is too short for one model of titanic \(ridge: stopped\)\. Give more",
    ):
        budget.spend(MODELS, {}, clock.left, clock.dvc)
    other = [*MODELS[:2], unit("svm", 8, "leaf")]
    clock = Clock(3)
    with pytest.raises(DataError, match=r"one model of leaf \(svm: not begun, about 1 s\)"):
        budget.spend(other, {}, clock.left, clock.dvc)


def test_the_first_model_may_take_the_time_kept_for_the_evaluation() -> None:
    clock = Clock(-1, kept=3)
    found = budget.spend(MODELS, {}, clock.left, clock.dvc)
    assert clock.ran == ["ridge"]
    assert [unit.name for unit in found] == ["lightgbm", "catboost", "net"]


def test_stages_after_the_models_begin_only_if_they_end_in_time() -> None:
    stages = [Unit("a", "", "report@a", 5), Unit("b", "", "report@b", 9), Unit("c", "", "x@c", 2)]
    clock, known = Clock(13), {"report@b": 8.5, "x@c": 2.0}
    found = budget.spend(stages, known, clock.left, clock.dvc)
    assert found == {stages[1]: "not begun, about 8 s"}
    assert known == {"report@a": 5, "report@b": 8.5, "x@c": 2}
    for seconds, reason in ((0, "not begun"), (3, "stopped")):
        clock = Clock(seconds)
        assert budget.spend(stages[:1], {}, clock.left, clock.dvc) == {stages[0]: reason}


def test_models_of_a_table_are_fitted_side_by_side() -> None:
    """Two of them at once, and nothing beside one that may bring features with it."""
    together, running = threading.Barrier(2), set[str]()

    def dvc(unit: Unit, limit: float) -> float | None:
        running.add(unit.name)
        if unit.apart:
            together.wait(10)
            assert len(running) == 2
            together.wait(10)
        else:
            assert running == {"net"}
        running.remove(unit.name)
        return None if unit.name == "d" else unit.cost

    models = [replace(unit(name, 1), apart=name != "net") for name in ("a", "b", "net", "c", "d")]
    known = dict[str, float]()
    found = budget.spend(models, known, lambda _: 100.0, dvc, jobs=2)
    assert found == {models[-1]: "stopped"}
    assert known == {each.stage: 1.0 for each in models[:-1]}
    with pytest.raises(DataError, match=r"^the budget is too short for one model of titanic \(d:"):
        budget.spend([models[4], models[0]], known, lambda _: 100.0, dvc, jobs=2)


def test_later_stages_are_expected_to_take_what_they_took() -> None:
    """Or as long as the quickest of this run, where they are new; a fifth more to be safe."""
    spending = budget.Spending("1m", time.monotonic() - 20, {}, {"evaluate@a": 10.0})
    assert spending.left() == pytest.approx(40, abs=1)
    assert spending.expected(["evaluate@a", "predict@a"]) == 12
    spending.quickest = 5.0
    assert spending.expected(["evaluate@a", "predict@a"]) == 18


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    chosen = ["competitions=[titanic,avocado]", "competition.titanic.predict.model=catboost"]
    return compose(chosen, CONF)[0]


def test_units_begin_with_a_model_of_each_competition(
    composed: dict[str, Any],
) -> None:
    competitions = {
        name: check(values, Competition, name) for name, values in composed["competition"].items()
    }
    units = budget.units(competitions, composed["graph"])
    assert {unit.stage for unit in units[:2]} == {
        "fit@avocado.logistic_regression", "fit@titanic.catboost",
    }  # fmt: skip
    assert all(unit.apart for unit in units[:2])
    costs = [unit.cost for unit in units[2:] if unit.name]
    assert costs == sorted(costs)
    assert [unit.stage for unit in units if not unit.name] == ["sweep@titanic", "sweep@avocado"]
    assert units[-1].name == ""
    assert len(units) == sum(len(each.models) for each in competitions.values()) + 2
    dropped = budget.without(dict.fromkeys([units[-1], units[-3]], "not begun"), competitions)
    values = compose([*composed["overrides"], *dropped], CONF)[0]
    assert values["competition"]["avocado"]["sweep"] is None
    assert "avocado" not in values["graph"]["sweep"]
    assert units[-3].name not in values["competition"][units[-3].competition]["models"]


def test_tuning_and_seeds_count_in_the_cost(
    make_competition: Callable[..., Competition],
) -> None:
    plain = make_competition("titanic")
    tuned = make_competition("titanic", "models.lightgbm.tune={trials: 9, folds: 2}")
    seeds = make_competition("titanic", "models.lightgbm.seeds=3")
    twice = make_competition("titanic", "models.lightgbm.seeds=3", "pseudo_labels={}")
    costs = [budget.cost(each, "lightgbm") for each in (plain, seeds, tuned, twice)]
    assert costs == [3 * 6, 3 * 3 * 6, 3 * 21 * 6, 2 * 3 * 3 * 6]


def test_a_model_that_is_left_out_is_no_member_of_anything(
    make_competition: Callable[..., Competition],
) -> None:
    lists = ["blend={models: [svm, gaussian_nb]}", "pseudo_labels={models: [svm, gaussian_nb]}"]
    lost = dict.fromkeys([budget.Unit("titanic", "svm", "fit@titanic.svm", 1.0)], "not begun")
    place = "competition.titanic."
    found = budget.without(lost, {"titanic": make_competition("titanic", *lists)})
    assert found == [
        f"{place}models.svm=null",
        f"{place}blend=null",
        f"{place}pseudo_labels.models=[gaussian_nb]",
    ]


@pytest.mark.parametrize("wrong", ["0m", "30 minutes", "m", "-1h"])
def test_a_budget_is_a_number_and_a_unit(wrong: str) -> None:
    with pytest.raises(ConfigError, match=rf"budget: '{wrong}'\. Write a number and s, m or h"):
        compose(["competitions=[titanic]", f"budget='{wrong}'"], CONF)
