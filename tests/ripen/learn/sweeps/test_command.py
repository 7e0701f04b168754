"""`ripen sweep` as its users meet it."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import mlflow

from ripen.competition.datasets.prepared import write_part
from ripen.core.layout import Layout
from ripen.settings import compose as config
from ripen.stages import sweep as stage
from tests.ripen.learn.sweeps.conftest import avocados, environment, ripen

QUICK = ("train.check_interval=20", "solver.max_iter=60")


def test_a_sweep_ends_with_its_table_and_runs(repository: Path) -> None:
    done = ripen(repository, "sweep", "avocado", "-m", "solver.base_lr=0.1,1", "seed=1,2", *QUICK)
    folder = repository / ".ripen/sweeps/avocado/multirun"
    best = json.loads((folder / "best.json").read_text())
    rows = (folder / "trials.csv").read_text().splitlines()
    assert rows[0].startswith("trial,solver.base_lr,seed,ended,iterations,converged_at,")
    assert [row.split(",")[1:4] for row in rows[1:]] == [
        [rate, seed, "max_iter"] for rate in ("0.1", "1.0") for seed in ("1", "2")
    ]
    rate = best["settings"]["solver.base_lr"]
    assert f"train it: ripen run solver.base_lr={rate}\n" in done.stdout
    assert not (repository / "data/avocado/inputs/sweep.json").exists()

    client = mlflow.MlflowClient(f"sqlite:///{repository / 'mlflow.db'}")
    runs = client.search_runs(["1"])
    (parent,) = [run for run in runs if "ripen.sweep" in run.data.tags]
    trials = {run.data.tags["ripen.trial"]: run for run in runs if run is not parent}
    assert set(trials) == {"0", "1", "2", "3"}
    for run in trials.values():
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.info.status == "FINISHED"
        curve = client.get_metric_history(run.info.run_id, "curve/validation_loss")
        assert [point.step for point in curve] == [20, 40, 60]
    assert trials["2"].data.params == {"solver.base_lr": "1", "seed": "1", "solver.max_iter": "60",
                                       "train.check_interval": "20"}  # fmt: skip
    files = {file.path for file in client.list_artifacts(parent.info.run_id, "sweep")}
    assert "sweep/trials.csv" in files


def test_all_trials_diverge(repository: Path) -> None:
    wild = ("solver.base_lr=1e30,1e32", "net.activation=relu", *QUICK)
    done = ripen(repository, "sweep", "avocado", "-m", *wild, code=1)
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "ripen: all 2 trials of 'multirun' diverged: their curves are in .ripen/"
    )
    assert "diverged" in (repository / ".ripen/sweeps/avocado/multirun/trials.csv").read_text()


def test_an_older_mlflow_store_is_one_line(repository: Path) -> None:
    uri = f"sqlite:///{repository / 'mlflow.db'}"
    mlflow.MlflowClient(uri).search_experiments()
    with sqlite3.connect(repository / "mlflow.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    connection.close()
    layout = Layout("avocado")
    for name in ("test", "more"):
        write_part(layout.prepared, name, avocados(20, 2))
    layout.swept.write_text("{}")
    sweep = ripen(repository, "sweep", "avocado", "-m", "seed=1,2", *QUICK, code=1)
    stage = [sys.executable, "-m", "ripen.stages", "train", "avocado"]
    own = environment(repository)
    train = subprocess.run(stage, env=own, capture_output=True, text=True, check=False)
    assert train.returncode == 1
    for done in (sweep, train):
        (line,) = done.stderr.splitlines()
        assert "mlflow.db: the store was made by another version of MLflow" in line
        assert line.endswith(f"mlflow db upgrade {uri}")


def test_a_locked_study_is_one_line_and_the_sweep_goes_on(repository: Path) -> None:
    command = ("sweep", "avocado", "-m", "seed=1,2", "study.timeout=1", *QUICK)
    (repository / ".ripen").mkdir()
    holder = sqlite3.connect(repository / ".ripen/studies.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    (line,) = ripen(repository, *command, code=1).stderr.splitlines()
    assert ".ripen/studies.db: the store is locked by another program. Close it" in line
    holder.close()
    ripen(repository, *command)
    assert "seed" in (repository / ".ripen/sweeps/avocado/multirun/trials.csv").read_text()


def test_the_stage_leaves_what_train_takes(repository: Path) -> None:
    # Asked of the stage's function, since its command compares params.yaml with conf/.
    quick = (
        "train.check_interval=20",
        "sweep.parameters=['solver.base_lr=0.1,1','solver.max_iter=60']",
    )
    for best, taken in (("false", set()), ("true", {"solver.base_lr"})):
        values = config.compose([*quick, f"sweep.train_best={best}"])
        stage.run(config.from_mapping(values, "test"), "avocado")
        folder = Layout("avocado").sweep
        assert set(json.loads(Layout("avocado").swept.read_text())) == taken
    written = {file.name for file in folder.iterdir()}
    assert written == {
        "best.json", "best_curve.csv", "converged_at.csv", "curves.csv", "pictures", "trials.csv",
    }  # fmt: skip
    drawn = {file.name for file in (folder / "pictures").iterdir()}
    assert drawn == {"curves.svg", "converged.svg", "base_lr.svg"}
