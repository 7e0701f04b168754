"""The pipeline as its users meet it: real commands in a temporary clone."""

import hashlib
import json
import os
import re
from pathlib import Path

import mlflow
import pytest

from tests.ripen.conftest import Clone

pytestmark = pytest.mark.slow
BINARY = (".h5", ".parquet", ".caffemodel", ".solverstate")


def test_a_clone_killed_in_every_stage_reproduces_the_committed_lock_and_metrics(
    reproduced: Clone,
) -> None:
    assert reproduced.run("git", "status", "--porcelain").stdout == ""
    for file in ("dvc.lock", "metrics/avocado.json", "metrics/digits.json", "params.yaml"):
        committed = reproduced.run("git", "show", f"HEAD:{file}").stdout
        assert reproduced.read(file) == committed
    client = mlflow.MlflowClient(f"sqlite:///{reproduced.path / 'mlflow.db'}")
    experiments = [one.experiment_id for one in client.search_experiments()]
    runs = client.search_runs(experiments, "attributes.status = 'RUNNING'")
    assert [run.info.run_name for run in runs] == []


def test_a_second_repro_does_nothing(reproduced: Clone) -> None:
    before = reproduced.read("dvc.lock")
    output = reproduced.run("dvc", "repro").stdout
    assert "Running stage" not in output
    assert output.rstrip().endswith("Data and pipelines are up to date.")
    assert reproduced.read("dvc.lock") == before


def test_the_net_is_near_the_best_possible(reproduced: Clone) -> None:
    metrics = json.loads(reproduced.read("metrics/avocado.json"))
    bayes = metrics["bayes"]["test"]["accuracy"]
    assert bayes - metrics["models"]["net"]["test"]["accuracy"] < 0.015
    assert abs(bayes - metrics["bayes"]["expected"]["accuracy"]) < 0.01
    assert metrics["models"]["net"]["stopped"] in ("converged", "early_stopping", "max_iter")


def test_the_pretrained_net_is_ahead_at_the_same_budget(reproduced: Clone) -> None:
    models = json.loads(reproduced.read("metrics/digits.json"))["models"]
    assert len({models[name]["iterations"] for name in ("net", "head", "scratch")}) == 1
    for name, margin in (("head", 0.1), ("scratch", 0.04)):
        assert models["net"]["test"]["accuracy"] > models[name]["test"]["accuracy"] + margin
    sample = reproduced.read("data/digits/raw/sample_submission.csv").splitlines()
    submission = reproduced.read("data/digits/submission.csv").splitlines()
    assert submission[0] == sample[0] == "id,5,6,7,8,9"
    assert [line.split(",")[0] for line in submission] == [line.split(",")[0] for line in sample]


def test_an_experiment_runs_for_the_chosen_competitions(sharing: Clone) -> None:
    sharing.run("ripen", "compose", "competitions=[digits]")
    sharing.run("dvc", "exp", "run", "settings", "prepare")
    assert "fit:\n    digits.logistic_regression:" in sharing.read("params.yaml")
    assert {path.name for path in (sharing.path / "data").iterdir() if path.is_dir()} == {"digits"}


def test_another_learning_rate_of_the_table_runs_no_digits(reproduced: Clone) -> None:
    output = reproduced.run("dvc", "status", "--json").stdout
    assert json.loads(output) == {}
    before = reproduced.read("params.yaml")
    try:
        reproduced.run("ripen", "compose", "competition.avocado.solver.base_lr=0.2")
        status = json.loads(reproduced.run("dvc", "status", "--json").stdout)
        stages = {stage for stage in status if "@" in stage}
        assert stages == {"sweep@avocado", "fit@avocado.net", "report@avocado"}
    finally:
        (reproduced.path / "params.yaml").write_text(before)


def test_the_submission_has_the_samples_form(reproduced: Clone) -> None:
    sample = reproduced.read("data/avocado/raw/sample_submission.csv").splitlines()
    submission = reproduced.read("data/avocado/submission.csv").splitlines()
    assert submission[0] == sample[0] == "id,ripe"
    assert [line.split(",")[0] for line in submission] == [line.split(",")[0] for line in sample]
    assert all(0.001 <= float(line.split(",")[1]) <= 0.999 for line in submission[1:])


def test_nothing_that_dvc_tracks_holds_a_path_or_a_run_id(reproduced: Clone) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{reproduced.path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("avocado")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    forbidden = [str(reproduced.path), *(run.info.run_id for run in runs)]
    host = re.compile(rf"\b{re.escape(os.uname().nodename)}\b")
    tracked = [p for p in (reproduced.path / "data").rglob("*") if p.is_file()]
    tracked += [reproduced.path / "dvc.lock", reproduced.path / "metrics/avocado.json"]
    found = [
        (path.name, word)
        for path in tracked
        for word in forbidden
        if word.encode() in path.read_bytes()
    ]
    # A short host name is found in any binary file; those hold arrays and nothing else.
    texts = [p for p in tracked if p.suffix not in BINARY]
    found += [(path.name, "host") for path in texts if host.search(path.read_text())]
    assert len(tracked) > 30
    assert found == []


def test_every_model_is_a_finished_run_within_one_pipeline(reproduced: Clone) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{reproduced.path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("avocado")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    sweeps = {run.info.run_id for run in runs if "ripen.sweep" in run.data.tags}
    own = [
        run
        for run in runs
        if run.info.run_id not in sweeps
        and "ripen.trial" not in run.data.tags
        and run.info.status != "KILLED"  # where the clone was killed
    ]
    (parent,) = [run for run in own if "mlflow.parentRunId" not in run.data.tags]
    trials = [run for run in runs if run.data.tags.get("mlflow.parentRunId") in sweeps]
    assert len(sweeps) == 1
    killed = [run for run in runs if run.info.status == "KILLED"]
    assert len(killed) <= 1  # a fit; a sweep, a pipeline and an evaluation continue theirs
    assert len(runs) == len(own) + 1 + len(trials) + len(killed)
    metrics = json.loads(reproduced.read("metrics/avocado.json"))
    models = {run.info.run_name: run for run in own if run is not parent}
    assert set(models) == set(metrics["models"])
    for name, run in models.items():
        assert run.info.status == "FINISHED"
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        for part in ("validation", "test"):
            for metric, value in metrics["models"][name][part].items():
                if metric not in ("n", "score"):
                    assert run.data.metrics[f"{part}/{metric}"] == value
        # Only what one compares: each metric is a chart.
        assert {key.split("/")[0] for key in run.data.metrics if "/" in key} <= {
            "validation", "test", "curve",
        }  # fmt: skip
        assert "`dvc repro fit@avocado." in run.data.tags["mlflow.note.content"]
    commit = reproduced.run("git", "rev-parse", "HEAD").stdout.strip()
    assert models["net"].data.tags["mlflow.source.git.commit"] == commit
    figures = {f.path for f in client.list_artifacts(models["net"].info.run_id, "figures")}
    drawn = ("network", "network_after", "network_before", "network_strip", "regions")
    assert figures == {
        f"figures/{name}.svg" for name in ("confusion", "error", "reliability", "roc", *drawn)
    }


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("train.csv", "1,", "1,x", "row 1, column 'height_cm': 'x"),
        ("train.csv", "red", "rot", "column 'red', which columns names, is missing"),
        ("test.csv", "\n1002,", "\n1001,", "row 2, column 'id': '1001' is in row 1 already"),
    ],
)
def test_bad_input_ends_prepare_with_one_line_and_nothing_half_written(
    reproduced: Clone, tmp_path: Path, file: str, old: str, new: str, message: str
) -> None:
    clone = Clone(tmp_path / "ripen")
    raw = clone.path / "data" / "avocado" / "raw"
    raw.mkdir(parents=True)
    for source in (reproduced.path / "data" / "avocado" / "raw").iterdir():
        (raw / source.name).write_bytes(source.read_bytes())
    text = (raw / file).read_text()
    assert old in text
    (raw / file).write_text(
        text.replace(f"\n{old}" if old == "1," else old, f"\n{new}" if old == "1," else new, 1)
    )
    done = clone.run("python", "-m", "ripen.stages", "prepare", "avocado", code=1)
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"prepare@avocado: data/avocado/raw/{file}: {message}")
    assert {path.name for path in (clone.path / "data" / "avocado").iterdir()} == {"raw"}


def test_too_large_a_learning_rate(sharing: Clone) -> None:
    settings = (
        "competitions=[avocado]",
        "sweep=null",
        "solver.base_lr=1e30",
        "net.activation=relu",
    )
    done = sharing.run("ripen", "run", *settings, code=None)
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("fit@avocado.net: ")]
    assert "training diverged" in line
    assert "solver.base_lr=1e+30 too large?" in line
    assert not (sharing.path / "data" / "avocado" / "models" / "net").exists()
    client = mlflow.MlflowClient(f"sqlite:///{sharing.path / 'mlflow.db'}")
    (net,) = client.search_runs(["1"], "attributes.run_name = 'net'")
    assert net.info.status == "FAILED"


NET = "competition.avocado.models.net.solver"


def test_an_experiment_changes_a_setting_and_the_workspace_can_be_compared(sharing: Clone) -> None:
    sharing.run("dvc", "exp", "run", "-S", f"{NET}.max_iter=200", "settings", "evaluate@avocado")
    metrics = json.loads(sharing.read("metrics/avocado.json"))
    assert metrics["models"]["net"]["iterations"] == 200
    assert metrics["models"]["net"]["stopped"] == "max_iter"
    difference = json.loads(sharing.run("dvc", "metrics", "diff", "--json").stdout)
    changed = difference["metrics/avocado.json"]["models.net.iterations"]
    assert changed["new"] == 200
    assert f"{NET}.max_iter" in sharing.run("dvc", "params", "diff").stdout
    # Outside an experiment the same settings would be drift.
    done = sharing.run("dvc", "repro", "--force", "--single-item", "settings", code=None)
    assert f"params.yaml and conf/ disagree on '{NET}.max_iter'" in done.stderr
    assert "disagree" not in sharing.run("ripen", "compose").stderr


def test_an_edit_in_conf_alone_is_found(clone: Clone) -> None:
    file = clone.path / "conf" / "solver" / "sgd.yaml"
    file.write_text(file.read_text().replace("momentum: 0.9", "momentum: 0.8"))
    done = clone.run("dvc", "repro", code=None)
    assert done.returncode != 0
    assert f"params.yaml and conf/ disagree on '{NET}.momentum': 0.9 and 0.8" in done.stderr


def test_a_temporary_experiment_logs_to_the_repositorys_store(sharing: Clone) -> None:
    before = hashlib.sha256(sharing.read("dvc.lock").encode()).hexdigest()
    stages = ("settings", "fit@avocado.net")
    sharing.run("dvc", "exp", "run", "--temp", "-S", f"{NET}.max_iter=100", *stages)
    client = mlflow.MlflowClient(f"sqlite:///{sharing.path / 'mlflow.db'}")
    pipelines = client.search_runs(["1"], "params.`solver.max_iter` = '100'")
    nested = {run.info.run_name for run in pipelines if "mlflow.parentRunId" in run.data.tags}
    assert "net" in nested
    assert hashlib.sha256(sharing.read("dvc.lock").encode()).hexdigest() == before
    assert sharing.run("git", "status", "--porcelain").stdout == ""


def test_the_picture_and_the_plots(reproduced: Clone) -> None:
    dag = reproduced.run("dvc", "dag", "--dot").stdout
    assert '"prepare@avocado" -> "fit@avocado.net"' in dag
    shown = reproduced.run("dvc", "plots", "show")
    assert "WARNING" not in shown.stderr  # for a file that is missing
    page = (reproduced.path / "dvc_plots" / "index.html").read_text()
    swept = [f"sweep/figures/{name}.svg" for name in ("curves", "converged", "base_lr")]
    for name in (
        "validation_loss",
        "random_forest",
        "scratch",
        "confusion",
        "roc.svg",
        "converged at",
        *swept,
    ):
        assert name in page


def test_ripen_run_ends_with_the_table(reproduced: Clone) -> None:
    output = reproduced.run("ripen", "run").stdout
    assert "net (best)" in output or "net " in output
    assert "submission: data/avocado/submission.csv" in output
    assert "ripen ui" in output
    assert reproduced.run("git", "status", "--porcelain").stdout == ""
