"""The report: its contents, that it is the same each time, and how a browser shows it."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from ripen.competition.index import Index
from ripen.competition.metrics import Order
from ripen.competition.tasks import TASKS
from ripen.judge.data_report import DataReport, Finding
from ripen.judge.page import Figure, Page, facts, figures, html
from ripen.judge.scoring import leaderboard
from ripen.judge.steps import Step
from ripen.settings.compose import changed
from ripen.settings.schema import Competition
from tests.ripen.browser import WIDTHS, needs_chromium, opened, screenshot
from tests.ripen.conftest import Clone

METRICS = {
    "models": {
        "svm": {"validation": {"log_loss": 0.5, "accuracy": 0.75}},
        "net": {
            "validation": {"log_loss": 0.25, "accuracy": 0.875},
            "stopped": "converged",
            "iterations": 300,
        },
    },
    "best": "net",
    "best_by": "validation/log_loss",
}


def made(**changed: object) -> Page:
    values = {
        "competition": "cheese",
        "board": leaderboard(METRICS),
        "facts": {"metric": "log loss, lower is better"},
        "card": None,
        "data": DataReport((Finding("leak", "'id' tells <b>all</b>", True),), "Split in time."),
        "figures": [Figure("Error", "It falls", "data:image/svg+xml;base64,PHN2Zy8+")],
        "settings": {"train.solver.base_lr": "0.1"},
        "hashes": {"data/cheese/raw": "ab" * 32},
        "seed": 7,
    }
    return Page(**(values | changed))  # type: ignore[arg-type]


def cells(page: str, name: str = "leaderboard") -> list[list[str]]:
    """Return the rows of a section's tables as the page has them."""
    section = page.partition(f'<section id="{name}">')[2].partition("</section>")[0]
    rows = re.findall(r"<tr.*?>(.*?)</tr>", section)
    return [re.findall(r"<t[hd]>(.*?)</t[hd]>", row) for row in rows]


def test_the_leaderboard_is_by_log_loss() -> None:
    page = html(made())
    assert cells(page) == [
        ["model", "validation log loss", "validation accuracy", "training ended"],
        ["net", "0.2500", "0.8750", "converged at 300"],
        ["svm", "0.5000", "0.7500", ""],
    ]
    assert "Best by validation log loss: <strong>net</strong>" in page
    assert '<tr class="best"><td>net</td>' in page


def test_the_data_report_is_a_section() -> None:
    section = html(made()).partition('<section id="data">')[2].partition("</section>")[0]
    assert '<th scope="row">leak</th>' in section
    assert "&#39;id&#39; tells &lt;b&gt;all&lt;/b&gt;" in section
    assert "<p>Split in time.</p>" in section


def test_steps_and_members_of_the_blend_are_a_section_where_there_are_any() -> None:
    steps = [
        Step("best single model", "svm", 0.5),
        Step("blend", "all models", 0.45, 0.05, 0.06, "no"),
    ]
    page = html(made(steps=steps, members={"svm": 0.75, "net": 0.25}))
    assert cells(page, "steps") == [
        ["step", "what", "score", "gain", "pays"],
        ["best single model", "svm", "0.50000", "", ""],
        ["blend", "all models", "0.45000", "+0.05000 ± 0.06000", "no"],
        ["model", "weight"],
        ["svm", "0.750"],
        ["net", "0.250"],
    ]
    assert "steps" not in html(made())


def test_models_of_a_test_part_alone_are_ranked_by_it() -> None:
    models = {"a": {"test": {"log_loss": 0.9}}, "b": {"test": {"log_loss": 0.1}}}
    board = leaderboard({"models": models, "best": "b", "best_by": "test/log_loss"})
    assert [row[0] for row in cells(html(made(board=board)))] == ["model", "b", "a"]


def test_headings_and_order_are_those_of_the_metric() -> None:
    models = {"a": {"validation": {"r2": 0.5, "rmse": 2.0}}, "b": {"validation": {"r2": 0.9}}}
    board = leaderboard({"models": models, "best": "b", "best_by": "validation/r2"})
    assert cells(html(made(board=board))) == [
        ["model", "validation R²", "validation RMSE", "training ended"],
        ["b", "0.9000", "", ""],
        ["a", "0.5000", "2.0000", ""],
    ]


def test_the_facts_name_task_metric_validation_and_rows(
    make_competition: Callable[..., Competition],
) -> None:
    validation = {"split": "stratified", "folds": 3}
    competition = changed(make_competition("avocado"), validation=validation)
    rows = pd.DataFrame(
        {
            "part": ["train"] * 5 + ["more"] + ["test"] * 2,
            "target": ["0", "1"] * 4,
            "fold": [0, 1, 2, -1, -1, -1, -1, -1],
            "problem": ["", "", "", "", "x", "", "", ""],
        }
    )
    index = Index(rows, TASKS["binary"], ("0", "1"), ("no", "yes"))
    found = facts(competition, index, Order("log loss", greater_is_better=False))
    assert found == {
        "task": "binary",
        "target": "ripe",
        "metric": "log loss, lower is better",
        "validation": "stratified, folds 3",
        "training rows": "4, of which 3 validate",
        "test rows": "2",
        "rows of the learning curve alone": "1",
        "excluded rows": "1",
        "classes": "2",
    }
    page = html(made(facts=found))
    for name, value in found.items():
        assert f'<th scope="row">{name}</th><td>{value}</td>' in page


def test_the_page_is_the_same_each_time() -> None:
    assert html(made()) == html(made())


def test_the_page_ends_with_the_command_to_run_it_again() -> None:
    page = html(made(settings={"train.solver.base_lr": "0.1", "note": "<b>"}))
    assert "make repro COMPETITIONS=cheese" in page
    assert "<code>&lt;b&gt;</code>" in page
    assert "<code>train.solver.base_lr</code>" in page


def test_a_data_card_is_shown_where_there_is_one() -> None:
    card = {
        "title": "Cheeses",
        "source": "a shop",
        "licence": "CC0",
        "images": {"train": {"brie": 12, "excluded": 0}},
    }
    page = html(made(card=card))
    assert "Cheeses. Source: a shop. Licence: CC0." in page
    assert "<td>brie</td><td>12</td>" in page
    assert "excluded" not in page
    assert "Source: a shop" not in html(made())


def test_figures_are_the_nets_and_those_of_all(tmp_path: Path) -> None:
    for name in (
        "net/error.svg",
        "net/roc.svg",
        "svm/roc.svg",
        "roc.svg",
        "trainings.svg",
        "roc.csv",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep/trials_by_rate.svg").write_text("s")
    found = figures(tmp_path, "svm", tmp_path / "sweep")
    assert [figure.title for figure in found] == [
        "Error against iterations",
        "Trainings at the same budget",
        "Receiver operating characteristic",
        "Trials by rate",
    ]
    assert found[2].address == "data:image/svg+xml;base64,cm9jLnN2Zw=="  # roc.svg


def test_without_a_net_figures_are_those_of_the_best(tmp_path: Path) -> None:
    for name in ("forest/values.svg", "forest/residuals.svg", "svm/values.svg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    found = figures(tmp_path, "forest", tmp_path / "sweep")
    assert [figure.title for figure in found] == ["Predicted against true values", "Residuals"]
    assert found[0].address == "data:image/svg+xml;base64,Zm9yZXN0L3ZhbHVlcy5zdmc="


@needs_chromium
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("competition", ["avocado", "digits"])
def test_a_browser_shows_the_report(reproduced: Clone, competition: str, width: int) -> None:
    address = (reproduced.path / f"reports/{competition}.html").as_uri()
    with opened(address, width) as (page, errors):
        assert page.title() == f"{competition}: report"
        metrics = json.loads(reproduced.read(f"metrics/{competition}.json"))
        best = metrics["models"][metrics["best"]]["validation"]
        row = page.locator("tr.best td").all_inner_texts()
        assert row[:3] == [
            metrics["best"],
            f"{best['score']:.5f} ± {best['standard_error']:.5f}",
            f"{best['accuracy']:.4f}",
        ]
        pictures = page.locator("img")
        drawn = pictures.evaluate_all("all => all.map(i => [i.naturalWidth, i.alt.length])")
        assert len(drawn) >= 4
        assert all(pixels > 0 and words > 0 for pixels, words in drawn)
        # Nothing makes the page itself wider than the window.
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.emulate_media(color_scheme="dark")
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == "rgb(21, 26, 23)"
        page.emulate_media(color_scheme="light")
        screenshot(page, f"report-{competition}-{width}")
    assert errors == []
