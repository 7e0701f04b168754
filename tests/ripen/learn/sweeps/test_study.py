from collections.abc import Callable

import numpy as np
import optuna
import pytest

from ripen.learn.sweeps.study import Study, decoded, frozen
from ripen.learn.sweeps.trial import FinishedTrial, Point, Result, Watch, pruned, thinned
from ripen.settings.schema import Pruner

MakeStudy = Callable[..., Study]
DRAWN = ("solver.base_lr=tag(log,interval(0.001,10))", "net.hidden_layers=[4],[8],[8,8]")
MEDIAN = Pruner(name="median", startup_trials=2, first_iteration=1, reduction_factor=3)
HALVING = Pruner(
    name="successive_halving", startup_trials=0, first_iteration=10, reduction_factor=2
)


def result(*losses: float, ended: str = "max_iter") -> Result:
    curve = tuple(Point(10 * i, loss, loss, 0.5) for i, loss in enumerate(losses, start=1))
    return Result(ended, 10 * len(losses), curve, 0.0)


def drawn(study: Study, loss: Callable[[float], float]) -> list[FinishedTrial]:
    """Go through a sweep whose trials' loss is a function of the learning rate."""
    done: list[FinishedTrial] = []
    for index in range(study.count):
        settings = study.suggest(index, done[: study.first_of_round(index)])
        done.append(FinishedTrial(index, settings, "", result(loss(settings["solver.base_lr"]))))
    return done


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_the_same_seed_gives_the_same_trials(sampler: str, make_study: MakeStudy) -> None:
    def trials(seed: int) -> list[dict[str, object]]:
        made = make_study(*DRAWN, overrides=(f"seed={seed}",), sampler=sampler, trials=14)
        return [one.settings for one in drawn(made, lambda rate: rate)]

    first = trials(1)
    assert first == trials(1) != trials(2)
    assert all(0.001 <= one["solver.base_lr"] <= 10 for one in first)  # type: ignore[operator]


def test_tpe_comes_nearer_than_random_draws(make_study: MakeStudy) -> None:
    def far(rate: float) -> float:
        return abs(float(np.log10(rate)) + 1)  # lowest at 0.1

    def late(sampler: str) -> float:
        made = make_study(*DRAWN, sampler=sampler, trials=40)
        return float(np.mean([one.result.curve[0].loss for one in drawn(made, far)[20:]]))

    assert late("tpe") < 0.7 * late("random")


def test_the_trials_of_a_round_do_not_know_of_each_other(make_study: MakeStudy) -> None:
    made = make_study(*DRAWN, sampler="tpe", trials=20, round=4)
    assert [made.first_of_round(i) for i in range(9)] == [0, 0, 0, 0, 4, 4, 4, 4, 8]
    assert make_study("seed=1,2").first_of_round(1) == 0


def test_a_trial_above_the_median_is_hopeless() -> None:
    watch = Watch(MEDIAN, [result(0.5, 0.4), result(0.3, 0.2), result(0.1, 0.1)])
    assert not watch.hopeless(10, 0.3)
    assert watch.hopeless(20, 0.29)
    # With fewer finished trials than startup_trials nothing is.
    assert not Watch(MEDIAN, [result(0.1)]).hopeless(10, 9.0)


def test_halving_lets_the_better_half_go_on() -> None:
    history = [result(0.4, 0.4), result(0.3, 0.3), result(0.2, 0.2)]
    assert not Watch(HALVING, history).hopeless(10, 0.25)
    assert Watch(HALVING, history).hopeless(10, 0.35)


@pytest.mark.parametrize("pruner", [MEDIAN, HALVING])
def test_a_known_result_is_pruned_as_if_it_ran(pruner: Pruner) -> None:
    history = [result(0.4, 0.3, 0.2), result(0.3, 0.2, 0.1), result(0.35, 0.3, 0.3)]
    full = result(0.3, 0.9, 0.8, 0.8) if pruner is HALVING else result(0.34, 0.5, 0.8, 0.8)
    watch, seen = Watch(pruner, history), 0
    for point in full.curve:
        seen += 1
        if watch.hopeless(point.iteration, point.validation_loss):
            break
    cut = pruned(full, pruner, history)
    assert (cut.ended, len(cut.curve)) == ("pruned", seen)
    assert cut.curve == full.curve[:seen]


def test_optuna_sees_how_a_trial_ended(make_study: MakeStudy) -> None:
    made = make_study("net.hidden_layers=[4],[8,8]", "solver.max_iter=50")
    complete = frozen(made.space, made.suggest(1, []), result(0.4, 0.2, 0.3))
    assert complete.state == optuna.trial.TrialState.COMPLETE
    assert (complete.value, complete.params) == (0.2, {"net.hidden_layers": "[8, 8]"})
    assert complete.intermediate_values == {10: 0.4, 20: 0.2, 30: 0.3}
    diverged = frozen(made.space, made.suggest(1, []), result(0.4, ended="diverged"))
    assert (diverged.state, diverged.intermediate_values) == (optuna.trial.TrialState.PRUNED, {})
    assert decoded(made.space, complete.params) == made.suggest(1, [])


def test_an_result_is_read_as_it_was_written() -> None:
    kept = result(0.1 + 0.2, 1 / 3)
    assert Result.loads(kept.dumps()) == kept
    assert kept.best == kept.curve[0]
    assert Result("diverged", 0, (), 0.0).best is None


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    points = list(range(1001))
    assert thinned(points, 5) == [0, 250, 500, 750, 1000]
    assert thinned(points[:3], 5) == [0, 1, 2]
    assert thinned(points, 2) == [0, 1000]
