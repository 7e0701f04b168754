"""fit: one model of a competition, out-of-fold and on the test rows."""

import time
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ripen.competition import index as indexes
from ripen.competition import predictions
from ripen.competition.splitters import splitter
from ripen.core import lineage
from ripen.core.atomic import fresh_folder, write_text
from ripen.core.json_files import read_json
from ripen.core.layout import Layout
from ripen.core.lineage import leaves
from ripen.core.progress import progress
from ripen.learn import fitting
from ripen.learn.convergence import Check
from ripen.learn.estimator import Work, estimator
from ripen.learn.inputs import opened
from ripen.learn.sweeps.space import SWEPT, with_settings
from ripen.settings.compose import as_mapping, load_competition
from ripen.track.tracker import Tracker

if TYPE_CHECKING:  # engines import torch, which most models do without
    from ripen.nets.engines.engine import Engine


def run(name: str, model: str) -> None:
    """Read `inputs/`, write `models/<model>/` and an MLflow run."""
    competition, layout = load_competition(name), Layout(name)
    if model == SWEPT and competition.sweep is not None and competition.sweep.train_best:
        best = read_json(layout.swept)
        competition = with_settings(competition, best)
    index = indexes.read(layout, competition)
    settings = estimator(competition.models[model], f"models.{model}")
    described = as_mapping(settings) | {"seed": competition.seed, "engine": competition.engine}
    with (
        opened(settings.inputs, competition, layout, index) as taken,
        ExitStack() as stack,
        fresh_folder(layout.model(model)) as folder,
        Tracker(name, lineage.model_stage(name, model), f"{name}.{model}") as tracker,
        tracker.model(model) as tracked,
        progress(f"fit {model}", None) as advance,
    ):
        started = time.perf_counter()

        @cache
        def start_engine() -> "Engine":
            from ripen.nets.engines.engine import chosen

            return stack.enter_context(chosen(competition.engine))

        tracked.log_params(dict(leaves(described)))
        rows = index.learnable()
        tracked.log_dataset(layout.prepared / indexes.INDEX, name, rows, index.targets[rows])

        def follow(found: Check) -> None:
            tracked.log_check(found)
            advance(f"loss {found.loss:.4f}, validation {found.validation_loss:.4f}")

        fit = fitting.Fit(
            settings,
            splitter(competition.validation),
            index,
            taken,
            Work(
                name, index.task, index.outputs, competition.seed, competition.threads,
                start_engine, folder, taken.encoder, competition, follow, history=True,
            ),
            lineage.model_hash(name, model),
            advance,
        )  # fmt: skip
        tables, fitted = fitting.run(fit)
        predictions.write(folder, tables)
        tracked.log_training(fitted.training, time.perf_counter() - started)

        def save(served: Path) -> None:
            fitted.save(served)
            taken.save(served)

        tracked.log_model(folder, save)
        curve = fitting.learning_curve(fit, competition.learning_curve)
        if len(curve):
            text = curve.to_csv(index=False, lineterminator="\n")
            write_text(folder / "learning_curve.csv", text)
