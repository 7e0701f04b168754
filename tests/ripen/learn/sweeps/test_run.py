"""Real trainings into a real SQLite store."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import optuna
from numpy.typing import NDArray

from ripen.learn.sweeps import database, plan, report, results
from ripen.learn.sweeps.outcome import Finished, Outcome
from ripen.learn.sweeps.plan import Plan
from ripen.learn.sweeps.run import run
from ripen.learn.sweeps.store import Store
from ripen.settings import compose as config
from ripen.settings.schema.sweep import Launcher, Study
from tests.ripen.learn.sweeps.conftest import changed, environment

MakePlan = Callable[..., Plan]
PREPARED = Path("data/avocado/inputs/prepared")
BASIC = Launcher(name="basic", workers=1, address=None)
GRID = ("solver.base_lr=0.05,0.5", "net.hidden_layers=[2],[3,3]")


def study(name: str = "studies") -> Study:
    return Study(uri=f"sqlite:///{Path.cwd() / name}.db", timeout=30)


def swept(made: Plan, store: Study, launcher: Launcher = BASIC) -> list[Finished]:
    return run(made, store, launcher, PREPARED, lambda store, finished: None)


def same(first: list[Finished], second: list[Finished]) -> bool:
    """Compare all but how long it took; sums of another stack may round otherwise."""

    def ends(finished: list[Finished]) -> list[tuple[object, ...]]:
        return [(f.index, f.settings, f.key, f.outcome.ended) for f in finished]

    def curves(finished: list[Finished]) -> NDArray[np.float64]:
        return np.array([point for one in finished for point in one.outcome.curve])

    return ends(first) == ends(second) and np.allclose(
        curves(first), curves(second), rtol=1e-5, atol=1e-6
    )


def test_every_trial_of_a_grid_is_there_once(make_plan: MakePlan) -> None:
    made = make_plan(*GRID)
    finished = swept(made, study())
    assert [one.index for one in finished] == [0, 1, 2, 3]
    assert [tuple(one.settings.values()) for one in finished] == [
        (0.05, [2]),
        (0.05, [3, 3]),
        (0.5, [2]),
        (0.5, [3, 3]),
    ]
    for one in finished:
        assert one.outcome.ended == "max_iter"
        assert [point.iteration for point in one.outcome.curve] == [20, 40, 60, 80, 100]
    kept = optuna.load_study(study_name=made.name, storage=study().uri)
    assert len(kept.trials) == 4
    best = min(finished, key=lambda one: one.outcome.best.validation_loss)  # type: ignore[union-attr]
    assert kept.best_params["solver.base_lr"] == best.settings["solver.base_lr"]
    assert kept.best_value == best.outcome.best.validation_loss  # type: ignore[union-attr]


def test_no_trial_is_trained_twice(make_plan: MakePlan) -> None:
    first = swept(make_plan(*GRID), study())
    again = swept(make_plan(*GRID), study())
    assert again == first
    # Another sweep has two of the same settings, whatever their order and their base.
    other = make_plan("net.hidden_layers=[3,3],[5]", "solver.base_lr=0.5,0.05", name="other")
    second = swept(other, study())
    known = {one.key: one.outcome for one in first}
    assert [one.key in known for one in second] == [True, True, False, False]
    assert second[0].outcome == known[second[0].key]
    assert second[2].outcome.seconds > 0


def test_other_data_or_another_seed_are_other_trials(make_plan: MakePlan) -> None:
    first = make_plan(*GRID)
    assert make_plan(*GRID, overrides=("seed=7",)).key({}) != first.key({})
    with (PREPARED / "train.h5").open("ab") as file:
        file.write(b"changed")
    assert make_plan(*GRID).key({}) != first.key({})
    assert make_plan(*GRID).name != first.name


def test_more_trials_go_on_with_the_same_study(make_plan: MakePlan) -> None:
    drawn = ("solver.base_lr=interval(0.01,1)",)
    first = swept(make_plan(*drawn, sampler="random", trials=2), study())
    more = swept(make_plan(*drawn, sampler="random", trials=4), study())
    assert more[:2] == first
    assert len(more) == 4


def test_hopeless_trials_end_early_and_the_same_each_time(make_plan: MakePlan) -> None:
    drawn = ("solver.base_lr=0.5,0.4,0.3,0.0001,0.0002",)
    median = {"name": "median", "startup_trials": 3, "first_iteration": 20}
    made = make_plan(*drawn, pruner=median)
    first = swept(made, study())
    assert [one.outcome.ended for one in first] == ["max_iter"] * 3 + ["pruned"] * 2
    assert all(one.outcome.iterations < 100 for one in first[3:])
    assert same(first, swept(made, study("fresh")))
    # What another sweep trained to the end is cut as if it had run here.
    swept(make_plan(*drawn, name="whole"), study("other"))
    assert same(first, swept(made, study("other")))


def test_a_diverged_trial_is_kept_and_does_not_end_the_sweep(make_plan: MakePlan) -> None:
    made = make_plan("solver.base_lr=0.5,1e30", "net.activation=relu")
    finished = swept(made, study())
    assert [one.outcome.ended for one in finished] == ["max_iter", "diverged"]
    assert results.best(made, finished)["settings"] == {"solver.base_lr": 0.5}


def test_all_launchers_give_the_same(make_plan: MakePlan) -> None:
    made = make_plan(*GRID, sampler="tpe", trials=6, round=3)
    alone = swept(made, study("alone"))
    joblib = Launcher(name="joblib", workers=2, address=None)
    assert same(alone, swept(made, study("processes"), joblib))


def test_a_killed_worker_costs_no_trial(make_plan: MakePlan) -> None:
    made = make_plan("seed=1,2,3,4", "solver.max_iter=4000")
    killed: list[int] = []

    def kill(store: Store, finished: list[Finished]) -> None:
        from joblib.externals.loky import get_reusable_executor

        if finished and not killed:
            killed.extend(get_reusable_executor()._processes)
            os.kill(killed[0], signal.SIGKILL)

    joblib = Launcher(name="joblib", workers=2, address=None)
    finished = run(made, study(), joblib, PREPARED, kill)
    assert killed
    assert [one.settings["seed"] for one in finished] == [1, 2, 3, 4]
    trials = optuna.load_study(study_name=made.name, storage=study().uri).trials
    assert sorted(trial.user_attrs["index"] for trial in trials) == [0, 1, 2, 3]


SWEEP = (
    sys.executable, "-m", "ripen.cli", "sweep", "avocado", "-m", "seed=1,2,3,4,5,6",
    "train.check_interval=50", "train.early_stopping=1000", "train.tolerance=0.0",
    "solver.max_iter=2500", "sweep.pruner.name=median", "sweep.pruner.first_iteration=800",
)  # fmt: skip


def test_a_killed_sweep_goes_on_and_loses_nothing(repository: Path) -> None:
    environ = environment(repository)
    kept: list[set[str]] = []
    for seconds in (0.0, 0.3):
        with subprocess.Popen(SWEEP, env=environ, stdout=subprocess.DEVNULL) as process:
            before = len(kept[-1]) if kept else 0
            _wait(lambda done=before: len(_outcomes()) > done)  # type: ignore[misc]
            time.sleep(seconds)
            process.kill()
        kept.append(_outcomes())
    subprocess.run(SWEEP, env=environ, check=True)
    table = (repository / ".ripen/sweeps/avocado/multirun/trials.csv").read_text()
    ended = _outcomes()
    assert kept[0] <= kept[1] <= ended
    assert 0 < len(kept[0]) < 6
    assert len(ended) == 6
    undisturbed = (*SWEEP, f"study.uri=sqlite:///{repository / 'undisturbed.db'}")
    subprocess.run(undisturbed, env=environ, check=True)
    assert (repository / ".ripen/sweeps/avocado/multirun/trials.csv").read_text() == table


def _outcomes() -> set[str]:
    """Return the outcomes in the command line's store."""
    if not Path(".ripen/studies.db").exists():
        return set()
    storage = "sqlite:///.ripen/studies.db"
    with database.locked(storage, 60):  # who reads it while its tables are made would make them too
        summaries = optuna.get_all_study_summaries(storage)
    if not summaries:
        return set()
    trials = optuna.load_study(study_name=summaries[0].study_name, storage=storage).trials
    done = [
        trial for trial in trials if trial.state.is_finished() and "outcome" in trial.user_attrs
    ]
    assert len({trial.user_attrs["index"] for trial in done}) == len(done)
    return {trial.user_attrs["outcome"] for trial in done}


def _wait(ready: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.05)


def _join(number: int) -> None:
    """Be one of several processes that sweep."""
    quick = ["train.check_interval=20", "solver.max_iter=40"]
    settings = config.from_mapping(config.compose(quick), "test")
    made = plan.plan(settings, "avocado", changed(settings, ("seed=range(1,25)",), {}))
    folder = Path(f"process-{number}")
    folder.mkdir()
    report.swept(made, folder)


def test_eight_processes_share_a_fresh_store(repository: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ripen.learn.sweeps.report"])
    processes = [context.Process(target=_join, args=(number,)) for number in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
    tables = [Path(f"process-{number}", "trials.csv").read_text() for number in range(8)]
    assert len(set(tables)) == 1
    storage = "sqlite:///.ripen/studies.db"
    (summary,) = optuna.get_all_study_summaries(storage)
    trials = optuna.load_study(study_name=summary.study_name, storage=storage).trials
    assert sorted(trial.user_attrs["index"] for trial in trials) == list(range(24))
    assert len({Outcome.loads(trial.user_attrs["outcome"]).curve for trial in trials}) == 24
    runs = mlflow.MlflowClient("sqlite:///mlflow.db").search_runs(["1"])
    numbers = [int(run.data.tags["ripen.trial"]) for run in runs if "ripen.trial" in run.data.tags]
    assert sorted(numbers) == list(range(24))
    assert len(runs) == 25
