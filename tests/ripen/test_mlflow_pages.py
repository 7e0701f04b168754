"""A real MLflow server on the runs that the pipeline logged: its pages, and the model it serves."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import mlflow
import numpy as np
import pandas as pd
import psutil
import pytest
from mlflow.entities import Run
from playwright.sync_api import Page

from ripen.settings.schema import Run as RunSettings
from ripen.track.ui import NAME, run
from tests.ripen.browser import WIDTHS, browser, needs_chromium, opened, screenshot
from tests.ripen.conftest import Clone

# Errors of MLflow's own pages: a server without users, charts resized.
THEIRS = (
    "404 /ajax-api/2.0/mlflow/users/current",
    "ResizeObserver loop completed with undelivered notifications.",
)


DRAWN = "svg.main-svg"
LINE = f"{DRAWN} .scatterlayer .points path"
BAR = f"{DRAWN} .barlayer .point path"

Visit = Callable[[str, int], AbstractContextManager[Page]]


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
    """`ripen ui` in the reproduced clone, with a browser that records the address it opens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("ui")
    printed, shown, script = (folder / name for name in ("printed", "opened", "browser"))
    script.write_text(f'#!/bin/sh\nprintf %s "$1" > {shown}\n')
    script.chmod(0o755)
    command = f"BROWSER={script} exec ripen ui --port {port} > {printed}"
    process = reproduced.start("sh", "-c", command)
    try:
        end = time.monotonic() + 300
        while not shown.exists():
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.2)
        yield Ui(process, port, printed, shown)
    finally:
        if process.poll() is None:
            reproduced.stop(process)


@pytest.fixture(scope="module")
def visit() -> Iterator[Visit]:
    """Return a function that opens one of MLflow's pages; at the end there are no errors of ours.

    MLflow's menu, half of a phone's width, is folded there.
    """
    with browser() as context:

        @contextmanager
        def open_page(address: str, width: int) -> Iterator[Page]:
            # By the name that `ripen ui` opens: at 127.0.0.1 MLflow's assistant covers a phone.
            with opened(address.replace("127.0.0.1", NAME), width, context) as (page, errors):
                if width < 1000:
                    page.get_by_label("Toggle sidebar").click()
                yield page
            assert [error for error in errors if not error.endswith(THEIRS)] == []

        yield open_page


def run_of(ui: Ui, name: str) -> Run:
    client = mlflow.MlflowClient(ui.address)
    finished = f"attributes.run_name = '{name}' and attributes.status = 'FINISHED'"
    (found,) = client.search_runs(["1"], finished)
    return found


def test_it_prints_the_pages_and_opens_the_first(ui: Ui) -> None:
    starting, first, *views, other, last = ui.printed.read_text().splitlines()
    assert starting == "starting MLflow's server, which takes some seconds"
    assert first == f"the runs are at http://{NAME}:{ui.port}"
    assert other.endswith(f"a browser that does not know {NAME}: {ui.address}")
    names, addresses = zip(*(view.split(": ") for view in views), strict=True)
    assert names == (
        *("  avocado, models", "  avocado, models, charts alone"),
        "  avocado, sweep learning_rate",
        *("  digits, models", "  digits, models, charts alone"),
        "  digits, sweep learning_rate",
    )
    assert ui.opened.read_text() == addresses[0]
    assert last == "Ctrl-C ends it"


@needs_chromium
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_that_it_opens_shows_models_and_charts(ui: Ui, visit: Visit, width: int) -> None:
    with visit(ui.opened.read_text(), width) as page:
        page.get_by_text("logistic_regression").first.wait_for()
        if width < 1000:  # they are beside the list of runs
            page.get_by_test_id("draggable-chart-cards-grid").first.scroll_into_view_if_needed()
        page.locator(LINE).first.wait_for()
        if width >= 1000:
            page.locator(BAR).nth(5).wait_for()
            cards = page.get_by_test_id("draggable-chart-cards-grid").first.inner_text()
            assert "curve/loss vs curve/validation_loss" in cards
            assert "validation/log_loss" in cards
            assert cards.index("curve/loss") < cards.index("validation/log_loss")
        # MLflow's assistant, which would cover a third of the page, stays closed.
        assert not page.get_by_text("MLflow Assistant").count()
        screenshot(page, f"mlflow-models-{width}")


@needs_chromium
def test_the_table_of_models_has_the_chosen_columns(ui: Ui, visit: Visit) -> None:
    table = ui.opened.read_text().replace("compareRunsMode=CHART", "compareRunsMode=TABLE")
    with visit(table, 1600) as page:
        page.get_by_text("logistic_regression").first.wait_for()
        shown = page.locator(".ag-header-cell[col-id]").evaluate_all(
            "cells => cells.map(cell => cell.getAttribute('col-id'))"
        )
        names = ("test/log_loss", "validation/log_loss", "training_seconds", "iterations")
        assert {f"metrics.`{name}`" for name in (*names, "best_iteration")} <= set(shown)
        assert {"tags.`dvc.stage`", "tags.`stopped`"} <= set(shown)
        runs = page.get_by_test_id("experiment-view-table-run-color").locator("xpath=../..")
        assert runs.first.inner_text().split()[-1] == "net"


@needs_chromium
def test_a_sweep_is_shown_with_parallel_coordinates(ui: Ui, visit: Visit) -> None:
    address = ui.opened.read_text().replace("ripen-models", "ripen-sweep-learning_rate")
    with visit(address, 1280) as page:
        page.locator(".parcoords").first.wait_for()
        page.locator(LINE).first.wait_for()
        charts = page.get_by_test_id("draggable-chart-cards-grid").first
        charts.get_by_text("solver.base_lr", exact=True).first.wait_for()
        assert page.get_by_text("lr 0.001", exact=True).count()
        screenshot(page, "mlflow-sweep-1280")


@needs_chromium
@pytest.mark.parametrize("width", WIDTHS)
def test_a_run_in_a_browser(ui: Ui, visit: Visit, width: int) -> None:
    net = run_of(ui, "net")
    with visit(f"{ui.address}/#/experiments/1/runs/{net.info.run_id}", width) as page:
        page.get_by_text("net.hidden_layers").first.wait_for()
        page.get_by_text("[8, 8]").first.wait_for()
        assert page.get_by_text("validation/log_loss").count()
        screenshot(page, f"mlflow-run-{width}")


@needs_chromium
@pytest.mark.parametrize("width", WIDTHS)
def test_the_curve_of_a_run_in_a_browser(
    ui: Ui, visit: Visit, reproduced: Clone, width: int
) -> None:
    checks = len(pd.read_csv(reproduced.path / "data/avocado/models/net/curve.csv"))
    run = f"{ui.address}/#/experiments/1/runs/{run_of(ui, 'net').info.run_id}"
    with visit(f"{run}/model-metrics?workflowType=machine_learning", width) as page:
        # There is a chart for each metric, each drawn when it comes into sight.
        page.get_by_placeholder("Search metric charts").fill("curve/(validation_)?loss")
        page.locator(LINE).nth(2 * checks - 1).wait_for()
        assert page.locator(LINE).count() == 2 * checks
        screenshot(page, f"mlflow-curve-{width}")


@needs_chromium
@pytest.mark.parametrize("width", WIDTHS)
def test_a_comparison_of_runs_in_a_browser(ui: Ui, visit: Visit, width: int) -> None:
    client = mlflow.MlflowClient(ui.address)
    runs = client.search_runs(
        ["1"],
        "tags.`dvc.stage` LIKE 'fit@avocado.%' and attributes.run_name != 'net'"
        " and attributes.status = 'FINISHED'",
    )
    ids = quote(json.dumps([run.info.run_id for run in runs]))
    address = f"{ui.address}/#/compare-runs?runs={ids}&experiments={quote(json.dumps(['1']))}"
    with visit(address, width) as page:
        page.get_by_text(f"Comparing {len(runs)} Runs", exact=False).first.wait_for()
        page.locator(DRAWN).first.wait_for()
        assert page.locator(".axis-title", has_text="training_seconds").count() == 1
        screenshot(page, f"mlflow-comparison-{width}")


def test_a_port_in_use_is_one_line(ui: Ui, reproduced: Clone) -> None:
    said = reproduced.run("ripen", "ui", "--port", str(ui.port), code=2).stderr
    assert said == (
        f"ripen: 127.0.0.1, port {ui.port}, is not available: address already in use. If ripen ui "
        f"is not running there: ripen ui --port {ui.port + 1}\n"
    )


def test_the_pages_of_a_server_that_is_there_are_named(
    ui: Ui, make_run: Callable[..., RunSettings], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = make_run(f"tracking.uri={ui.address}")
    assert run(settings, ui.port, browser=False) == 0
    printed = ui.printed.read_text().replace(f"http://{NAME}:{ui.port}", ui.address)
    assert capsys.readouterr().out.splitlines() == printed.splitlines()[1:-2]


def test_the_server_gives_the_curve_of_the_net(ui: Ui, reproduced: Clone) -> None:
    client, net = mlflow.MlflowClient(ui.address), run_of(ui, "net")
    history = client.get_metric_history(net.info.run_id, "curve/validation_loss")
    curve = pd.read_csv(reproduced.path / "data/avocado/models/net/curve.csv")
    assert [point.step for point in history] == curve.iteration.tolist()
    assert [point.value for point in history] == pytest.approx(curve.validation_loss.tolist())
    assert net.data.tags["stopped"] in ("converged", "early_stopping", "max_iter")
    for name in ("gradient_norm", "seconds_per_iteration", "learning_rate", "loss"):
        assert len(client.get_metric_history(net.info.run_id, f"curve/{name}")) == len(curve)


PREDICT = """
import sys
import mlflow
import pandas

mlflow.set_tracking_uri(sys.argv[1])
for name in ("avocado", "digits"):
    given = pandas.read_csv(f"{sys.argv[2]}/{name}/raw/test.csv")
    found = mlflow.pyfunc.load_model(f"models:/ripen-{name}@best").predict(given)
    found.to_csv(f"{name}.csv", index=False)
"""


def test_the_best_models_predict_raw_data(reproduced: Clone, tmp_path: Path) -> None:
    store, data = f"sqlite:///{reproduced.path / 'mlflow.db'}", reproduced.path / "data"
    # The model brings its own code: ripen's must not be found otherwise.
    environment = {k: v for k, v in reproduced.environment().items() if k != "PYTHONPATH"}
    command = [sys.executable, "-c", PREDICT, store, str(data)]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    for competition in ("avocado", "digits"):
        version = mlflow.MlflowClient(store).get_model_version_by_alias(
            f"ripen-{competition}", "best"
        )
        metrics = json.loads(reproduced.read(f"metrics/{competition}.json"))
        assert version.tags["model"] == metrics["best"]
        assert version.tags["best_by"] == metrics["best_by"]
        left = pd.read_csv(data / competition / "models" / metrics["best"] / "predictions.csv")
        expected = left[left.part == "test"]
        found = pd.read_csv(tmp_path / f"{competition}.csv")
        probabilities = found.drop(columns="class")
        np.testing.assert_allclose(probabilities, expected[probabilities.columns], atol=1e-6)
        assert (found["class"] == probabilities.to_numpy().argmax(axis=1)).all()


def test_ctrl_c_ends_the_server_and_all_that_it_started(ui: Ui) -> None:
    family = psutil.Process(ui.process.pid).children(recursive=True)
    assert family
    ui.process.send_signal(signal.SIGINT)
    assert ui.process.wait(300) == 0
    assert psutil.wait_procs(family, timeout=0)[1] == []
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", ui.port))
