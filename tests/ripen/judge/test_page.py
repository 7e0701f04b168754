"""The report: its contents, that it is the same each time, and how a browser shows it."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from markupsafe import Markup

from ripen.competition.index import Index
from ripen.competition.metrics import Order
from ripen.competition.tasks import TASKS
from ripen.judge.data_report import DataReport, Finding
from ripen.judge.leaderboard import leaderboard, two_digits
from ripen.judge.page import Figure, Page, facts, figures, html, inline
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
        "lead": "Classification of cheeses.",
        "board": leaderboard(METRICS),
        "models": list(METRICS["models"]),
        "facts": {"metric": "log loss, lower is better"},
        "card": None,
        "data": DataReport((Finding("leak", "'id' tells <b>all</b>", True),), "Split in time."),
        "figures": [Figure("error", "Error", "Curves", "It falls.", Markup("<svg/>"))],
        "settings": {"train.solver.base_lr": "0.1"},
        "hashes": {"data/cheese/raw": "ab" * 32},
        "seed": 7,
    }
    return Page(**(values | changed))  # type: ignore[arg-type]


def cells(page: str, name: str = "leaderboard") -> list[list[str]]:
    """Return the rows of a section's tables as the page has them."""
    section = page.partition(f'<section id="{name}">')[2].partition("</section>")[0]
    rows = re.findall(r"<tr.*?>(.*?)</tr>", section)
    dot = r'<span class="dot".*?></span>'
    return [re.findall(r"<t[hd]>(.*?)</t[hd]>", re.sub(dot, "", row)) for row in rows]


def test_the_leaderboard_is_by_log_loss() -> None:
    page = html(made())
    assert cells(page) == [
        ["model", "validation log loss", "validation accuracy", "training ended"],
        ["net", "0.2500", "0.8750", "converged at 300"],
        ["svm", "0.5000", "0.7500", ""],
    ]
    assert '<th scope="row">best model</th><td>net: validation log loss 0.2500</td>' in page
    assert '<th scope="row">submission</th><td>data/cheese/submission.csv</td>' in page
    assert re.search(r'<tr class="best"><td><span .*?></span>net</td>', page)


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
    assert 'id="steps"' not in html(made())


def test_models_of_a_test_part_alone_are_ranked_by_it() -> None:
    models = {"a": {"test": {"log_loss": 0.9}}, "b": {"test": {"log_loss": 0.1}}}
    board = leaderboard({"models": models, "best": "b", "best_by": "test/log_loss"})
    assert [row[0] for row in cells(html(made(board=board, models=["a", "b"])))] == [
        "model",
        "b",
        "a",
    ]


def test_headings_and_order_are_those_of_the_metric() -> None:
    models = {"a": {"validation": {"r2": 0.5, "rmse": 2.0}}, "b": {"validation": {"r2": 0.9}}}
    board = leaderboard({"models": models, "best": "b", "best_by": "validation/r2"})
    assert cells(html(made(board=board, models=["a", "b"]))) == [
        ["model", "validation R²", "validation RMSE"],
        ["b", "0.9000", ""],
        ["a", "0.5000", "2.0000"],
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
        "validation": "stratified (folds: 3)",
        "training rows": "4, of which 3 are held out",
        "test rows": "2",
        "more rows": "1, for the learning curve only",
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
    assert "<code>ripen run 'competitions=[cheese]' preset=fast</code>" in page
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


def test_figures_tell_their_story_in_order_and_leave_out_what_shows_nothing(
    tmp_path: Path,
) -> None:
    svg = '<svg viewBox="0 0 1 1"><title>{}</title></svg>'
    drawn = ("svm/roc", "net/roc", "net/error", "net/network", "roc", "own_drawing")
    for name in (*drawn, "sweep/figures/converged", "sweep/figures/curves"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / f"{name}.svg").write_text(svg.format(name))
    rates = {"false_positive_rate": [0, 0.5, 1], "true_positive_rate": [0, 1, 1]}
    pd.DataFrame(rates).assign(model="svm").to_csv(tmp_path / "roc.csv", index=False)
    curve = {"iteration": [5, 10, 15], "loss": [0.9, 0.5, 0.3], "validation_loss": [0.8, 0.4, 0.6]}
    pd.DataFrame(curve).to_csv(tmp_path / "net/error.csv", index=False)
    trials = {
        "trial": [0, 1],
        "solver.base_lr": [0.1, 1.0],
        "ended": ["max_iter"] * 2,
        "validation_loss": [0.5, 0.25],
    }
    pd.DataFrame(trials).to_csv(tmp_path / "sweep/trials.csv", index=False)
    board = leaderboard(METRICS | {"best": "svm"})
    found = figures(tmp_path, tmp_path / "sweep", board, METRICS)
    assert [(figure.title, figure.sentence) for figure in found] == [
        (
            "Error against iterations",
            "net: from 0.8 down to 0.4 on validation rows, at iteration 10 of 15, whose weights "
            "are kept. After that the training error still falls, to 0.3, and the validation "
            "error does not: the net begins to learn the training rows by heart.",
        ),
        (
            "ROC curve",
            "The area under svm's curve is 0.750. Guessing has 0.5.",
        ),
        (
            "The sweep's trials",
            "2 trials. The best one (lr 1) reaches a validation error of 0.25, the worst (lr 0.1) "
            "one of 0.5.",
        ),
        ("Own drawing", ""),
    ]
    assert "<title>roc</title>" in found[1].svg
    # A net that is trained to the end of its budget keeps its last weights.
    ended = json.loads(json.dumps(METRICS))
    ended["models"]["net"]["best_iteration"] = 15
    found = figures(tmp_path, tmp_path / "sweep", board, ended)
    assert found[0].sentence.endswith(
        "at iteration 10 of 15. Its budget is fixed, so the last weights are kept."
    )


def test_a_figure_in_the_page_has_its_colours_and_ids_of_its_own() -> None:
    drawn = (
        '<?xml version="1.0"?>\n<svg width="4" height="3" viewBox="0 0 4 3">'
        '<path id="a" style="fill: #ffffff; stroke: #000000"/><rect fill="white"/>'
        '<use href="#a" clip-path="url(#b)" style="fill: #2f7fb8"/></svg>'
    )
    assert inline(drawn, "roc") == (
        '<svg viewBox="0 0 4 3">'
        '<path id="roc-a" style="fill: var(--paper); stroke: currentColor"/>'
        '<rect fill="var(--paper)"/>'
        '<use href="#roc-a" clip-path="url(#roc-b)" style="fill: #2f7fb8"/></svg>'
    )


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
            f"{best['score']:.5f} ± {two_digits(best['standard_error'])}",
            f"{best['accuracy']:.4f}",
        ]
        assert page.locator("figure svg").count() >= 8
        assert all(len(text) > 20 for text in page.locator("figure figcaption").all_inner_texts())
        # What a line's value is, where the pointer is.
        line = page.locator("#error svg[data-points]")
        line.scroll_into_view_if_needed()
        box = line.bounding_box()
        assert box is not None
        view = line.evaluate("svg => svg.viewBox.baseVal.width")
        x, y, across, up = line.evaluate("svg => JSON.parse(svg.dataset.points)[1][1][0]")
        scale = box["width"] / view
        page.mouse.move(box["x"] + x * scale, box["y"] + y * scale)
        tip = page.locator("#error .tip")
        assert tip.inner_text() == f"validation: {up} at {across}"
        hints = page.locator(".hint").evaluate_all("all => all.map(one => one.offsetHeight > 0)")
        assert hints
        assert all(shown == (width < 500) for shown in hints)
        # Nothing makes the page itself wider than the window.
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.emulate_media(color_scheme="dark")
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == "rgb(21, 26, 23)"
        assert page.locator("#error svg").evaluate("svg => getComputedStyle(svg).fill") == (
            "rgb(232, 236, 233)"
        )
        page.locator("#figures").scroll_into_view_if_needed()
        screenshot(page, f"report-{competition}-dark-{width}")
        page.evaluate("scrollTo(0, 0)")
        page.emulate_media(color_scheme="light")
        screenshot(page, f"report-{competition}-{width}")
    assert errors == []


@needs_chromium
@pytest.mark.slow
def test_on_paper_lines_and_colours_are_whole_and_no_heading_stands_alone(tmp_path: Path) -> None:
    (tmp_path / "cheese.html").write_text(html(made()), encoding="utf-8")
    with opened((tmp_path / "cheese.html").as_uri(), 1280) as (page, _):
        page.emulate_media(media="print")

        def style(of: str, name: str) -> str:
            return str(page.locator(of).first.evaluate(f"each => getComputedStyle(each).{name}"))

        # A cell that sticks to the window would cover the line below it.
        assert style("#leaderboard td", "position") == "static"
        assert style(".dot", "printColorAdjust") == "exact"
        assert style("#figures > p", "breakAfter") == "avoid"
        assert not page.locator("nav, details").first.is_visible()
