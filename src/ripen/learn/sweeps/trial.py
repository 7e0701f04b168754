"""Trials: trainings with settings of their own, watched for a reason to end early.

Small nets of a table train side by side (`ripen.learn.models.batched`), whoever runs them; the others one
after the other, as the stage `train` does it.
"""

import contextlib
import io
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ripen.competition.datasets import DATASETS
from ripen.competition.datasets.pictures import Images
from ripen.competition.datasets.prepared import read_part
from ripen.core.errors import TrainingError
from ripen.learn.models import batched, mlp
from ripen.learn.models.caffe_net import TORCH, Check, train_net
from ripen.learn.sweeps.choose import Watch
from ripen.learn.sweeps.outcome import Outcome, Point
from ripen.learn.training import pictures
from ripen.settings.compose import as_mapping
from ripen.settings.schema import CompetitionName, Config
from ripen.settings.schema.sweep import Pruner


@dataclass(frozen=True)
class Job:
    """What a worker needs to run a trial, beside the data.

    Attributes
    ----------
    config : Config
        With the trial's settings.
    competition : str
    pruner : Pruner
    history : tuple of Outcome
        Of the trials of earlier rounds, which it is compared with.
    """

    config: Config
    competition: CompetitionName
    pruner: Pruner
    history: tuple[Outcome, ...]


class Hopeless(Exception):
    """Ends a training from within its listener."""


def run(job: Job, prepared: Path) -> Outcome:
    """Train on the prepared parts in a folder; say how it ended."""
    return next(run_each([job], prepared))[1]


def run_each(jobs: Sequence[Job], prepared: Path) -> Iterator[tuple[int, Outcome]]:
    """Train all, and yield each with its place as soon as it has ended."""
    stacked = [place for place, job in enumerate(jobs) if stacks(job.config, job.competition)]
    if stacked:
        chosen = [jobs[place] for place in stacked]
        for number, outcome in _side_by_side(chosen, prepared):
            yield stacked[number], outcome
    for place in sorted(set(range(len(jobs))) - set(stacked)):
        yield place, _alone(jobs[place], prepared)


def stacks(config: Config, competition: CompetitionName) -> bool:
    """Say whether trials train side by side: nets of a table, by SGD and without dropout."""
    table = not isinstance(DATASETS[competition], Images)
    return table and batched.fits(_trial(config, competition))


def _trial(config: Config, competition: CompetitionName) -> batched.Trial:
    settings = getattr(config.competition, competition).train
    return batched.Trial(settings.net, settings.solver, settings.train, config.seed)


def _side_by_side(jobs: Sequence[Job], prepared: Path) -> Iterator[tuple[int, Outcome]]:
    competition = jobs[0].competition
    parts = [read_part(prepared, name) for name in ("train", "validation")]
    watches = [Watch(job.pruner, job.history) for job in jobs]
    started = time.perf_counter()

    def listener(number: int, check: Check) -> bool:
        return not watches[number].hopeless(check.iteration, check.validation_loss)

    trials = [_trial(job.config, competition) for job in jobs]
    classes = len(DATASETS[competition].classes)
    for number, trained in batched.fit_each(trials, classes, parts[0], parts[1], listener):
        training = trained.training
        curve = tuple(_point(check) for check in training.checks)
        share = (time.perf_counter() - started) / len(jobs)
        yield number, Outcome(str(training.stopped), training.iterations, curve, share)


def _alone(job: Job, prepared: Path) -> Outcome:
    curve: list[Point] = []
    watch = Watch(job.pruner, job.history)
    hopeless = False
    started = time.perf_counter()

    def listener(check: Check) -> None:
        nonlocal hopeless
        if hopeless:  # and did not end by itself at the check that said so
            raise Hopeless
        curve.append(_point(check))
        hopeless = watch.hopeless(check.iteration, check.validation_loss)

    try:
        ended = _train(job.config, job.competition, prepared, listener)
    except Hopeless:
        ended = "pruned"
    except TrainingError:
        ended = "diverged"
    iterations = curve[-1].iteration if curve else 0
    return Outcome(ended, iterations, tuple(curve), time.perf_counter() - started)


def _point(check: Check) -> Point:
    return Point(check.iteration, check.loss, check.validation_loss, check.validation_accuracy)


def _train(
    config: Config, competition: CompetitionName, prepared: Path, listener: Callable[[Check], None]
) -> str:
    """Train the competition's net, as the stage `train` does; its files are not kept."""
    dataset = DATASETS[competition]
    settings = getattr(config.competition, competition).train
    with tempfile.TemporaryDirectory(prefix="ripen-trial-") as temporary:
        folder = Path(temporary)
        batch_size = settings.train.batch_size
        parts = pictures.lists(prepared, ("train", "validation"), batch_size)
        if isinstance(dataset, Images):
            task = pictures.Task(settings, dataset, config.seed, TORCH)
            way = pictures.ways_from(task, _pretrained(task, prepared))["net"]
            return str(pictures.train_way(way, task, parts, folder, listener).stopped)
        net = mlp.train_val(settings.net, len(dataset.classes), *parts)
        own = settings.solver, settings.train, config.seed
        return str(train_net(net, *own, folder, listener).stopped)


# Nets that other trials of this process begin with too, by what they were made from.
_pretrainings: dict[str, tempfile.TemporaryDirectory[str]] = {}


def _pretrained(task: pictures.Task, prepared: Path) -> Path:
    """Pretrain once in this process; return the caffemodel."""
    own = as_mapping(task.settings)
    made_from = [own["pretrain"], own["train"], task.dataset.pretrained, str(prepared), task.seed]
    key = json.dumps(made_from)
    if key not in _pretrainings:
        kept = tempfile.TemporaryDirectory(prefix="ripen-pretrained-")
        with contextlib.redirect_stdout(io.StringIO()):  # its progress is not the sweep's
            pictures.pretrain(task, prepared, Path(kept.name) / "net")
        _pretrainings[key] = kept
    return Path(_pretrainings[key].name) / "net" / "model.caffemodel"
