"""evaluate: score every model, the net among them, and draw what there is to see."""

import json
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ripen.competition import predictions
from ripen.competition.datasets import DATASETS, PHOTOS, photos_of
from ripen.competition.datasets.pictures import Images
from ripen.competition.datasets.prepared import read_part
from ripen.competition.datasets.tabular import Tabular, read_table
from ripen.competition.metrics import DECIMALS, scores
from ripen.core.atomic import fresh_folder, write_text
from ripen.core.layout import WAYS, Layout
from ripen.data import image_index as indexes
from ripen.judge import plots
from ripen.judge.evaluation import (
    calibration,
    figures,
    insight,
    mistakes,
    nets,
    network,
    scored,
    summary,
    tracked,
)
from ripen.judge.evaluation.figures import write_csv
from ripen.judge.evaluation.gallery import Gallery, photographs, small_pictures
from ripen.judge.evaluation.insight import NetFiles
from ripen.judge.evaluation.scored import Scored, Truth
from ripen.settings.schema import CompetitionName, Config

LOOKED_AT = 4  # pictures

Trainings = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Subject:
    """What is known of a competition's rows, whatever its kind.

    Attributes
    ----------
    classes : tuple of str
    known : dict of str to Truth
        The parts whose labels are known.
    gallery : context manager of Gallery or None
        What shows a row; None where there is nothing to see.
    trained : dict of str to Path
        The folder of each net that was trained, by the model's name.
    looked_into : dict of str to NetFiles
        The nets that take pictures, by the model's name.
    ways : tuple of str
        Those that were trained in several ways at the same budget.
    bayes : dict or None
        Scores of the best possible rule.
    """

    classes: tuple[str, ...]
    known: dict[str, Truth]
    gallery: AbstractContextManager[Gallery | None]
    trained: dict[str, Path]
    looked_into: dict[str, NetFiles]
    ways: tuple[str, ...]
    bayes: dict[str, Any] | None = None


def run(config: Config, competition: CompetitionName) -> None:
    """Read what the models left, write `evaluate/` and `metrics/<competition>.json`."""
    layout, own = Layout(competition), getattr(config.competition, competition)
    left = predictions.read_left(layout)
    made_by = {name: stage for stage, rows in left.items() for name in rows.model.unique()}
    subject = subject_of(config, competition, list(made_by))
    models = list(scored.join(pd.concat(left.values()), subject.known))
    validated = [one for one in models if one.part == "validation"]
    trainings = summary.read_trainings(subject.trained)
    with fresh_folder(layout.evaluate) as folder:
        fitted = calibration.by_model(validated, config.seed)
        metrics = summary.evaluate(models, trainings, subject.bayes)
        board = summary.leaderboard(metrics, layout.baselines / "cross_validation.csv")
        write_csv(folder / "leaderboard.csv", board)
        if validated:
            write_csv(folder / layout.calibration.name, calibration.table(fitted))
        drawn = [one for one in models if one.part == scored.last_part(models)]
        for one in drawn:
            (folder / one.model).mkdir()
        draw_scores(drawn, subject, own.evaluate.calibration_bins, competition, folder)
        draw_training(layout, subject, trainings, scored.last_part(models), folder)
        draw_pictures(drawn, subject, folder)
        if isinstance(dataset := DATASETS.get(competition), Tabular):
            network.draw(layout, dataset, own.evaluate.regions, folder / "net")
        write_text(layout.metrics, json.dumps(metrics, indent=2) + "\n")
        tracked.track(config, competition, (metrics, fitted), made_by, folder)


def subject_of(config: Config, competition: CompetitionName, models: list[str]) -> Subject:
    """Return what is known of a competition's rows, and of its models, by their names."""
    layout = Layout(competition)
    if competition in PHOTOS:
        index = indexes.read(layout.prepared / "index.csv")
        settings = getattr(config.competition, competition).evaluate
        made_from = getattr(settings, "nets", None)
        return Subject(
            photos_of(config, competition).classes,
            scored.known_photos(index),
            photographs(layout, index),
            nets.trained_folders(layout),
            nets.of_photographs(layout, made_from) if made_from else nets.of_zoo(models),
            nets.WAYS,
        )
    dataset, known = DATASETS[competition], scored.known_parts(layout)
    if isinstance(dataset, Images):
        folders = {name: layout.train / folder for name, folder in WAYS.items()}
        looked_into = nets.of_small_pictures(folders, layout.train / "pretrained", dataset)
        ways = tuple(WAYS)
        return Subject(dataset.classes, known, small_pictures(layout), folders, looked_into, ways)
    bayes = bayes_scores(config, competition, dataset, layout)
    return Subject(dataset.classes, known, nullcontext(), {"net": layout.train}, {}, (), bayes)


def draw_scores(
    drawn: list[Scored], subject: Subject, bins: int, competition: str, folder: Path
) -> None:
    """Draw what the probabilities of each model, and of all, look like."""
    points = pd.concat([figures.roc_points(one) for one in drawn])
    write_csv(folder / "roc.csv", points)
    for one in drawn:
        own = points[points.model == one.model]
        figures.draw(one, own, subject.classes, bins, folder / one.model)
    plots.save(plots.roc(points, f"{competition}, {drawn[0].part}"), folder / "roc.svg")


def draw_training(
    layout: Layout, subject: Subject, trainings: Trainings, part: str, folder: Path
) -> None:
    """Draw how the nets were trained, and what more rows bring."""
    curves = {name: pd.read_csv(own / "curve.csv") for name, own in subject.trained.items()}
    for name, curve in curves.items():
        ended = trainings[name]
        error = plots.error_curve(curve, ended["stopped"], ended["best_iteration"])
        plots.save(error, folder / name / "error.svg")
        write_csv(folder / name / "error.csv", curve)
    ways = {name: curves[name] for name in subject.ways if name in curves}
    if len(ways) > 1:
        # By their folders: the models' names differ from one competition to the next.
        named = {subject.trained[name].name: curve for name, curve in ways.items()}
        write_csv(folder / "ways.csv", summary.side_by_side(named))
        plots.save(plots.ways(ways), folder / "ways.svg")
    files = [own / "learning_curve.csv" for own in (layout.baselines, layout.train)]
    learnt = summary.learning_curves(*files)
    if learnt is not None:
        # One column a model, which is what `dvc plots` draws lines from.
        wide = learnt.pivot(index="n_train", columns="model", values="accuracy").reset_index()
        write_csv(folder / "learning_curve.csv", wide)
        expected = subject.bayes["expected"]["accuracy"] if subject.bayes else None
        figure = plots.learning_curve(learnt, expected, part)
        plots.save(figure, folder / "learning_curve.svg")


def draw_pictures(drawn: list[Scored], subject: Subject, folder: Path) -> None:
    """Draw each model's worst mistakes, and what its net sees, where rows are pictures."""
    with subject.gallery as gallery:
        if gallery is None:
            return
        for one in drawn:
            mistakes.draw(one, subject.classes, gallery, folder / one.model)
            if one.model in subject.looked_into:
                spread = np.unique(np.linspace(0, len(one.ids) - 1, LOOKED_AT).astype(int))
                ids = [int(id) for id in np.sort(one.ids)[spread]]
                shown = [(gallery.name(id), gallery.picture(id)) for id in ids]
                net = subject.looked_into[one.model]
                insight.draw(net, shown, subject.classes, folder / one.model)
                network.draw_definition(net.deploy, folder / one.model)


def bayes_scores(
    config: Config, competition: CompetitionName, dataset: Tabular, layout: Layout
) -> dict[str, Any]:
    """Score the best possible rule: on the test rows, and its expected accuracy."""
    own = getattr(config.competition, competition)
    noise = own.fetch.label_noise
    columns = dataset.columns(label=False)
    ripe = dataset.bayes_probability(read_table(layout.raw / "test.csv", dataset, columns), noise)
    labels = read_part(layout.prepared, "test").arrays()[1]
    expected = dataset.bayes_accuracy(
        noise, np.random.default_rng(config.seed), own.evaluate.bayes_sample
    )
    return {
        "test": scores(labels, np.stack([1 - ripe, ripe], axis=1)),
        "expected": {"accuracy": round(expected, DECIMALS)},
    }
