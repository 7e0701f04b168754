"""A competition's report: one HTML page that needs no other file, the same bytes each time.

What differs from run to run (the commit, the time, the machine) is MLflow's to keep.
"""

import base64
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ripen.judge.evaluation.summary import ended, ranked

MEDIA = {".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".gif": "image/gif"}
PACKAGES = ("dvc", "hydra-core", "mlflow", "numpy", "pandas", "pillow", "scikit-learn", "torch")
# In the page's order: a figure's name, its heading, and what it shows to who cannot see it.
TITLES = {
    "error": ("Error against iterations", "Training and validation error at each check"),
    "trainings": ("Ways of training at the same budget", "Validation error of each at each check"),
    "learning_curve": ("The more the better", "Accuracy of each model by number of examples"),
    "confusion": ("Confusion", "Counts of true class by predicted class"),
    "roc": ("Receiver operating characteristic", "True by false positive rate of each model"),
    "reliability": ("Reliability", "Observed share by predicted probability"),
    "mistakes": ("Worst mistakes", "Examples whose true class was given the least probability"),
    "filters": ("First-layer filters", "The first layer's weights before and after training"),
    "activations": ("Activation maps", "The strongest channel of some layers for some examples"),
    "saliency": ("What decides", "Where a change of an example moves the score of its class most"),
}


@dataclass(frozen=True)
class Figure:
    """A picture of the page: its heading, what it shows in words, and its data address."""

    title: str
    alt: str
    address: str


@dataclass(frozen=True)
class Page:
    """All that a page is made from.

    Attributes
    ----------
    competition : str
    metrics : mapping
        What `metrics/<competition>.json` holds.
    card : mapping or None
        The data card, where the competition has one.
    figures : sequence of Figure
    settings : mapping of str to str
        Dotted key to value.
    hashes : mapping of str to str
        Folder to the SHA-256 of what it holds.
    seed : int
    """

    competition: str
    metrics: Mapping[str, Any]
    card: Mapping[str, Any] | None
    figures: Sequence[Figure]
    settings: Mapping[str, str]
    hashes: Mapping[str, str]
    seed: int


def figures(evaluate: Path, sweep: Path) -> list[Figure]:
    """Return the pictures of a competition's evaluation, of its net and of its sweep.

    Parameters
    ----------
    evaluate : Path
        Folder of pictures; those of a model in a folder of its name, of which the net's are taken.
    sweep : Path
        Folder of pictures; need not exist.
    """
    # A picture of all models has the net's line too.
    files = [
        *{
            file.name: file
            for folder in (evaluate / "net", evaluate, sweep)
            for file in _pictures(folder)
        }.values()
    ]
    order = list(TITLES)
    files.sort(key=lambda file: order.index(file.stem) if file.stem in TITLES else len(order))
    return [_figure(file) for file in files]


def html(page: Page) -> str:
    """Return the page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html.jinja").render(
        page=page,
        rows=leaderboard(page.metrics),
        # Without the kind of build, which changes no result here.
        versions={name: version(name).partition("+")[0] for name in PACKAGES},
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        machine=platform.machine(),
    )


def leaderboard(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row a model, in the order of `ripen.judge.leaderboard`.

    Each has ``model``, ``validation`` and ``test`` (mappings of scores, empty where the part's
    labels are not known) and ``ended`` (how training ended, or "").
    """
    return [
        {
            "model": name,
            "validation": scores.get("validation", {}),
            "test": scores.get("test", {}),
            "ended": ended(scores),
        }
        for name in ranked(metrics)
        for scores in [metrics["models"][name]]
    ]


def _pictures(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.*") if file.suffix in MEDIA)


def _figure(file: Path) -> Figure:
    words = file.stem.replace("_", " ").capitalize()
    title, alt = TITLES.get(file.stem, (words, words))
    data = base64.b64encode(file.read_bytes()).decode()
    return Figure(title, alt, f"data:{MEDIA[file.suffix]};base64,{data}")
