"""A table's net: trained until it converges, and how it gains from more data."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ripen.competition import predictions
from ripen.competition.datasets.prepared import Part, read_part, read_scaler, write_part
from ripen.competition.datasets.tabular import Tabular
from ripen.core.atomic import fresh_folder, write_text
from ripen.core.layout import Layout
from ripen.core.progress import progress
from ripen.learn.models import mlp, served
from ripen.learn.models.caffe_net import Check, Training, fit, write_training
from ripen.learn.training.tracked import Listener, followed, log_served
from ripen.nets.engines.engine import Engine, chosen
from ripen.settings.compose import as_mapping, leaves
from ripen.settings.schema import CompetitionName, Config
from ripen.settings.schema.avocado import TableTrain
from ripen.track.tracking import TrackedRun, Tracker


@dataclass(frozen=True)
class Task:
    """What the net learns, and who trains it."""

    settings: TableTrain
    seed: int
    classes: int
    engine: Engine

    def fit(
        self,
        parts: list[tuple[Path, int]],
        folder: Path,
        listener: Listener,
        history: Path | None = None,
    ) -> Training:
        """Train on two parts' list files (`ripen.learn.models.caffe_net.fit`)."""
        own, (train, validation) = (self.settings, self.seed, self.classes), parts
        return fit(*own, train, validation, folder, listener, self.engine, history)


def run(config: Config, competition: CompetitionName, dataset: Tabular) -> None:
    """Read `prepared/`, write `train/` and one MLflow run."""
    layout, classes = Layout(competition), len(dataset.classes)
    own = getattr(config.competition, competition)
    train, validation, test, more = (
        read_part(layout.prepared, name) for name in ("train", "validation", "test", "more")
    )
    with (
        chosen(config.engine) as engine,
        fresh_folder(layout.train) as folder,
        Tracker(config, competition, "train") as tracker,
    ):
        deploy = mlp.deploy(own.train.net, train.data.shape[1], classes)
        write_text(folder / "deploy.prototxt", mlp.to_text(deploy))
        with tracker.model("net") as tracked:
            tracked.log_dataset(layout.prepared / "train.h5", competition, *train.arrays())
            tracked.log_params(net_settings(config, own.train))
            task = Task(own.train, config.seed, classes, engine)
            training = train_net(task, layout.prepared, folder, tracked)
            write_training(folder, training)
            files = folder / "deploy.prototxt", folder / "model.caffemodel"
            tables = [
                predictions.table("net", part, rows.ids, engine.predict(*files, rows.data))
                for part, rows in (("validation", validation), ("test", test))
            ]
            predictions.write(folder / "predictions.csv", tables)
            log_net(tracked, layout, folder)
        parts = (train.join(more), validation, test)
        learnt = list(learning_curve(task, own.learning_curve, parts, folder))
        curve = pd.DataFrame(learnt, columns=["model", "n_train", "accuracy"])
        write_text(folder / "learning_curve.csv", curve.to_csv(index=False, lineterminator="\n"))


def train_net(task: Task, prepared: Path, folder: Path, tracked: TrackedRun) -> Training:
    """Train on the prepared parts, showing and tracking each check."""
    sizes = {name: len(read_part(prepared, name).ids) for name in ("train", "validation")}
    with progress("train", task.settings.solver.max_iter) as advance:

        def show(check: Check) -> None:
            losses = f"loss {check.loss:.4f}, validation {check.validation_loss:.4f}"
            advance(losses, task.settings.train.check_interval)

        def train(listener: Listener) -> Training:
            parts = [(prepared / f"{name}.txt", size) for name, size in sizes.items()]
            return task.fit(parts, folder, listener, folder / "history")

        return followed(tracked, train, show)


def learning_curve(
    task: Task, sizes: Sequence[int], parts: tuple[Part, Part, Part], trained: Path
) -> Iterator[dict[str, float | str]]:
    """Yield ``n_train`` and test ``accuracy`` of the net trained on the pool's first rows.

    `parts` are the pool, the validation and the test part, `trained` is the folder of the net's
    `deploy.prototxt`. Sizes beyond the pool, and every size where the test labels are not known,
    are left out.
    """
    pool, validation, test = parts
    if test.labels is None:
        return
    sizes = [size for size in sizes if size <= len(pool.ids)]
    with progress("learning curve", len(sizes)) as advance:
        for size in sizes:
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary)
                lists = [
                    (write_part(folder, name, part), len(part.ids))
                    for name, part in (("train", pool.head(size)), ("validation", validation))
                ]
                task.fit(lists, folder, lambda check: None)
                files = trained / "deploy.prototxt", folder / "model.caffemodel"
                found = task.engine.predict(*files, test.data).argmax(axis=1)
            accuracy = float((found == test.labels).mean())
            yield {"model": "net", "n_train": size, "accuracy": accuracy}
            advance(f"{size} rows")


def net_settings(config: Config, settings: TableTrain) -> dict[str, object]:
    """Return what describes the net's run: the sections net, solver and train, and who ran it."""
    return dict(leaves(as_mapping(settings) | {"seed": config.seed, "engine": config.engine.name}))


def log_net(tracked: TrackedRun, layout: Layout, folder: Path) -> None:
    """Log Caffe's files, and what `mlflow models predict` needs."""
    for pattern in ("*.prototxt", "model.*"):
        for file in sorted(folder.glob(pattern)):
            tracked.log_artifacts(file, "caffe")
    given = served.Columns(read_scaler(layout.prepared / "scaler.json"))
    log_served(tracked, lambda path: served.write_net(path, folder, given))
