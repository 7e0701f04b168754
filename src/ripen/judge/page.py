"""A competition's report: one HTML page that needs no other file, the same bytes each time.

The commit, the time and the machine differ from run to run, so they are in MLflow only.
"""

import base64
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from ripen.competition.index import Index
from ripen.competition.metrics import Order
from ripen.core.layout import Layout
from ripen.core.templates import rendered
from ripen.judge.data_report import DataReport
from ripen.judge.leaderboard import KAGGLES, Column, Leaderboard, fixed
from ripen.judge.plots import palette
from ripen.judge.scoring import Metrics
from ripen.judge.steps import Step
from ripen.judge.story import ENTRIES, Entry, Source, say
from ripen.settings.schema import Competition

NET = "net"  # the model whose training is shown where the best one has none
SWEPT = "figures"  # the folder of a sweep's figures
MEDIA = {".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".gif": "image/gif"}
PACKAGES = ("dvc", "hydra-core", "mlflow", "numpy", "pandas", "pillow", "scikit-learn", "torch")
TASKS = {
    "binary": "Binary classification",
    "multiclass": "Classification",
    "multilabel": "Classification by independent labels",
    "regression": "Regression",
}
# Colours of figures that follow the page's, light or dark; those of models suit both.
PAGE = {
    "#000000": "currentColor", "#222222": "currentColor", "#333333": "currentColor",
    "#ffffff": "var(--paper)", "white": "var(--paper)",
}  # fmt: skip
COLOUR = re.compile(r"((?:fill|stroke)(?:: |=\"))(" + "|".join(PAGE) + r")(?=[;\" ])")
SIZE = re.compile(r' (?:width|height)="[^"]*"')
NAME = re.compile(r'( id="|href="#|url\(#|aria-labelledby="title )')


@dataclass(frozen=True)
class Figure:
    """A figure of the page.

    Attributes
    ----------
    name : str
    title, alt, sentence : str
        Its heading, its description for screen readers, and what it shows; "" for none.
    svg : Markup
        The drawing, to stand in the page, or an image element.
    wide : bool
        Whether it takes the whole width.
    scrolls : bool
        Whether a narrow window scrolls it, rather than make it too small to see.
    """

    name: str
    title: str
    alt: str
    sentence: str
    svg: Markup
    wide: bool = False
    scrolls: bool = False


@dataclass(frozen=True)
class Page:
    """The contents of a page.

    Attributes
    ----------
    competition : str
    lead : str
        What it is, in a sentence (`lead`).
    board : Leaderboard
    models : sequence of str
        In the order of their colours: that of the metrics.
    facts : mapping of str to str
        The target, the numbers of rows and the validation (`facts`).
    card : mapping or None
        The data card, where the competition has one.
    data : DataReport
    figures : sequence of Figure
    settings : mapping of str to str
        Dotted key to value.
    hashes : mapping of str to str
        Folder to the SHA-256 of its contents.
    seed : int
    steps : sequence of Step
        From the best single model to the submission.
    members : mapping of str to float
        The weight of each member of the blend, the largest first.
    submissions : str
        The name of the page of submissions beside this one; "" where there is nowhere to submit.
    """

    competition: str
    lead: str
    board: Leaderboard
    models: Sequence[str]
    facts: Mapping[str, str]
    card: Mapping[str, Any] | None
    data: DataReport
    figures: Sequence[Figure]
    settings: Mapping[str, str]
    hashes: Mapping[str, str]
    seed: int
    steps: Sequence[Step] = ()
    members: Mapping[str, float] = field(default_factory=dict)
    submissions: str = ""


def lead(competition: Competition, index: Index, metric: Order) -> str:
    """Return what a competition is, in a sentence or two."""
    title = f"{competition.about.title}. " if competition.about.title else ""
    rows = f"{len(index.learnable()):,} {'images' if competition.images else 'rows'} to learn from"
    test = f", {len(index.part('test')):,} to predict" if len(index.part("test")) else ""
    what = f"{TASKS[competition.task]} of {_what(competition, index)}"
    return f"{title}{what}: {rows}{test}, scored by {metric.title}."


def _what(competition: Competition, index: Index) -> str:
    if competition.images is None:
        return ", ".join(competition.targets)
    return f"images into {len(index.classes):,} classes" if index.task.classifies else "images"


def facts(competition: Competition, index: Index, metric: Order) -> dict[str, str]:
    """Return a competition's target, its numbers of rows, and its validation."""
    split = dict(competition.validation)
    settings = [f"{key}: {value}" for key, value in split.items() if key != "split"]
    learnable = index.learnable()
    held_out = int((index.folds[learnable] >= 0).sum())
    which = f"of which {held_out:,} are held out"
    if held_out == len(learnable):
        which = "each held out in one fold"
    rows = "images" if competition.images else "rows"
    found = {
        "task": competition.task,
        "target": ", ".join(competition.targets),
        "metric": f"{metric.title}, {'higher' if metric.greater_is_better else 'lower'} is better",
        "validation": str(split["split"]) + (f" ({', '.join(settings)})" if settings else ""),
        f"training {rows}": f"{len(learnable):,}, {which}",
        f"test {rows}": f"{len(index.part('test')):,}",
    }
    if len(more := index.part("more")):
        found[f"more {rows}"] = f"{len(more):,}, for the learning curve only"
    if excluded := int(np.sum(index.rows["problem"] != "")):
        found["excluded rows"] = f"{excluded:,}"
    if index.task.classifies:
        found["classes"] = f"{len(index.classes):,}"
    return found


def figures(evaluate: Path, sweep: Path, board: Leaderboard, metrics: Metrics) -> list[Figure]:
    """Return the figures of a competition, in the order of `ripen.judge.story`.

    They are those of all models and of the sweep, those of the best model, and of the net those
    that the best model lacks, such as its training. Those that show nothing are left out.

    Parameters
    ----------
    evaluate : Path
        Folder of figures; those of a model are in a folder of its name.
    sweep : Path
        The sweep's folder, with figures in `figures/`; need not exist.
    board : Leaderboard
    metrics : dict
        The content of `metrics/<competition>.json`.
    """
    best = board.best.model
    # By name, as a figure of all models shows more than the same one of a single model.
    found: dict[str, tuple[Path, Source]] = {}
    for folder, tables, model in (
        (evaluate / NET, evaluate / NET, NET),
        (evaluate / best, evaluate / best, best),
        (evaluate, evaluate, ""),
        (sweep / SWEPT, sweep, ""),
    ):
        source = Source(tables, model, board, metrics)
        found |= {file.stem: (file, source) for file in _files(folder)}
    order = list(ENTRIES)
    names = sorted(found, key=lambda name: order.index(name) if name in order else len(order))
    said = [(name, *found[name], say(name, found[name][1])) for name in names]
    return [_figure(name, file, *words) for name, file, _, words in said if words is not None]


def html(page: Page) -> str:
    """Return the page."""
    return rendered(
        Path(__file__).with_name("page.html.jinja"),
        page=page,
        glance=glance(page),
        ends=any(row.ended for row in page.board.rows),
        fixed=fixed,
        kaggles=KAGGLES,
        styles=palette(list(page.models)),
        # Without the build's suffix, which changes no result here.
        versions={name: version(name).partition("+")[0] for name in PACKAGES},
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        machine=platform.machine(),
    )


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.*") if file.suffix in MEDIA)


def _figure(name: str, file: Path, entry: Entry, sentence: str) -> Figure:
    if file.suffix == ".svg":
        svg = inline(file.read_text(encoding="utf-8"), name)
    else:
        data = base64.b64encode(file.read_bytes()).decode()
        svg = Markup('<img src="data:{};base64,{}" alt="{}">').format(
            MEDIA[file.suffix], data, entry.alt
        )
    scrolls = entry.wide or 'role="group"' in svg  # the latter consists of images
    return Figure(name, entry.title, entry.alt, sentence, svg, entry.wide, scrolls)


def inline(drawing: str, name: str) -> Markup:
    """Return an SVG file as an element of a page.

    Its neutral colours become the page's, its size that of its place, and its ids begin with the
    figure's name, since those of two files may be the same.
    """
    svg = drawing[drawing.index("<svg") :]
    head, rest = svg.split(">", 1)
    if "viewBox" in head:
        head = SIZE.sub("", head)
    svg = COLOUR.sub(lambda found: found[1] + PAGE[found[2]], f"{head}>{rest}")
    svg = svg.replace('aria-labelledby="title description"', f'aria-label="{name}"')
    return Markup(NAME.sub(lambda found: f"{found[1]}{name}-", svg))


def glance(page: Page) -> dict[str, str]:
    """Return what a reader wants to know first: the best model, how sure that is, where it went."""
    board = page.board
    found = {
        "best model": f"{board.best.model}: {board.heading(board.decides)} "
        f"{board.text(board.best, board.decides)}",
        "how sure": board.certainty,
    }
    test = Column("test", board.decides.metric)
    if board.decides.part != "test" and (score := board.text(board.best, test)):
        found["on the test part"] = f"{board.heading(test)} {score}"
        if board.bayes and (best := board.text(board.bayes, test)):
            found["best possible"] = f"{board.heading(test)} {best} (Bayes)"
    found["submission"] = Layout(page.competition).submission.as_posix()
    return found
