"""`ripen sweep` as its users meet it."""

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from ripen.core.layout import Layout
from ripen.settings.yaml_files import dump
from ripen.stages import fit
from ripen.stages import sweep as stage
from ripen.stages.settings import compose
from tests.ripen import empty_store
from tests.ripen.learn.sweeps.conftest import CONF, environment, ripen

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def store(repository: Path) -> None:
    empty_store.put(repository)


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
    train = f"ripen run competition.avocado.models.net.solver.base_lr={rate}"
    assert f"train it: {train}\n" in done.stdout
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
    sweep = ripen(repository, "sweep", "avocado", "-m", "seed=1,2", *QUICK, code=1)
    command = [sys.executable, "-m", "ripen.stages", "fit", "avocado", "net"]
    own = environment(repository)
    fitted = subprocess.run(command, env=own, capture_output=True, text=True, check=False)
    assert fitted.returncode == 1
    for done in (sweep, fitted):
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


def test_the_stage_leaves_the_settings_that_fit_takes(repository: Path) -> None:
    quick = (
        "train.check_interval=20",
        "sweep.parameters=['solver.base_lr=0.1,1','solver.max_iter=60']",
    )
    Path("params.yaml").unlink()  # a link to the repository's
    for best, taken in (("false", set()), ("true", {"solver.base_lr"})):
        values, _ = compose([*quick, f"sweep.train_best={best}"], CONF)
        Path("params.yaml").write_text(dump(values))
        stage.run("avocado")
        folder = Layout("avocado").sweep
        assert set(json.loads(Layout("avocado").swept.read_text())) == taken
    written = {file.name for file in folder.iterdir()}
    assert written == {
        "best.json", "best_curve.csv", "converged_at.csv", "curves.csv", "figures", "trials.csv",
    }  # fmt: skip
    drawn = {file.name for file in (folder / "figures").iterdir()}
    assert drawn == {"curves.svg", "converged.svg", "base_lr.svg"}


def test_fit_takes_the_best_settings_where_the_sweep_says_so(repository: Path) -> None:
    Path("params.yaml").unlink()
    quick = ("train.check_interval=20", "solver.max_iter=60", "learning_curve=[]")
    Layout("avocado").swept.write_text('{"solver.base_lr": 0.25}')
    for best, rate in (("false", "0.1"), ("true", "0.25")):
        values, _ = compose([*quick, f"sweep.train_best={best}"], CONF)
        Path("params.yaml").write_text(dump(values))
        fit.run("avocado", "net")
        solver = (Layout("avocado").model("net") / "solver.prototxt").read_text()
        assert f"base_lr: {rate}\n" in solver


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cats_vs_dogs"], "cats_vs_dogs has no sweep. Add a section 'sweep'"),
        (["avocad"], "did you mean 'avocado'?"),
        (["bare"], "a sweep varies the model 'net', which this competition does not have"),
        (["avocado", "source.generate.n_train=5"], "is a setting of an earlier stage"),
        (["avocado", "-m"], "nothing is varied"),
        (["avocado", "sweep=node"], "conf/sweep/ has no 'node'; did you mean 'nodes'?"),
        (["other"], "params.yaml holds no other. Run: ripen compose 'competitions=[other]'"),
    ],
)
def test_a_sweep_that_is_impossible_is_one_line(
    arguments: list[str], message: str, repository: Path
) -> None:
    own = repository / "conf"
    own.unlink()
    shutil.copytree(CONF, own)
    for name, models in (("bare", "{net: null}"), ("other", "{}")):
        text = f"source: {{kaggle: {name}}}\ntarget: y\ntask: binary\nmodels: {models}\n"
        (own / f"competition/{name}.yaml").write_text(text)
    done = ripen(repository, "sweep", *arguments, code=2)
    (line,) = done.stderr.splitlines()
    assert line.startswith("ripen: ")
    assert message in line
