"""Small data of every kind that models learn from, and fits of it without a pipeline."""

import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ripen.competition.index import Index
from ripen.competition.splitters import Splitter, splitter
from ripen.competition.tasks import TASKS
from ripen.data.decode import File
from ripen.learn.estimator import Rows, Work, estimator
from ripen.learn.image_files import Images
from ripen.learn.inputs import Features, Input, Table
from ripen.learn.model_fit import Fit
from ripen.nets.engines.engine import TorchEngine
from ripen.settings.compose import changed, check
from ripen.settings.schema import Competition
from ripen.stages.settings import compose
from tests.ripen.images import cats_and_dogs
from tests.ripen.learn import tiny

ROOT = Path(__file__).parents[3]
CLASSES = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": ()}


@cache
def competition(*overrides: str) -> Competition:
    """Return the settings of a competition of conf/, by default the avocado."""
    chosen = overrides or ("competitions=[avocado]",)
    (values,) = compose(chosen, ROOT / "conf")[0]["competition"].values()
    return check(values, Competition, "test")


def table(n: int, seed: int = 0) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """Return numbers, some blank, a category with blanks, and what a target may follow from."""
    rng = np.random.default_rng(seed)
    width, height = rng.normal(5, 2, n), rng.normal(-1, 1, n)
    colour = rng.choice(["red", "green", "blue", ""], n)
    signal = (width - 5) / 2 + 1.5 * (colour == "red")
    height[rng.random(n) < 0.2] = np.nan
    return pd.DataFrame({"width": width, "height": height, "colour": colour}), signal


def targets_of(task: str, signal: NDArray[np.float64]) -> list[str]:
    """Return targets as the index has them: classes of as many rows each, or values."""
    if task == "regression":
        return [repr(float(value)) for value in signal]
    names = CLASSES[task]
    ranks = signal.argsort().argsort()
    return [names[rank * len(names) // len(signal)] for rank in ranks]


def index_of(
    task: str,
    targets: Sequence[str],
    folds: Sequence[int],
    parts: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
) -> Index:
    """Return an index of rows whose numbers are their ids."""
    rows = pd.DataFrame(
        {
            "id": [str(number) for number in range(len(targets))],
            "part": parts or ["train"] * len(targets),
            "target": targets,
            "group": "",
            "fold": folds,
            "problem": "",
        }
    )
    names = tuple(CLASSES[task] if classes is None else classes)
    return Index(rows, TASKS[task], names, names)


def table_input(frame: pd.DataFrame, scale: float | None = None) -> Table:
    return Table(frame, scale)


def features_input(values: NDArray[np.float32]) -> Features:
    """Return arrays as features of nets, each row's own."""
    return Features(values, np.arange(len(values)), ["tiny"], competition())


def images_input(each: int, tests: int = 0) -> tuple[Images, list[str], list[str]]:
    """Return images of cats, of dogs, and of the test part, with their targets and parts."""
    content = cats_and_dogs(each, tests)
    names = sorted(content, key=lambda name: (name.startswith("test"), "dog" in name))
    files = [File(name, lambda name=name: content[name]) for name in names]  # type: ignore[misc]
    targets = ["cat"] * each + ["dog"] * each + [""] * tests
    return Images(files), targets, ["train"] * (2 * each) + ["test"] * tests


def work(
    folder: Path,
    index: Index,
    encode: Callable[..., Any] = lambda *_, **__: None,
    seed: int = 0,
    settings: Competition | None = None,
    **more: Any,
) -> Work:
    """Return what a fit needs beside its rows; the folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    # As a head of the tiny net finds its features described.
    own = settings or changed(competition(), features={"tiny": tiny.FEATURES})
    engine = more.pop("engine", TorchEngine())
    return Work(
        "pets", index.task, index.outputs, seed, 1, lambda: engine, folder, encode, own, **more
    )


def fit_of(
    section: dict[str, Any],
    index: Index,
    taken: Input,
    folder: Path,
    split: Splitter | None = None,
    key: str | None = None,
    **more: Any,
) -> Fit:
    """Return a model of a competition, about to be fitted, `say` saying nothing.

    Its key is its folder's name by default: tests in two processes would read each other's folds.
    """
    encode = more.pop("encode", taken.encoder)
    return Fit(
        estimator(section, "models.model"),
        split or splitter({"split": "stratified", "folds": 2}),
        index,
        taken,
        work(folder, index, encode, **more),
        key or str(folder).replace(os.sep, "_"),
        lambda _: None,
    )


def rows_of(index: Index, taken: Input, numbers: Sequence[int] | NDArray[np.int64]) -> Rows:
    """Return rows of an index as an estimator takes them."""
    chosen = np.asarray(numbers, np.int64)
    return Rows(taken.take(chosen), index.targets[chosen])
