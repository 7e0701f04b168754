"""A real MLflow server on the runs that the pipeline logged: its pages, and the model it serves."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import mlflow
import pandas as pd
import psutil
import pytest
from mlflow.entities import Run
from playwright.sync_api import Page

from ripen.schema import Config
from ripen.ui import run
from tests.ripen.browser import WIDTHS, needs_chromium, opened, screenshot
from tests.ripen.conftest import Clone

# What MLflow's own pages come to, whoever opens them: a server without users, charts resized.
THEIRS = (
    "404 /ajax-api/2.0/mlflow/users/current",
    "ResizeObserver loop completed with undelivered notifications.",
)


# MLflow's assistant opens by itself for who is there for the first time, over a third of the page.
SEEN = {"mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true"}
DRAWN = "svg.main-svg"
LINE = f"{DRAWN} .scatterlayer .points path"
BAR = f"{DRAWN} .barlayer .point path"


@dataclass(frozen=True)
class Ui:
    """A running `ripen ui`, what it printed, and the page that it opened."""

    process: subprocess.Popen[bytes]
    port: int
    printed: Path
    opened: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture(scope="module")
def ui(reproduced: Clone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    """`ripen ui` in the reproduced clone, with a browser that writes down what it is to open."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("ui")
    printed, opened, browser = (folder / name for name in ("printed", "opened", "browser"))
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}\n')
    browser.chmod(0o755)
    command = f"BROWSER={browser} exec ripen ui --port {port} > {printed}"
    process = reproduced.start("sh", "-c", command)
    try:
        end = time.monotonic() + 90
        while not opened.exists():
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.2)
        yield Ui(process, port, printed, opened)
    finally:
        if process.poll() is None:
            reproduced.stop(process)


@contextmanager
def page_of(address: str, width: int) -> Iterator[Page]:
    """Open one of MLflow's pages, its menu folded where it is narrow; no errors of ours by the end.

    The menu is half of a phone's width.
    """
    with opened(address, width, SEEN) as (page, errors):
        if width < 1000:
            page.get_by_label("Toggle sidebar").click()
        yield page
    assert [error for error in errors if not error.endswith(THEIRS)] == []


def run_of(ui: Ui, name: str) -> Run:
    client = mlflow.MlflowClient(ui.address)
    (found,) = client.search_runs(["1"], f"attributes.run_name = '{name}'")
    return found


def test_it_says_where_what_is_and_opens_the_first(ui: Ui) -> None:
    first, *views, last = ui.printed.read_text().splitlines()
    assert first == f"the runs are at {ui.address}"
    names, addresses = zip(*(view.split(": ") for view in views), strict=True)
    assert names == (
        *("  avocado, models", "  avocado, sweep learning_rate"),
        *("  digits, models", "  digits, sweep learning_rate"),
    )
    assert ui.opened.read_text() == addresses[0]
    assert last == "Ctrl-C ends it"


@needs_chromium
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_that_it_opens_shows_models_and_charts(ui: Ui, width: int) -> None:
    with page_of(ui.opened.read_text(), width) as page:
        page.get_by_text("logistic_regression").first.wait_for()
        # On a phone it is beside the list of runs.
        page.get_by_test_id("draggable-chart-cards-grid").first.scroll_into_view_if_needed()
        page.locator(LINE).first.wait_for()
        if width == 1280:
            page.locator(BAR).nth(5).wait_for()
            cards = page.get_by_test_id("draggable-chart-cards-grid").first.inner_text()
            assert "curve/loss vs curve/validation_loss" in cards
            assert "validation/log_loss" in cards
        screenshot(page, f"mlflow-models-{width}")


@needs_chromium
def test_the_table_of_models_has_the_chosen_columns(ui: Ui) -> None:
    table = ui.opened.read_text().replace("compareRunsMode=CHART", "compareRunsMode=TABLE")
    with page_of(table, 1280) as page:
        page.get_by_role("columnheader", name="test/accuracy").wait_for()
        for column in ("validation/log_loss", "training_seconds", "iterations", "best_iteration"):
            assert page.get_by_role("columnheader", name=column, exact=True).count() == 1
        names = page.get_by_test_id("experiment-view-table-run-color").locator("..")
        assert names.first.inner_text().endswith("net")


@needs_chromium
def test_a_sweep_is_shown_with_parallel_coordinates(ui: Ui) -> None:
    address = ui.opened.read_text().replace("ripen-models", "ripen-sweep-learning_rate")
    with page_of(address, 1280) as page:
        page.locator(f"{DRAWN} .parcoords, .parcoords").first.wait_for()
        page.locator(LINE).first.wait_for()
        assert page.locator(".axis-title", has_text="solver.base_lr").count() == 1
        assert page.get_by_text("trial 7").count()
        screenshot(page, "mlflow-sweep-1280")


@needs_chromium
@pytest.mark.parametrize("width", WIDTHS)
def test_a_run_in_a_browser(ui: Ui, width: int) -> None:
    net = run_of(ui, "net")
    with page_of(f"{ui.address}/#/experiments/1/runs/{net.info.run_id}", width) as page:
        page.get_by_text("net.hidden_layers").first.wait_for()
        page.get_by_text("[8, 8]").first.wait_for()
        assert page.get_by_text("validation/log_loss").count()
        screenshot(page, f"mlflow-run-{width}")


@needs_chromium
@pytest.mark.parametrize("width", WIDTHS)
def test_the_curve_of_a_run_in_a_browser(ui: Ui, reproduced: Clone, width: int) -> None:
    checks = len(pd.read_csv(reproduced.path / "data/avocado/models/train/curve.csv"))
    run = f"{ui.address}/#/experiments/1/runs/{run_of(ui, 'net').info.run_id}"
    with page_of(f"{run}/model-metrics", width) as page:
        # There is a chart for each metric, each drawn when it comes into sight.
        page.get_by_placeholder("Search metric charts").fill("curve/(validation_)?loss")
        page.locator(LINE).nth(2 * checks - 1).wait_for()
        assert page.locator(LINE).count() == 2 * checks
        screenshot(page, f"mlflow-curve-{width}")


@needs_chromium
@pytest.mark.parametrize("width", WIDTHS)
def test_a_comparison_of_runs_in_a_browser(ui: Ui, width: int) -> None:
    client = mlflow.MlflowClient(ui.address)
    runs = client.search_runs(["1"], "tags.`dvc.stage` = 'baselines@avocado'")
    ids = quote(json.dumps([run.info.run_id for run in runs]))
    address = f"{ui.address}/#/compare-runs?runs={ids}&experiments={quote(json.dumps(['1']))}"
    with page_of(address, width) as page:
        page.get_by_text(f"Comparing {len(runs)} Runs", exact=False).first.wait_for()
        page.locator(DRAWN).first.wait_for()
        assert page.locator(".axis-title", has_text="training_seconds").count() == 1
        screenshot(page, f"mlflow-comparison-{width}")


def test_a_port_in_use_is_one_line(ui: Ui, reproduced: Clone) -> None:
    said = reproduced.run("ripen", "ui", "--port", str(ui.port), code=2).stderr
    assert said == (
        f"ripen: port {ui.port} cannot be had: address already in use. Is it open already, at "
        f"{ui.address}? Else: ripen ui --port {ui.port + 1}\n"
    )


def test_the_pages_of_a_server_that_is_there_are_named(
    ui: Ui, make_config: Callable[..., Config], capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_config(f"tracking.uri={ui.address}")
    assert run(config, ui.port, browser=False) == 0
    assert capsys.readouterr().out == ui.printed.read_text().removesuffix("Ctrl-C ends it\n")


def test_the_server_gives_the_curve_of_the_net(ui: Ui, reproduced: Clone) -> None:
    client, net = mlflow.MlflowClient(ui.address), run_of(ui, "net")
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


def test_ctrl_c_ends_the_server_and_all_that_it_started(ui: Ui) -> None:
    family = psutil.Process(ui.process.pid).children(recursive=True)
    assert family
    ui.process.send_signal(signal.SIGINT)
    assert ui.process.wait(30) == 0
    assert psutil.wait_procs(family, timeout=0)[1] == []
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", ui.port))
