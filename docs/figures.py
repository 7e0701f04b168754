"""The figures of these pages, from a finished run: `python -m docs.figures` in the root.

Most are the pipeline's own. The curves of three step sizes are trained here, in half a minute.
With arguments it prints, for each, the scores of the avocados' net with these settings.
"""

import json
import shlex
import sys
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING, Any

from ripen.core import reproducibility
from ripen.core.layout import Layout

if TYPE_CHECKING:
    from ripen.learn.convergence import Training

IMAGES = Path(__file__).parent / "images"
COPIED = {
    "network-before.svg": ("avocado", "net/network_before.svg"),
    "network-after.svg": ("avocado", "net/network_after.svg"),
    "error.svg": ("avocado", "net/error.svg"),
    "regions.svg": ("avocado", "net/regions.svg"),
    "learning-curve.svg": ("avocado", "learning_curve.svg"),
    "trainings.svg": ("digits", "trainings.svg"),
    "mistakes.svg": ("digits", "net/mistakes.svg"),
    "saliency.svg": ("digits", "net/saliency.svg"),
}
RATES = {  # the talk's step sizes, each with what keeps it as it is
    0.001: ["solver.base_lr=0.001"],
    0.1: [],
    30.0: ["solver.base_lr=30", "solver.lr_policy=fixed"],
}


def train(*overrides: str) -> "tuple[dict[str, dict[str, Any]], Training]":
    """Train the avocados' net with other settings; nothing is stored.

    Returns
    -------
    dict, Training
        Scores by part, as `metrics/avocado.json` has them, and how the training went.
    """
    import pandas as pd

    from ripen.competition import index as indexes
    from ripen.competition.metrics import scores
    from ripen.competition.splitters import splitter
    from ripen.learn import fitting
    from ripen.learn.complete import complete
    from ripen.learn.estimator import Work, estimator, ignore
    from ripen.learn.inputs import opened
    from ripen.nets.engines.engine import Engine, chosen
    from ripen.stages.settings import compose

    values, _ = compose(["competitions=[avocado]", *overrides])
    competition = complete("avocado", values["competition"]["avocado"], "overrides")
    layout = Layout("avocado")
    index = indexes.read(layout, competition)
    settings = estimator(competition.models["net"], "models.net")
    with (
        opened(settings.inputs, competition, layout, index) as taken,
        tempfile.TemporaryDirectory() as folder,
        ExitStack() as stack,
    ):

        @cache
        def engine() -> Engine:
            return stack.enter_context(chosen(competition.engine))

        work = Work(
            "avocado", index.task, index.outputs, competition.seed, competition.threads,
            engine, Path(folder), taken.encoder, competition, ignore, history=False,
        )  # fmt: skip
        split = splitter(competition.validation)
        fit = fitting.Fit(settings, split, index, taken, work, "docs", lambda line: None)
        tables, fitted = fitting.run(fit)
    truth = pd.read_csv(layout.raw / "solution.csv")["ripe"].to_numpy()
    found = {}
    for table in tables:
        part = str(table["part"].iloc[0])
        known = truth if part == "test" else index.targets[table["row"].to_numpy()]
        outputs = table[["p0", "p1"]].to_numpy(float)
        found[part] = scores(["log_loss", "accuracy"], known, outputs)
    assert fitted.training is not None
    return found, fitted.training


def main(arguments: list[str]) -> None:
    """Write every figure, or print the scores of other settings: ``"solver.base_lr=30 …"`` each."""
    # Before anything imports numpy or torch, which read their environment once.
    reproducibility.hold("portable", threads=1)  # as conf/kind/_base.yaml
    if arguments:
        print(json.dumps([train(*shlex.split(one))[0] for one in arguments]))
        return
    import pandas as pd

    from ripen.judge import plots, sweep_figures
    from ripen.learn.sweeps.sweep_tables import RATE

    for name, (competition, path) in COPIED.items():
        copyfile(Layout(competition).evaluate / path, IMAGES / name)
    trials, curves = [], []
    for trial, (rate, overrides) in enumerate(RATES.items()):
        _, training = train(*overrides)
        curve = training.curve().assign(trial=trial)
        curves.append(curve)
        trials.append({"trial": trial, RATE: rate, "ended": training.stopped})
    figure = sweep_figures.all_curves(pd.DataFrame(trials), pd.concat(curves))
    plots.save(figure, IMAGES / "rates.svg")


if __name__ == "__main__":
    main(sys.argv[1:])
