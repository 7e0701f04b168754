"""The site: what its reference is generated from appears on it, and its links lead somewhere."""

import html
import re
import subprocess
import sys
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest
import yaml

from docs import figures, reference
from ripen import cli
from ripen.competition.metrics import METRICS
from ripen.competition.splitters import SPLITTERS
from ripen.competition.tasks import TASKS
from ripen.data.readers import READERS
from ripen.data.sources import SOURCES
from ripen.learn.estimator import ESTIMATORS
from ripen.settings import schema
from ripen.settings.compose import keys
from ripen.settings.typed import key_of
from tests.ripen.browser import WIDTHS, browser, needs_chromium, opened, screenshot
from tests.ripen.conftest import ROOT


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def sections(page: str) -> dict[str, str]:
    """Return a page's text below each of its headings."""
    parts = re.split(r"(?m)^##+ (.*)$", page)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@cache
def settings_page() -> str:
    return reference.settings_page()


def test_every_setting_has_a_row() -> None:
    shown = sections(settings_page())
    types = reference._types(schema)
    assert {schema.Competition, schema.Run, schema.Solver, schema.Files} <= set(types)
    for kind in types:
        for field in fields(kind):
            assert f"| `{key_of(field.name)}` |" in shown[kind.__name__], kind.__name__
    # Whatever `ripen run KEY=VALUE` takes is a key of some table.
    tables = "".join(shown.values())
    for whole in (*keys(schema.Competition), *keys(schema.Run)):
        assert f"| `{whole.rpartition('.')[2]}` |" in tables


@pytest.mark.parametrize(
    ("section", "row"),
    [
        ("Solver", "| `base_lr` | number, > 0 | `0.1` |"),
        ("Solver", "| `momentum` | number, ≥ 0, < 1 | `0.9` |"),
        ("Competition", "| `seed` | integer, ≥ 0, < 2147483648 | `2016` |"),
        ("Competition", "| `engine` | `torch` or `real` | `torch` |"),
        (
            "Competition",
            "| `target` | text or list of text, at least 1 | tables: required; images: `class` |",
        ),
        ("Columns", "| `shape` | list of integer, ≥ 1, at least 3, at most 3 or null | `null` |"),
        ("Launcher", "| `name` | `basic` or `joblib` or `ray` | `basic` |"),
        ("Finetune", "| `from` | text | required |"),
    ],
)
def test_rows_of_settings(section: str, row: str) -> None:
    assert row in sections(settings_page())[section]


def test_defaults_of_the_kinds_are_both_shown_where_they_differ() -> None:
    found = sections(settings_page())["Competition"]
    assert (
        "| `reproducibility` | `portable` or `fast` | tables: `portable`; images: `fast` |" in found
    )


def test_every_entry_of_a_registry_is_on_a_page() -> None:
    settings, estimators = settings_page(), reference.estimators_page()
    for name in (*TASKS, *READERS, *SOURCES):
        assert f"- `{name}`: " in settings
    for name in SPLITTERS:
        assert f"### split: {name}\n" in settings
    for name in ESTIMATORS:
        assert f"## {name}\n" in estimators
    # What several estimators share is said once, with its meaning.
    for shared in ("| `seeds` | ", "| `encode` | text or null | `null` | How categories become"):
        assert estimators.count(f"\n{shared}") == 1
    metrics = reference.PAGES["reference/metrics.md"]()
    for name in METRICS:
        assert f"`{name}`" in metrics


def test_every_command_and_every_option_is_on_the_page() -> None:
    page = sections(reference.commands_page())
    commands = reference.commands(cli.parser())
    assert {"run", "sweep", "doctor"} <= set(commands)
    for name, command in commands.items():
        for action in command._actions:
            for word in action.option_strings or [str(action.metavar or action.dest)]:
                assert word in page[f"ripen {name}"] or action.choices


def test_every_net_of_the_zoo_is_on_the_page() -> None:
    page = reference.zoo_page()
    for readme in (ROOT / "models").glob("*/readme.md"):
        assert f"| `{readme.parent.name}` |" in page
    squeezenet = next(line for line in page.splitlines() if line.startswith("| `squeezenet` |"))
    assert "| 57.5 | 80.3 | 1,248,424 | 5.0 | 227×227 BGR |" in squeezenet


def test_links_out_of_the_site() -> None:
    def inside(text: str, repository: str | None = None, page: str = "how-to/a.md") -> str:
        return reference.inside(text, page, repository)

    address = "https://example.org/ripen"
    assert inside("see [conf](../../conf/sweep)") == "see conf"
    assert inside("[c](../../conf/sweep#x)", address) == f"[c]({address}/blob/main/conf/sweep#x)"
    # Documents of packages/caffe are pages of the site; what they link to is from where they are.
    assert inside("[c](../../packages/caffe/docs/caffe.md)") == (
        "[c](../reference/caffe-differences.md)"
    )
    back = inside("[c](../README.md#install)", page="reference/caffe-differences.md")
    assert back == "[c](caffe.md#install)"
    for text in ("[b](b.md#d)", "![f](../images/error.svg)", "[w](https://example.org)"):
        assert inside(text) == text
    with pytest.raises(FileNotFoundError, match=r"docs/how-to/a\.md: \.\./\.\./no\.md"):
        inside("[n](../../no.md)")


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    # docs/metrics.md is reference/metrics.md, written for those who read it without the site.
    for page in pages - {"metrics.md"} | set(reference.PAGES):
        assert re.search(rf"(?m)[ :]{re.escape(page)}$", text), page
    assert yaml.safe_load(text)["theme"]["font"] is False


def test_every_image_is_shown_and_every_figure_can_be_drawn_again() -> None:
    places = [ROOT / "README.md", ROOT / "mkdocs.yml", *(ROOT / "docs").rglob("*.md")]
    text = "".join(place.read_text(encoding="utf-8") for place in places)
    images = {path.name for path in (ROOT / "docs" / "images").iterdir()}
    assert {name for name in images if f"images/{name}" not in text} == set()
    # The logo is drawn by hand.
    drawn = {*figures.COPIED, "rates.svg", "ripen.svg"}
    assert {name for name in images if name.endswith(".svg")} == drawn


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built without a warning."""
    mkdocs, folder = Path(sys.executable).parent / "mkdocs", tmp_path_factory.mktemp("docs")
    done = subprocess.run(
        [mkdocs, "build", "--strict", "--quiet", "--site-dir", str(folder / "site")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "site"


def pages_of(site: Path) -> list[Path]:
    """Return the pages, without that of a wrong address: its links begin at a server's root."""
    return sorted(page for page in site.rglob("*.html") if page.name != "404.html")


@pytest.mark.slow
def test_every_link_between_pages_leads_somewhere(site: Path) -> None:
    pages = pages_of(site)
    ends = {page: set(re.findall(r'\bid="([^"]+)"', page.read_text("utf-8"))) for page in pages}
    wrong = set()
    for page in pages:
        for link in re.findall(r'\bhref="(?!\w+:)([^"]*)"', page.read_text(encoding="utf-8")):
            path, _, anchor = html.unescape(link).partition("#")
            target = (page.parent / path).resolve() if path else page
            if not target.exists() or (anchor and anchor not in ends.get(target, {anchor})):
                wrong.add((page.relative_to(site).as_posix(), link))
    assert wrong == set()


@needs_chromium
@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_is_wider_than_its_window(site: Path, width: int) -> None:
    # Code and tables scroll by themselves; at 1280 pixels no table has to.
    wide = []
    with browser() as context:
        for file in pages_of(site):
            with opened(file.as_uri(), width, context) as (page, _):
                overflows = page.evaluate(
                    "() => [document.documentElement, ...(innerWidth < 1000 ? [] :"
                    "document.querySelectorAll('.md-typeset__scrollwrap'))]"
                    ".some(each => each.scrollWidth > each.clientWidth + 1)"
                )
                wide += [file.relative_to(site).as_posix()] * overflows
    assert wide == []


@pytest.mark.slow
def test_the_site_asks_no_server(site: Path) -> None:
    loaded = r"<(?:script|img|iframe)[^>]+src=\"(https?:[^\"]+)|<link[^>]+href=\"(https?:[^\"]+)"
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        assert re.findall(loaded, page.read_text(encoding="utf-8")) == []


@needs_chromium
@pytest.mark.slow
def test_the_search_works_from_a_folder(site: Path) -> None:
    with opened((site / "index.html").as_uri(), 1280) as (page, errors):
        screenshot(page, "site-1280")
        page.keyboard.press("s")
        page.wait_for_selector(".md-search__input:focus")
        page.keyboard.type("Optuna")
        page.wait_for_selector(".md-search-result__item")
        assert "Sweeps" in page.locator(".md-search-result__item h1").all_inner_texts()
        assert errors == []
