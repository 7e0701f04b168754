"""The report: what it says, that it is the same each time, and how a browser shows it."""

import json
from pathlib import Path

import pytest

from ripen.judge.page import Figure, Page, figures, html, leaderboard
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
        "metrics": METRICS,
        "card": None,
        "figures": [Figure("Error", "It falls", "data:image/svg+xml;base64,PHN2Zy8+")],
        "settings": {"train.solver.base_lr": "0.1"},
        "hashes": {"data/cheese/raw": "ab" * 32},
        "seed": 7,
    }
    return Page(**(values | changed))  # type: ignore[arg-type]


def test_the_leaderboard_is_by_log_loss() -> None:
    rows = leaderboard(METRICS)
    assert [row["model"] for row in rows] == ["net", "svm"]
    assert [row["ended"] for row in rows] == ["converged at 300", ""]


def test_models_of_a_test_part_alone_are_ranked_by_it() -> None:
    models = {"a": {"test": {"log_loss": 0.9}}, "b": {"test": {"log_loss": 0.1}}}
    assert [
        row["model"] for row in leaderboard({"models": models, "best_by": "test/log_loss"})
    ] == ["b", "a"]


def test_the_page_says_how_to_run_it_again() -> None:
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
    assert 'href="#data"' not in html(made())


def test_figures_are_the_nets_and_those_of_all(tmp_path: Path) -> None:
    for name in ("net/error.svg", "net/roc.svg", "svm/roc.svg", "roc.svg", "ways.svg", "roc.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep/trials_by_rate.svg").write_text("s")
    found = figures(tmp_path, tmp_path / "sweep")
    assert [figure.title for figure in found] == [
        "Error against iterations",
        "Ways of training at the same budget",
        "Receiver operating characteristic",
        "Trials by rate",
    ]
    assert found[2].address == "data:image/svg+xml;base64,cm9jLnN2Zw=="  # roc.svg


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
            f"{best['log_loss']:.4f}",
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
