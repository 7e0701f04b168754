"""Real trainings into a real SQLite store."""

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import optuna
import pandas as pd
import psutil
import pytest
import sqlalchemy
from mlflow.entities import Run
from numpy.typing import NDArray

from ripen.core.errors import ConfigError
from ripen.learn.sweeps import store as stores
from ripen.learn.sweeps import study as studies
from ripen.learn.sweeps import sweep_tables
from ripen.learn.sweeps.launchers import run_study
from ripen.learn.sweeps.store import Store
from ripen.learn.sweeps.study import Study
from ripen.learn.sweeps.trial import FinishedTrial, Result, as_trial
from ripen.settings.compose import changed, load_run
from ripen.settings.schema import Launcher
from ripen.settings.schema import Study as StudySettings
from ripen.stages import sweep as stage
from tests.ripen.learn.sweeps.conftest import QUICK, competition, environment, sweeping
from tests.ripen.postgresql import server

pytestmark = pytest.mark.slow

MakeStudy = Callable[..., Study]
PREPARED = Path("data/avocado/inputs/prepared")
BASIC = Launcher(name="basic", workers=1, address=None)
GRID = ("solver.base_lr=0.05,0.5", "net.hidden_layers=[2],[3,3]")


def database(name: str = "studies") -> StudySettings:
    return StudySettings(uri=f"sqlite:///{Path.cwd() / name}.db", timeout=30)


def swept(made: Study, settings: StudySettings, launcher: Launcher = BASIC) -> list[FinishedTrial]:
    return run_study(Store(made, settings), launcher, lambda store, finished: None)


def same(first: list[FinishedTrial], second: list[FinishedTrial]) -> bool:
    """Compare all but how long it took; sums of another stack may round otherwise."""

    def ends(finished: list[FinishedTrial]) -> list[tuple[object, ...]]:
        return [(f.index, f.settings, f.key, f.result.ended) for f in finished]

    def curves(finished: list[FinishedTrial]) -> NDArray[np.float64]:
        return np.array([point for one in finished for point in one.result.curve])

    return ends(first) == ends(second) and np.allclose(
        curves(first), curves(second), rtol=1e-5, atol=1e-6
    )


def test_every_trial_of_a_grid_is_there_once(make_study: MakeStudy) -> None:
    made = make_study(*GRID)
    finished = swept(made, database())
    assert [one.index for one in finished] == [0, 1, 2, 3]
    assert [tuple(one.settings.values()) for one in finished] == [
        (0.05, [2]),
        (0.05, [3, 3]),
        (0.5, [2]),
        (0.5, [3, 3]),
    ]
    for one in finished:
        assert one.result.ended == "max_iter"
        assert [point.iteration for point in one.result.curve] == [20, 40, 60, 80, 100]
    kept = optuna.load_study(study_name=made.name, storage=database().uri)
    assert len(kept.trials) == 4
    best = min(finished, key=lambda one: one.result.best.validation_loss)  # type: ignore[union-attr]
    assert kept.best_params["solver.base_lr"] == best.settings["solver.base_lr"]
    assert kept.best_value == best.result.best.validation_loss  # type: ignore[union-attr]


def test_no_trial_is_trained_twice(make_study: MakeStudy) -> None:
    first = swept(make_study(*GRID), database())
    again = swept(make_study(*GRID), database())
    assert again == first
    # Another sweep has two of the same settings, whatever their order and their base.
    other = make_study("net.hidden_layers=[3,3],[5]", "solver.base_lr=0.5,0.05", name="other")
    second = swept(other, database())
    known = {one.key: one.result for one in first}
    assert [one.key in known for one in second] == [True, True, False, False]
    assert second[0].result == known[second[0].key]
    assert second[2].result.seconds > 0


def test_other_data_or_another_seed_are_other_trials(make_study: MakeStudy) -> None:
    first = make_study(*GRID)
    assert make_study(*GRID, overrides=("seed=7",)).key({}) != first.key({})
    with (PREPARED / "table.parquet").open("ab") as file:
        file.write(b"changed")
    assert make_study(*GRID).key({}) != first.key({})
    assert make_study(*GRID).name != first.name


def test_more_trials_go_on_with_the_same_study(make_study: MakeStudy) -> None:
    drawn = ("solver.base_lr=interval(0.01,1)",)
    first = swept(make_study(*drawn, sampler="random", trials=2), database())
    more = swept(make_study(*drawn, sampler="random", trials=4), database())
    assert more[:2] == first
    assert len(more) == 4


def test_hopeless_trials_end_early_and_the_same_each_time(make_study: MakeStudy) -> None:
    drawn = ("solver.base_lr=0.5,0.4,0.3,0.0001,0.0002",)
    median = {"name": "median", "startup_trials": 3, "first_iteration": 20}
    made = make_study(*drawn, pruner=median)
    first = swept(made, database())
    assert [one.result.ended for one in first] == ["max_iter"] * 3 + ["pruned"] * 2
    assert all(one.result.iterations < 100 for one in first[3:])
    assert same(first, swept(made, database("fresh")))
    # What another sweep trained to the end is cut as if it had run here.
    swept(make_study(*drawn, name="whole"), database("other"))
    assert same(first, swept(made, database("other")))


def test_a_diverged_trial_is_kept_and_does_not_end_the_sweep(make_study: MakeStudy) -> None:
    made = make_study("solver.base_lr=0.5,1e30", "net.activation=relu")
    finished = swept(made, database())
    assert [one.result.ended for one in finished] == ["max_iter", "diverged"]
    assert sweep_tables.best(made, finished)["settings"] == {"solver.base_lr": 0.5}


def test_a_trial_alone_is_pruned_like_one_in_a_stack(make_study: MakeStudy) -> None:
    drawn = ("solver.base_lr=0.5,0.4,0.3,0.0001,0.0002",)
    median = {"name": "median", "startup_trials": 3, "first_iteration": 20}
    made = make_study(*drawn, overrides=("solver.type=Nesterov",), pruner=median)
    assert as_trial(made.competition) is None  # it cannot be stacked
    finished = swept(made, database())
    assert [one.result.ended for one in finished] == ["max_iter"] * 3 + ["pruned"] * 2
    for one in finished[3:]:
        assert one.result.iterations == one.result.curve[-1].iteration < 100


def test_a_trial_alone_that_diverges_ends_so(make_study: MakeStudy) -> None:
    wild = ("solver.type=Nesterov", "net.activation=relu")
    finished = swept(make_study("solver.base_lr=0.5,1e30", overrides=wild), database())
    assert [one.result.ended for one in finished] == ["max_iter", "diverged"]


def test_a_regression_is_compared_by_its_loss_and_has_no_accuracy(repository: Path) -> None:
    index = pd.read_csv(PREPARED / "index.csv", dtype=str, keep_default_na=False)
    table = pd.read_parquet(PREPARED / "table.parquet")
    target = (3 + 2 * table.c0).astype(str)
    index.assign(target=target).to_csv(PREPARED / "index.csv", index=False)
    (PREPARED / "classes.json").write_text("{}")
    numbers = {"task": "regression", "classes": None, "metric": "rmse", "submission": "value"}
    settings = sweeping(changed(competition(*QUICK), **numbers), ("solver.base_lr=1e-6,0.01",), {})
    made = studies.define("avocado", settings)
    finished = swept(made, database())
    best = sweep_tables.best(made, finished)
    assert best["settings"] == {"solver.base_lr": 0.01}
    assert best["validation"]["accuracy"] is None
    (repository / "drawn").mkdir()
    sweep_tables.write(repository / "drawn", made, finished)
    stage.draw(repository / "drawn", made, finished)
    drawn = {file.name for file in (repository / "drawn/figures").iterdir()}
    assert drawn == {"curves.svg", "converged.svg"}


def test_an_estimator_without_training_cannot_be_swept(make_study: MakeStudy) -> None:
    study = make_study("seed=1,2")
    forest = {"estimator": "random_forest"}
    made = replace(study, competition=changed(study.competition, models={"net": forest}))
    with pytest.raises(ConfigError, match="'random_forest' of the model 'net' has none"):
        swept(made, database())


@pytest.mark.slow
def test_all_launchers_give_the_same(make_study: MakeStudy) -> None:
    made = make_study(*GRID, sampler="tpe", trials=6, round=3)
    alone = swept(made, database("alone"))
    joblib = Launcher(name="joblib", workers=2, address=None)
    assert same(alone, swept(made, database("processes"), joblib))


@pytest.mark.slow
def test_a_killed_worker_costs_no_trial(make_study: MakeStudy) -> None:
    made = make_study("seed=1,2,3,4", "solver.max_iter=4000")
    killed: list[int] = []

    def kill(store: Store, finished: list[FinishedTrial]) -> None:
        if finished and not killed:
            children = psutil.Process().children()
            killed.extend(each.pid for each in children if "LokyProcess" in str(each.cmdline()))
            os.kill(killed[0], signal.SIGKILL)

    joblib = Launcher(name="joblib", workers=2, address=None)
    finished = run_study(Store(made, database()), joblib, kill)
    assert killed
    assert [one.settings["seed"] for one in finished] == [1, 2, 3, 4]
    trials = optuna.load_study(study_name=made.name, storage=database().uri).trials
    assert sorted(trial.user_attrs["index"] for trial in trials) == [0, 1, 2, 3]


SWEEP = (
    sys.executable, "-m", "ripen.cli", "sweep", "avocado", "-m", "seed=1,2,3,4,5,6",
    "train.check_interval=50", "train.early_stopping=1000", "train.tolerance=0.0",
    "solver.max_iter=2500", "sweep.pruner.name=median", "sweep.pruner.first_iteration=800",
)  # fmt: skip


@pytest.mark.slow
def test_a_killed_sweep_goes_on_and_loses_nothing(repository: Path) -> None:
    environ = environment(repository)
    kept: list[set[str]] = []
    for seconds in (0.0, 0.3):
        with subprocess.Popen(SWEEP, env=environ, stdout=subprocess.DEVNULL) as process:
            before = len(kept[-1]) if kept else 0
            _wait(lambda done=before: len(_results()) > done)  # type: ignore[misc]
            time.sleep(seconds)
            process.kill()
        kept.append(_results())
    subprocess.run(SWEEP, env=environ, check=True)
    table = (repository / ".ripen/sweeps/avocado/multirun/trials.csv").read_text()
    ended = _results()
    assert kept[0] <= kept[1] <= ended
    assert 0 < len(kept[0]) < 6
    assert len(ended) == 6
    undisturbed = (*SWEEP, f"study.uri=sqlite:///{repository / 'undisturbed.db'}")
    subprocess.run(undisturbed, env=environ, check=True)
    assert (repository / ".ripen/sweeps/avocado/multirun/trials.csv").read_text() == table


def _results() -> set[str]:
    """Return the results in the command line's store."""
    if not Path(".ripen/studies.db").exists():
        return set()
    storage = "sqlite:///.ripen/studies.db"
    with stores.locked(
        storage, 60
    ):  # a reader would make the tables too, while they are being made
        summaries = optuna.get_all_study_summaries(storage)
    if not summaries:
        return set()
    trials = optuna.load_study(study_name=summaries[0].study_name, storage=storage).trials
    done = [trial for trial in trials if trial.state.is_finished() and "result" in trial.user_attrs]
    assert len({trial.user_attrs["index"] for trial in done}) == len(done)
    return {trial.user_attrs["result"] for trial in done}


def _wait(ready: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.05)


def _join(number: int, trials: int, study: str | None, tracking: str | None) -> None:
    """Be one of several processes that sweep."""
    quick = competition("train.check_interval=20", "solver.max_iter=40")
    made = studies.define("avocado", sweeping(quick, (f"seed=range(1,{trials + 1})",), {}))
    folder = Path(f"process-{number}")
    folder.mkdir()
    run = changed(load_run(), study={"uri": study, "timeout": 60}, tracking={"uri": tracking})
    stage.sweep(made, run, folder)


def _share(
    count: int, trials: int, study: str | None = None, tracking: str | None = None
) -> list[Run]:
    """Sweep in several processes at once; return MLflow's runs.

    Makes sure that each trial is in Optuna's store once, and in MLflow's.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ripen.stages.sweep"])
    processes = [
        context.Process(target=_join, args=(number, trials, study, tracking))
        for number in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * count
    tables = [Path(f"process-{number}", "trials.csv").read_text() for number in range(count)]
    assert len(set(tables)) == 1
    storage = study or "sqlite:///.ripen/studies.db"
    (summary,) = optuna.get_all_study_summaries(storage)
    found = optuna.load_study(study_name=summary.study_name, storage=storage).trials
    assert sorted(trial.user_attrs["index"] for trial in found) == list(range(trials))
    assert len({Result.loads(trial.user_attrs["result"]).curve for trial in found}) == trials
    runs = mlflow.MlflowClient(tracking or "sqlite:///mlflow.db").search_runs(["1"])
    numbers = [int(run.data.tags["ripen.trial"]) for run in runs if "ripen.trial" in run.data.tags]
    assert sorted(numbers) == list(range(trials))
    return list(runs)


@pytest.mark.slow
def test_several_processes_share_a_fresh_store(repository: Path) -> None:
    assert len(_share(6, 12)) == 13


@pytest.mark.slow
# Optuna's and MLflow's clients never close their connections, which psycopg warns of.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_several_processes_share_fresh_databases_of_postgresql(repository: Path) -> None:
    with server("ripen", "mlflow") as (study, tracking):
        assert len(_share(4, 12, study, tracking)) == 13
        engines = [sqlalchemy.create_engine(uri) for uri in (study, tracking)]
        assert [sqlalchemy.inspect(engine).has_table("trials") for engine in engines] == [1, 0]
        for engine in engines:
            engine.dispose()
    assert not Path(".ripen/studies.db").exists()
    assert not Path("mlflow.db").exists()
    gc.collect()
