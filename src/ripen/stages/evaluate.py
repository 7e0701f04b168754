"""evaluate: score every model, and draw what they predict, how they learnt and what they see."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ripen.competition import index as indexes
from ripen.competition import predictions
from ripen.competition.index import Index
from ripen.competition.own import hook
from ripen.core.atomic import fresh_folder, write_text
from ripen.core.layout import Layout
from ripen.judge import plots
from ripen.judge.evaluation import calibration, figures, insight, mistakes, network, scored, summary
from ripen.judge.evaluation.figures import write_csv
from ripen.judge.evaluation.gallery import opened
from ripen.judge.evaluation.scored import Scored
from ripen.settings.compose import load_competition
from ripen.settings.schema import Competition
from ripen.track import evaluations

LOOKED_AT = 4  # images

Trainings = dict[str, dict[str, Any]]


def run(name: str) -> None:
    """Read what the models left, write `evaluate/` and `metrics/<competition>.json`."""
    competition, layout = load_competition(name), Layout(name)
    index = indexes.read(layout, competition)
    models = list(scored.join(predictions.read(layout, list(competition.models)), index))
    validated = [one for one in models if one.part == "validation" and index.task.classifies]
    folders = {model: layout.model(model) for model in competition.models}
    trained = summary.trained(folders.values())
    trainings = summary.read_trainings(trained)
    bayes = hook(name, "bayes")
    with fresh_folder(layout.evaluate) as folder:
        best_rule = bayes(competition, layout) if bayes else None
        metrics = summary.evaluate(models, trainings, best_rule, index.task, competition.metric)
        write_csv(folder / "leaderboard.csv", summary.leaderboard(metrics))
        fitted = calibration.by_model(validated, competition.seed)
        write_csv(layout.calibration, calibration.table(fitted))
        part = scored.last_part(models)
        drawn = [one for one in models if one.part == part]
        for one in drawn:
            (folder / one.model).mkdir()
        draw_scores(drawn, index, competition.evaluate.calibration_bins, name, folder)
        draw_training(trained, same_budget(competition, trained), trainings, folder)
        draw_learning_curves(folders, best_rule, part, folder)
        draw_images(drawn, competition, layout, index, folder)
        own = hook(name, "draw")
        if own:
            own(competition, layout, folder / "net")
        write_text(layout.metrics, json.dumps(metrics, indent=2) + "\n")
        evaluations.log(name, metrics, fitted, folder)


def draw_scores(
    drawn: list[Scored], index: Index, bins: int, competition: str, folder: Path
) -> None:
    """Draw what the outputs of each model, and of all, look like."""
    if not index.task.classifies:
        for one in drawn:
            figures.draw_values(one, folder / one.model)
        return
    points = pd.concat([figures.roc_points(one) for one in drawn])
    write_csv(folder / "roc.csv", points)
    for one in drawn:
        own = points[points.model == one.model]
        figures.draw(one, own, index.names, bins, folder / one.model)
    plots.save(plots.roc(points, f"{competition}, {drawn[0].part}"), folder / "roc.svg")


def same_budget(competition: Competition, trained: dict[str, Path]) -> list[str]:
    """Return the nets that one estimator trained, where there are several: they are comparable."""
    groups = defaultdict(list)
    for model, section in competition.models.items():
        if model in trained:
            groups[str(section["estimator"])].append(model)
    return max(groups.values(), key=len, default=[])


def draw_training(
    trained: dict[str, Path], compared: list[str], trainings: Trainings, folder: Path
) -> None:
    """Draw how the nets were trained."""
    curves = {name: pd.read_csv(own / "curve.csv") for name, own in trained.items()}
    for name, curve in curves.items():
        ended = trainings[name]
        error = plots.error_curve(curve, ended["stopped"], ended["best_iteration"])
        plots.save(error, folder / name / "error.svg")
        write_csv(folder / name / "error.csv", curve)
    if len(compared) > 1:
        named = {name: curves[name] for name in compared}
        write_csv(folder / "trainings.csv", summary.side_by_side(named))
        plots.save(plots.ways(named), folder / "trainings.svg")


def draw_learning_curves(
    folders: dict[str, Path], bayes: dict[str, Any] | None, part: str, folder: Path
) -> None:
    """Draw what more rows bring."""
    files = {name: own / "learning_curve.csv" for name, own in folders.items()}
    learnt = summary.learning_curves(files)
    if learnt is None:
        return
    # One column a model, which is what `dvc plots` draws lines from.
    wide = learnt.pivot(index="n_train", columns="model", values="score").reset_index()
    write_csv(folder / "learning_curve.csv", wide)
    expected = bayes["expected"]["accuracy"] if bayes else None
    plots.save(plots.learning_curve(learnt, expected, part), folder / "learning_curve.svg")


def draw_images(
    drawn: list[Scored], competition: Competition, layout: Layout, index: Index, folder: Path
) -> None:
    """Draw each model's worst mistakes, and what its net sees, where rows are images."""
    with opened(competition, layout, index) as gallery:
        if gallery is None or not index.task.classifies:
            return
        for one in drawn:
            mistakes.draw(one, index.names, gallery, folder / one.model)
            files = insight.read_files(layout.model(one.model))
            if files is not None:
                spread = np.unique(np.linspace(0, len(one.rows) - 1, LOOKED_AT).astype(int))
                rows = [int(row) for row in np.sort(one.rows)[spread]]
                shown = [(gallery.name(row), gallery.image(row)) for row in rows]
                insight.draw(files, shown, index.names, folder / one.model)
                network.draw_definition(files.deploy, folder / one.model)
