"""A real MLflow server on the runs that the pipeline logged: its pages, and the model it serves."""

import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import mlflow
import pandas as pd
import pytest

from tests.ripen.browser import WIDTHS, needs_chromium, opened, screenshot
from tests.ripen.conftest import Clone

# What MLflow's own pages come to, whoever opens them: a server without users, charts resized.
THEIRS = (
    "404 /ajax-api/2.0/mlflow/users/current",
    "ResizeObserver loop completed with undelivered notifications.",
)


@pytest.fixture(scope="module")
def server(reproduced: Clone) -> Iterator[str]:
    """The address of `ripen ui` in the reproduced clone."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ("ripen", "ui", "--port", str(port))
    process = reproduced.start(*command)
    address = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 90
        while True:
            try:
                urllib.request.urlopen(f"{address}/health", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, "the server ended"
                assert time.monotonic() < end, "the server did not start"
                time.sleep(0.3)
        yield address
    finally:
        reproduced.stop(process)


@needs_chromium
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_of_runs_in_a_browser(server: str, width: int) -> None:
    experiment = mlflow.MlflowClient(server).get_experiment_by_name("avocado")
    assert experiment is not None
    address = f"{server}/#/experiments/{experiment.experiment_id}/runs"
    with opened(address, width) as (page, errors):
        page.get_by_text("pipeline ", exact=False).first.wait_for()
        page.get_by_text("avocado").first.wait_for()
        screenshot(page, f"mlflow-runs-{width}")
    assert [error for error in errors if not error.endswith(THEIRS)] == []


@needs_chromium
def test_a_comparison_of_runs_in_a_browser(server: str) -> None:
    client = mlflow.MlflowClient(server)
    runs = client.search_runs(["1"], "tags.`dvc.stage` = 'baselines@avocado'")
    ids = quote(json.dumps([run.info.run_id for run in runs]))
    address = f"{server}/#/compare-runs?runs={ids}&experiments={quote(json.dumps(['1']))}"
    with opened(address, 1280) as (page, errors):
        page.get_by_text(f"Comparing {len(runs)} Runs", exact=False).first.wait_for()
        page.locator("svg.main-svg").first.wait_for()
        screenshot(page, "mlflow-comparison-1280")
    assert [error for error in errors if not error.endswith(THEIRS)] == []


def test_the_server_gives_the_curve_of_the_net(server: str, reproduced: Clone) -> None:
    client = mlflow.MlflowClient(server)
    (net,) = client.search_runs(["1"], "attributes.run_name = 'net'")
    history = client.get_metric_history(net.info.run_id, "curve/validation_loss")
    curve = pd.read_csv(reproduced.path / "data/avocado/models/train/curve.csv")
    assert [point.step for point in history] == curve.iteration.tolist()
    assert [point.value for point in history] == pytest.approx(curve.validation_loss.tolist())
    assert net.data.tags["stopped"] in ("converged", "early_stopping", "max_iter")
    for name in ("gradient_norm", "seconds_per_iteration", "learning_rate", "loss"):
        assert len(client.get_metric_history(net.info.run_id, f"curve/{name}")) == len(curve)


def test_the_logged_model_predicts_raw_avocados(reproduced: Clone, tmp_path: Path) -> None:
    store = f"sqlite:///{reproduced.path / 'mlflow.db'}"
    (net,) = mlflow.MlflowClient(store).search_runs(["1"], "attributes.run_name = 'net'")
    test = pd.read_csv(reproduced.path / "data/avocado/raw/test.csv").head(5)
    test.drop(columns="id").to_csv(tmp_path / "input.csv", index=False)
    environment = reproduced.environment() | {"MLFLOW_TRACKING_URI": store}
    # The model brings its own code: ripen's must not be found otherwise.
    del environment["PYTHONPATH"]
    done = subprocess.run(
        [
            *("mlflow", "models", "predict", "--model-uri", f"runs:/{net.info.run_id}/model"),
            *("--input-path", str(tmp_path / "input.csv"), "--content-type", "csv"),
            *("--env-manager", "local"),
        ],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])["predictions"]
    submission = pd.read_csv(reproduced.path / "data/avocado/submission.csv").head(5)
    clipped = [min(max(row["p1"], 0.001), 0.999) for row in found]
    assert clipped == pytest.approx(submission.ripe.tolist(), abs=1e-6)
