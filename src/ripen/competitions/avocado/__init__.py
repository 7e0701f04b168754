"""The avocado competition's own code, beside `conf/competition/avocado.yaml`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ripen.competition import index as indexes
from ripen.competition.metrics import DECIMALS, scores
from ripen.competition.tasks import TASKS
from ripen.competitions.avocado import distribution
from ripen.core.frames import read_frame, write_frame
from ripen.core.layout import Layout
from ripen.settings.compose import check
from ripen.settings.schema import Competition


def generate(settings: Mapping[str, Any], seed: int, folder: Path) -> None:
    """Write the competition's files, drawn from the distribution."""
    drawn = check(settings, distribution.Drawn, "source.generate")
    for name, frame in distribution.generate(drawn, seed).items():
        if len(frame):  # the reader refuses a table without rows
            write_frame(folder / f"{name}.csv", frame)


def bayes(competition: Competition, layout: Layout) -> dict[str, Any] | None:
    """Score the best possible rule: on the test rows, and its expected accuracy.

    None if the files are from another source, whose distribution is unknown.
    """
    if "generate" not in competition.source:
        return None
    noise = float(competition.source["generate"]["label_noise"])
    test = read_frame(layout.raw / competition.files.test)
    ripe = distribution.bayes_probability(test, noise)
    index = indexes.read(layout, competition)
    labels = index.targets[index.part("test")]
    expected = distribution.bayes_accuracy(
        noise, np.random.default_rng(competition.seed), int(competition.own["bayes_sample"])
    )
    return {
        "test": scores(TASKS["binary"].metrics, labels, np.stack([1 - ripe, ripe], axis=1)),
        "expected": {"accuracy": round(expected, DECIMALS)},
    }


def draw(competition: Competition, layout: Layout, folder: Path) -> None:
    """Draw the talk's network while it learns, and its decisions over two columns (`regions`)."""
    from ripen.competitions.avocado import regions

    regions.draw(competition, layout, folder)
