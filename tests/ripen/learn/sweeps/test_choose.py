from collections.abc import Callable

import numpy as np
import optuna
import pytest

from ripen.learn.sweeps import choose
from ripen.learn.sweeps.outcome import Finished, Outcome, Point, thinned
from ripen.learn.sweeps.plan import Plan
from ripen.settings.schema.sweep import Pruner

MakePlan = Callable[..., Plan]
DRAWN = ("solver.base_lr=tag(log,interval(0.001,10))", "net.hidden_layers=[4],[8],[8,8]")
MEDIAN = Pruner(name="median", startup_trials=2, first_iteration=1, reduction_factor=3)
HALVING = Pruner(
    name="successive_halving", startup_trials=0, first_iteration=10, reduction_factor=2
)


def outcome(*losses: float, ended: str = "max_iter") -> Outcome:
    curve = tuple(Point(10 * i, loss, loss, 0.5) for i, loss in enumerate(losses, start=1))
    return Outcome(ended, 10 * len(losses), curve, 0.0)


def drawn(plan: Plan, loss: Callable[[float], float]) -> list[Finished]:
    """Go through a sweep whose trials' loss is a function of the learning rate."""
    done: list[Finished] = []
    for index in range(plan.count):
        settings = plan.settings(index, done[: plan.first_of_round(index)])
        done.append(Finished(index, settings, "", outcome(loss(settings["solver.base_lr"]))))
    return done


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_the_same_seed_gives_the_same_trials(sampler: str, make_plan: MakePlan) -> None:
    def trials(seed: int) -> list[dict[str, object]]:
        made = make_plan(*DRAWN, overrides=(f"seed={seed}",), sampler=sampler, trials=14)
        return [one.settings for one in drawn(made, lambda rate: rate)]

    first = trials(1)
    assert first == trials(1) != trials(2)
    assert all(0.001 <= one["solver.base_lr"] <= 10 for one in first)  # type: ignore[operator]


def test_tpe_comes_nearer_than_chance(make_plan: MakePlan) -> None:
    def far(rate: float) -> float:
        return abs(float(np.log10(rate)) + 1)  # lowest at 0.1

    def late(sampler: str) -> float:
        made = make_plan(*DRAWN, sampler=sampler, trials=40)
        return float(np.mean([one.outcome.curve[0].loss for one in drawn(made, far)[20:]]))

    assert late("tpe") < 0.7 * late("random")


def test_the_trials_of_a_round_do_not_know_of_each_other(make_plan: MakePlan) -> None:
    made = make_plan(*DRAWN, sampler="tpe", trials=20, round=4)
    assert [made.first_of_round(i) for i in range(9)] == [0, 0, 0, 0, 4, 4, 4, 4, 8]
    assert make_plan("seed=1,2").first_of_round(1) == 0


def test_a_trial_above_the_median_is_hopeless() -> None:
    watch = choose.Watch(MEDIAN, [outcome(0.5, 0.4), outcome(0.3, 0.2), outcome(0.1, 0.1)])
    assert not watch.hopeless(10, 0.3)
    assert watch.hopeless(20, 0.29)
    # With fewer finished trials than startup_trials nothing is.
    assert not choose.Watch(MEDIAN, [outcome(0.1)]).hopeless(10, 9.0)


def test_halving_lets_the_better_half_go_on() -> None:
    history = [outcome(0.4, 0.4), outcome(0.3, 0.3), outcome(0.2, 0.2)]
    assert not choose.Watch(HALVING, history).hopeless(10, 0.25)
    assert choose.Watch(HALVING, history).hopeless(10, 0.35)


@pytest.mark.parametrize("pruner", [MEDIAN, HALVING])
def test_what_is_known_already_is_pruned_as_if_it_ran(pruner: Pruner) -> None:
    history = [outcome(0.4, 0.3, 0.2), outcome(0.3, 0.2, 0.1), outcome(0.35, 0.3, 0.3)]
    full = outcome(0.3, 0.9, 0.8, 0.8) if pruner is HALVING else outcome(0.34, 0.5, 0.8, 0.8)
    watch, seen = choose.Watch(pruner, history), 0
    for point in full.curve:
        seen += 1
        if watch.hopeless(point.iteration, point.validation_loss):
            break
    cut = choose.pruned(full, pruner, history)
    assert (cut.ended, len(cut.curve)) == ("pruned", seen)
    assert cut.curve == full.curve[:seen]


def test_optuna_sees_how_a_trial_ended(make_plan: MakePlan) -> None:
    made = make_plan("net.hidden_layers=[4],[8,8]", "solver.max_iter=50")
    complete = choose.frozen(made.space, made.settings(1, []), outcome(0.4, 0.2, 0.3))
    assert complete.state == optuna.trial.TrialState.COMPLETE
    assert (complete.value, complete.params) == (0.2, {"net.hidden_layers": "[8, 8]"})
    assert complete.intermediate_values == {10: 0.4, 20: 0.2, 30: 0.3}
    diverged = choose.frozen(made.space, made.settings(1, []), outcome(0.4, ended="diverged"))
    assert (diverged.state, diverged.intermediate_values) == (optuna.trial.TrialState.PRUNED, {})
    assert choose.decoded(made.space, complete.params) == made.settings(1, [])


def test_an_outcome_is_read_as_it_was_written() -> None:
    kept = outcome(0.1 + 0.2, 1 / 3)
    assert Outcome.loads(kept.dumps()) == kept
    assert kept.best == kept.curve[0]
    assert Outcome("diverged", 0, (), 0.0).best is None


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    points = list(range(1001))
    assert thinned(points, 5) == [0, 250, 500, 750, 1000]
    assert thinned(points[:3], 5) == [0, 1, 2]
    assert thinned(points, 2) == [0, 1000]
