"""train for photographs: heads on the features of frozen nets, and a net trained in three ways."""

import time
from functools import partial
from pathlib import Path

import pandas as pd

from caffe.formats import to_text
from ripen.competition import predictions
from ripen.core.atomic import fresh_folder, write_text
from ripen.core.layout import Layout
from ripen.core.progress import progress
from ripen.data.images import index as indexes
from ripen.learn.models.caffe_net import Training, write_training
from ripen.learn.models.photographs import photographs
from ripen.learn.models.served import write_net
from ripen.learn.training import heads
from ripen.learn.training.tracked import log_served
from ripen.learn.training.ways import run_ways
from ripen.nets.engines.choice import Engine, chosen
from ripen.nets.zoo import DEFINITIONS, head, weights
from ripen.nets.zoo.trunk import trunk
from ripen.settings.compose import as_mapping, leaves
from ripen.settings.schema import CompetitionName, Config
from ripen.settings.schema.photos import Features, Head
from ripen.track.tracker import TrackedRun, Tracker


def run(config: Config, competition: CompetitionName) -> None:
    """Read `features/`, the index and the archives, write `train/` and an MLflow run a model."""
    layout, own = Layout(competition), getattr(config.competition, competition)
    index = indexes.read(layout.prepared / "index.csv")
    with (
        chosen(config.engine) as engine,
        fresh_folder(layout.train) as folder,
        Tracker(config, competition, "train") as tracker,
    ):
        tables: list[pd.DataFrame] = []
        for name, settings in own.train.heads.items():
            described = as_mapping(settings) | {"seed": config.seed, "engine": config.engine.name}
            with tracker.model(name) as tracked:
                tracked.log_params(dict(leaves(described)))
                tables += run_head(
                    name, settings, own.features, index, layout, config.seed, engine, tracked
                )
        tables += run_ways(config, competition, layout, folder, tracker)
        predictions.write(folder / "predictions.csv", tables)


def run_head(
    name: str,
    settings: Head,
    features: Features,
    index: pd.DataFrame,
    layout: Layout,
    seed: int,
    engine: Engine,
    tracked: TrackedRun,
) -> list[pd.DataFrame]:
    """Train one head; return its predictions.

    A folder of its name gets the curve and the whole net, ``deploy.prototxt`` and
    ``model.caffemodel``; in ``head/`` are Caffe's files of the training on all pictures.
    """
    folder, started = layout.train / name, time.perf_counter()
    (folder / "head").mkdir(parents=True)
    known = heads.read_known(layout.features, settings.nets, index)
    file = layout.features / f"{settings.nets[0]}.h5"
    tracked.log_dataset(file, name, known.rows.data, known.rows.labels)
    with progress(f"train {name}", int(known.fold.max()) + 2) as advance:
        held_out, training, curve = heads.cross_validated(
            settings, known.rows, known.fold, folder / "head", seed, engine, advance
        )
    tables = [predictions.table(name, "validation", known.ids, held_out)]
    if len(known.test):
        answers = heads.predict(folder / "head", known.test, engine)
        tables.append(predictions.table(name, "test", known.test_ids, answers))
    write_curve(folder, training, curve)
    write_whole(settings, features, int(known.rows.labels.max()) + 1, folder)
    track(tracked, curve, folder, time.perf_counter() - started)
    taken = photographs(features, settings.nets)
    write = partial(write_net, trained=folder / "head", given=taken, deploy=heads.HEAD)
    log_served(tracked, write)
    return tables


def write_curve(folder: Path, training: Training, curve: pd.DataFrame) -> None:
    """Write how the training went, with the curve's validation that of the folds."""
    write_training(folder, training)
    write_text(folder / "curve.csv", curve.to_csv(index=False, lineterminator="\n"))


def write_whole(settings: Head, features: Features, classes: int, folder: Path) -> None:
    """Put frozen nets and head together: the net that takes a picture."""
    frozen, trunks = {}, []
    for name in settings.nets:
        chosen = features.nets[name]
        # Two nets may have layers of the same name, and take pictures of different sizes. A net
        # that is shown each picture in several takes any: the first is as good as another.
        prefix = f"{name}/" if len(settings.nets) > 1 else ""
        definition = DEFINITIONS[chosen.net].deploy()
        trunks.append(trunk(definition, chosen.layers, chosen.pools, chosen.sides[0], prefix))
        frozen[prefix] = weights.caffemodel(chosen.net)
    definition = head.deploy(trunks, classes)
    write_text(folder / "deploy.prototxt", to_text(definition))
    trained = folder / "head" / "model.caffemodel"
    head.write_whole(definition, frozen, trained, folder / "model.caffemodel")


def track(tracked: TrackedRun, curve: pd.DataFrame, folder: Path, seconds: float) -> None:
    """Log a head's curve, its time and Caffe's files."""
    for row in curve.to_dict("records"):
        step = int(row.pop("iteration"))
        tracked.log_metrics({f"curve/{key}": value for key, value in row.items()}, step)
    tracked.log_metrics({"training_seconds": seconds, "iterations": int(curve.iteration.iloc[-1])})
    for name in ("deploy.prototxt", "model.caffemodel", "curve.csv", "training.json"):
        tracked.log_artifacts(folder / name, "caffe")
    for name in ("train_val.prototxt", "solver.prototxt", "model.caffemodel", "model.solverstate"):
        tracked.log_artifacts(folder / "head" / name, "caffe/head")
