"""fit: one model of a competition, out-of-fold and on the test rows."""

import tempfile
import time
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ripen.competition import index as indexes
from ripen.competition import predictions
from ripen.competition.splitters import splitter
from ripen.core import lineage
from ripen.core.atomic import fresh_folder
from ripen.core.frames import write_frame
from ripen.core.json_files import read_json
from ripen.core.layout import Layout
from ripen.core.lineage import leaves
from ripen.core.progress import progress
from ripen.learn import fitting, pseudo_labels
from ripen.learn.convergence import Check
from ripen.learn.estimator import Callback, Work, estimator, ignore
from ripen.learn.inputs import opened
from ripen.learn.model_fit import Fit, Say
from ripen.learn.spread_folds import Content, content, spread
from ripen.learn.sweeps.space import SWEPT, with_settings
from ripen.learn.target_transform import NAMES, describe
from ripen.settings.compose import as_mapping, load_competition, load_run
from ripen.track.experiments import repository_root
from ripen.track.tracker import Tracker

if TYPE_CHECKING:  # engines import torch, which most models do without
    from ripen.nets.engines.engine import Engine


def run(name: str, model: str) -> None:
    """Read `inputs/`, write `models/<model>/` and an MLflow run."""
    layout = Layout(name)
    with (
        ExitStack() as stack,
        fresh_folder(layout.model(model)) as folder,
        Tracker(name, lineage.model_stage(name, model), f"{name}.{model}") as tracker,
        tracker.model(model) as tracked,
        progress(f"fit {model}", None) as advance,
    ):
        started = time.perf_counter()

        def follow(found: Check) -> None:
            tracked.log_check(found)
            advance(f"loss {found.loss:.4f}, validation {found.validation_loss:.4f}")

        fit = open_fit(name, model, folder, stack, follow, advance)
        competition, index = fit.work.settings, fit.index
        if (most := fit.estimator.most) and most < len(index.learnable()):
            print(
                f"fit {model}: note: learns from {most:,} rows, drawn at random, and not from all. "
                f"Another number: models.{model}.rows"
            )
        described = as_mapping(fit.estimator)
        described |= {"seed": competition.seed, "engine": competition.engine}
        tracked.log_params(dict(leaves(described)))
        rows = index.learnable()
        tracked.log_dataset(layout.prepared / indexes.INDEX, name, rows, index.targets[rows])
        read = partial(lineage.files, lineage.model_stage(name, model), f"{name}.{model}")
        own = partial(fold, name, model, folder)
        spread(fitting.missing(fit), load_run().launcher, own, fit.kept, read)
        tables, fitted = fitting.run(fit)
        predictions.write(folder, tables)
        tracked.log_training(fitted.training, time.perf_counter() - started)

        def save(served: Path) -> None:
            fitted.save(served)
            fit.input.save(served)
            if index.names and not index.task.classifies:
                describe(served, NAMES, index.names)

        tracked.log_model(folder, save)
        curve = fitting.learning_curve(fit, competition.learning_curve)
        if len(curve):
            write_frame(folder / "learning_curve.csv", curve)


def fold(name: str, model: str, folder: Path, place: int) -> Content:
    """Fit one fold of a model in a worker; return its files (`ripen.learn.fitting.fit_fold`).

    The folder is the model's: the files of a net name it.
    """
    with ExitStack() as stack:
        kept = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)  # on another machine it is not there
        fitting.fit_fold(open_fit(name, model, folder, stack), place, kept)
        return content(kept)


def open_fit(
    name: str,
    model: str,
    folder: Path,
    stack: ExitStack,
    callback: Callback = ignore,
    say: Say = lambda line: None,
) -> Fit:
    """Return a model about to be fitted; its inputs are open as long as the stack is.

    Parameters
    ----------
    name, model : str
    folder : Path
        For the files of a net.
    stack : ExitStack
    callback : Callback
        Follows the training of a net.
    say : callable
        Takes a line on each fold.
    """
    competition, layout = load_competition(name), Layout(name)
    if model == SWEPT and competition.sweep is not None and competition.sweep.train_best:
        best = read_json(layout.swept)
        competition = with_settings(competition, best)
    index = indexes.read(layout, competition)
    settings = estimator(competition.models[model], f"models.{model}")
    taken = stack.enter_context(opened(settings.inputs, competition, layout, index))

    @cache
    def start_engine() -> "Engine":
        from ripen.nets.engines.engine import chosen

        return stack.enter_context(chosen(competition.engine, competition.device))

    return Fit(
        settings,
        splitter(competition.validation),
        index,
        taken,
        Work(
            name, index.task, index.outputs, competition.seed, competition.threads,
            start_engine, folder, taken.encoder, competition, callback, history=True,
        ),
        lineage.model_hash(name, model),
        say,
        studies,
        pseudo_labels.of(competition, model),
    )  # fmt: skip


def studies() -> Any:
    """Open the store that the trials of a tuned model share with sweeps."""
    # Imported here because most models tune nothing, and Optuna takes a second.
    from ripen.learn.sweeps.store import address, locked, open_storage, speaking

    settings, root = load_run().study, repository_root()
    uri = address(settings.uri, root)
    with speaking(uri), locked(uri, settings.timeout):
        return open_storage(uri, settings.timeout)
