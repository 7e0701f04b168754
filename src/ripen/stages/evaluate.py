"""evaluate: score every model, and draw its predictions, its training and its responses."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ripen.competition import index as indexes
from ripen.competition import predictions
from ripen.competition.index import Index
from ripen.competition.metrics import METRICS
from ripen.competition.own import hook
from ripen.competition.scorer import Scorer, scorer
from ripen.competition.tasks import Task
from ripen.core.atomic import fresh_folder
from ripen.core.frames import read_frame, write_frame
from ripen.core.json_files import write_json
from ripen.core.layout import BLEND, Layout
from ripen.judge import (
    calibration,
    decision,
    figures,
    image_figures,
    plots,
    scoring,
    steps,
)
from ripen.judge.decision import Decided
from ripen.judge.leaderboard import Leaderboard, leaderboard, measured_scores, table
from ripen.judge.scoring import Scored
from ripen.judge.steps import Step
from ripen.learn import pseudo_labels
from ripen.learn.blending import members, weights
from ripen.learn.estimator import comparable
from ripen.learn.seen import SEEN
from ripen.settings.compose import load_competition
from ripen.settings.schema import Competition
from ripen.track import evaluations

SHOWN = 4  # images, in the figures of a net's responses

Trainings = dict[str, dict[str, Any]]


def run(name: str) -> None:
    """Read what the models left, write `evaluate/` and `metrics/<competition>.json`."""
    competition, layout = load_competition(name), Layout(name)
    index = indexes.read(layout, competition)
    task = index.task
    blended = [BLEND] if members(competition) else []
    names = [*competition.models, *blended]
    models = list(scoring.join(predictions.read(layout, names), index))
    folders = {model: layout.model(model) for model in competition.models}
    trained = scoring.trained(folders.values())
    trainings = scoring.read_trainings(trained)
    bayes, draw = hook(name, "bayes"), hook(name, "draw")
    with fresh_folder(layout.evaluate) as folder:
        best_rule = bayes(competition, layout) if bayes else None
        judged = scorer(competition, layout, index)
        found = steps.of_blend(models, judged, before_pseudo_labels(folders, layout, index))
        metrics = scoring.evaluate(models, trainings, best_rule, task, judged)
        if blended:  # an experiment's commit has its metrics, and its ledger needs the members
            metrics["models"][BLEND]["members"] = weights(layout.blend)
        board = leaderboard(metrics)
        write_frame(folder / "leaderboard.csv", table(board))
        fitted = calibrate(models, task, competition.seed)
        write_frame(folder / layout.calibration.name, calibration.table(fitted))
        decided = decisions(models, competition, index, judged)
        write_json(folder / layout.decisions.name, decision.as_json(decided))
        validated = [one for one in models if one.part == "validation"]
        best = next((one for one in validated if one.model == metrics["best"]), None)
        found += steps.of_model(best, task, judged, decided, competition.seed)
        write_frame(folder / steps.FILE, steps.table(found))
        say(found)
        part = scoring.drawn_part(models)
        drawn = [one for one in models if one.part == part]
        for model in dict.fromkeys([one.model for one in drawn] + list(trained)):
            (folder / model).mkdir()
        styles = plots.palette(list(metrics["models"]))
        draw_scores(board, styles, folder)
        draw_outputs(drawn, index, competition.evaluate.calibration_bins, name, styles, folder)
        nets = [model for model in competition.models if model in trained]
        draw_training(trained, comparable(competition, nets), trainings, task, styles, folder)
        draw_learning_curves(folders, best_rule, part, task, styles, folder)
        draw_images(drawn, competition, layout, index, folder)
        if draw:
            draw(competition, layout, folder)
        write_json(layout.metrics, metrics)
        colours = {model: style["color"] for model, style in styles.items()}
        evaluations.log(name, metrics, colours, note(name, board), folder)


def note(competition: str, board: Leaderboard) -> str:
    """Return what MLflow's pages say of the experiment: its result, and how to make it again.

    The list of experiments shows the first words as they stand, without Markdown.
    """
    return (
        f"Best: {board.best.model}, {board.heading(board.decides)} "
        f"{board.text(board.best, board.decides)}. "
        f"{board.certainty}\n\nTo run it again: `ripen run 'competitions=[{competition}]'`. "
        f"Its report: `{Layout(competition).report}`."
    )


def before_pseudo_labels(
    folders: dict[str, Path], layout: Layout, index: Index
) -> dict[str, Scored]:
    """Return the outputs of models before they learnt from pseudo-labels, by name."""
    names = [model for model, folder in folders.items() if (folder / pseudo_labels.BEFORE).exists()]
    tables = predictions.read(layout, names, pseudo_labels.BEFORE)
    return {one.model: one for one in scoring.join(tables, index)}


def calibrate(models: list[Scored], task: Task, seed: int) -> dict[str, dict[str, float]]:
    """Fit every classifier's calibration to its validation rows."""
    validated = [one for one in models if one.part == "validation" and task.classifies]
    return calibration.by_model(validated, seed)


def draw_scores(board: Leaderboard, styles: plots.Styles, folder: Path) -> None:
    """Draw the scores that decide, where they have standard errors."""
    found = measured_scores(board)
    if found.standard_error.notna().any():
        plots.save(plots.scores(found, board.heading(board.decides), styles), folder / "scores.svg")


def decisions(
    models: list[Scored], competition: Competition, index: Index, judged: Scorer
) -> dict[str, Decided]:
    """Fit every model's decision to its validation rows, where the metric has a use for one."""
    names = decision.rules(index.task, judged.metric, competition.submission, index.outputs)
    return {
        one.model: decision.decide(one, judged, names, competition.seed)
        for one in models
        if names and one.part == "validation"
    }


def say(found: list[Step]) -> None:
    """Print a line for the decision where it does not pay."""
    for step in found:
        # One that changes nothing is no news.
        if step.pays == "no" and step.step == decision.DECISION and step.gain:
            print(
                f"evaluate: {step.step} ({step.what}) does not pay, and is left out: it gains "
                f"{step.gain:g} ± {step.standard_error:g}"
            )


def draw_outputs(
    drawn: list[Scored],
    index: Index,
    bins: int,
    competition: str,
    styles: plots.Styles,
    folder: Path,
) -> None:
    """Draw the outputs of each model, and the ROC of all; nothing of independent labels."""
    if not index.task.classifies:
        for one in drawn if not index.task.probabilities else ():
            figures.draw_values(one, styles, folder / one.model)
        return
    points = pd.concat([figures.roc_points(one) for one in drawn])
    write_frame(folder / "roc.csv", points)
    for one in drawn:
        own = points[points.model == one.model]
        figures.draw(one, own, index.names, bins, styles, folder / one.model)
    figure = plots.roc(points, f"{competition}, {drawn[0].part}", styles)
    plots.save(figure, folder / "roc.svg")


def draw_training(
    trained: dict[str, Path],
    compared: list[str],
    trainings: Trainings,
    task: Task,
    styles: plots.Styles,
    folder: Path,
) -> None:
    """Draw the error curve of each net, and those of comparable nets in one figure."""
    curves = {name: read_frame(own / "curve.csv") for name, own in trained.items()}
    for name, curve in curves.items():
        ended = trainings[name]
        error = plots.error_curve(curve, ended["stopped"], ended["best_iteration"], task.error)
        plots.save(error, folder / name / "error.svg")
        write_frame(folder / name / "error.csv", curve)
    if len(compared) > 1:
        named = {name: curves[name] for name in compared}
        write_frame(folder / "trainings.csv", scoring.side_by_side(named))
        plots.save(plots.error_curves(named, styles, task.error), folder / "trainings.svg")


def draw_learning_curves(
    folders: dict[str, Path],
    bayes: dict[str, Any] | None,
    part: str,
    task: Task,
    styles: plots.Styles,
    folder: Path,
) -> None:
    """Draw scores against the number of training rows."""
    files = {name: own / "learning_curve.csv" for name, own in folders.items()}
    curves = scoring.learning_curves(files)
    if curves is None:
        return
    # One column a model: `dvc plots` draws a line from each.
    wide = curves.pivot(index="n_train", columns="model", values="score").reset_index()
    write_frame(folder / "learning_curve.csv", wide)
    metric = task.metrics[0]
    best_possible = bayes.get("expected", {}).get(metric) if bayes else None
    score = f"{part} {METRICS[metric].title}"
    figure = plots.learning_curve(curves, best_possible, styles, score)
    plots.save(figure, folder / "learning_curve.svg")


def draw_images(
    drawn: list[Scored], competition: Competition, layout: Layout, index: Index, folder: Path
) -> None:
    """Draw each classifier's worst mistakes and its net's responses, where rows are images."""
    with image_figures.open_images(competition, layout, index) as images:
        if images is None or not index.task.classifies:
            return
        for one in drawn:
            image_figures.draw_mistakes(one, index.names, images, folder / one.model)
            if (layout.model(one.model) / SEEN).exists():
                from ripen.judge import insight, network  # they import torch

                files = insight.read_files(layout.model(one.model))
                # Spread over the rows, which are often sorted by class.
                places = np.argsort(one.rows)[plots.evenly(len(one.rows), SHOWN)]
                shown = [
                    (f"true: {index.names[one.labels[place]]}", images.image(int(one.rows[place])))
                    for place in places
                ]
                insight.draw(files, shown, index.names, folder / one.model)
                network.draw_definition(files.deploy, folder / one.model)
