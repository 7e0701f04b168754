"""A competition's report: one HTML page that needs no other file, the same bytes each time.

The commit, the time and the machine differ from run to run, so they are in MLflow only.
"""

import base64
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ripen.competition.index import Index
from ripen.competition.metrics import Order
from ripen.judge.data_report import DataReport
from ripen.judge.scoring import Leaderboard
from ripen.judge.steps import Step
from ripen.settings.schema import Competition

NET = "net"  # the model whose figures the page prefers: it has the most
MEDIA = {".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".gif": "image/gif"}
PACKAGES = ("dvc", "hydra-core", "mlflow", "numpy", "pandas", "pillow", "scikit-learn", "torch")
# In the page's order: a figure's name, its heading, and its description for screen readers.
TITLES = {
    "error": ("Error against iterations", "Training and validation error at each check"),
    "trainings": ("Trainings at the same budget", "Validation error of each net at each check"),
    "learning_curve": ("Learning curve", "Score of each model by number of training rows"),
    "values": ("Predicted against true values", "The predicted and the true value of each row"),
    "residuals": ("Residuals", "True minus predicted value by predicted value"),
    "confusion": ("Confusion", "Counts of true class by predicted class"),
    "roc": ("Receiver operating characteristic", "True by false positive rate of each model"),
    "reliability": ("Reliability", "Observed share by predicted probability"),
    "mistakes": ("Worst mistakes", "Images whose true class was given the least probability"),
    "filters": ("First-layer filters", "The first layer's weights before and after training"),
    "activations": ("Activation maps", "The strongest channel of some layers for some images"),
    "saliency": ("Saliency", "Where a change of an image moves the score of its class most"),
}


@dataclass(frozen=True)
class Figure:
    """A figure of the page: its heading, its description, and its data address."""

    title: str
    alt: str
    address: str


@dataclass(frozen=True)
class Page:
    """The contents of a page.

    Attributes
    ----------
    competition : str
    board : Leaderboard
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
    """

    competition: str
    board: Leaderboard
    facts: Mapping[str, str]
    card: Mapping[str, Any] | None
    data: DataReport
    figures: Sequence[Figure]
    settings: Mapping[str, str]
    hashes: Mapping[str, str]
    seed: int
    steps: Sequence[Step] = ()
    members: Mapping[str, float] = field(default_factory=dict)


def facts(competition: Competition, index: Index, metric: Order) -> dict[str, str]:
    """Return a competition's target, its numbers of rows, and its validation."""
    split = dict(competition.validation)
    settings = [f"{key} {value}" for key, value in split.items() if key != "split"]
    learnable = index.learnable()
    held_out = int((index.folds[learnable] >= 0).sum())
    found = {
        "task": competition.task,
        "target": ", ".join(competition.targets),
        "metric": f"{metric.title}, {'higher' if metric.greater_is_better else 'lower'} is better",
        "validation": ", ".join([str(split["split"]), *settings]),
        "training rows": f"{len(learnable):,}, of which {held_out:,} validate",
        "test rows": f"{len(index.part('test')):,}",
    }
    if len(more := index.part("more")):
        found["rows of the learning curve alone"] = f"{len(more):,}"
    if excluded := int(np.sum(index.rows["problem"] != "")):
        found["excluded rows"] = f"{excluded:,}"
    if index.task.classifies:
        found["classes"] = f"{len(index.classes):,}"
    return found


def figures(evaluate: Path, best: str, sweep: Path) -> list[Figure]:
    """Return the figures of a competition's evaluation, of one of its models and of its sweep.

    Parameters
    ----------
    evaluate : Path
        Folder of figures; those of a model are in a folder of its name. The page shows the net's,
        or those of the best model where there is no net.
    best : str
    sweep : Path
        Folder of figures; need not exist.
    """
    model = NET if (evaluate / NET).is_dir() else best
    # By name, as a figure of all models shows more than the same one of a single model.
    files = [
        *{
            file.name: file
            for folder in (evaluate / model, evaluate, sweep)
            for file in _files(folder)
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
        # Without the build's suffix, which changes no result here.
        versions={name: version(name).partition("+")[0] for name in PACKAGES},
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        machine=platform.machine(),
    )


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.*") if file.suffix in MEDIA)


def _figure(file: Path) -> Figure:
    words = file.stem.replace("_", " ").capitalize()
    title, alt = TITLES.get(file.stem, (words, words))
    data = base64.b64encode(file.read_bytes()).decode()
    return Figure(title, alt, f"data:{MEDIA[file.suffix]};base64,{data}")
