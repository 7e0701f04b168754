"""The numbers: what `metrics/<competition>.json` holds, and the tables that are made of it."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ripen.competition.metrics import METRICS, scores
from ripen.competition.predictions import PARTS
from ripen.competition.tasks import Task
from ripen.judge.evaluation.scored import Scored, main_part


def evaluate(
    scored: list[Scored],
    trainings: Mapping[str, dict[str, Any]],
    bayes: dict[str, Any] | None,
    task: Task,
    metric: str,
) -> dict[str, Any]:
    """Return what `metrics/<competition>.json` holds.

    Parameters
    ----------
    scored : list of Scored
        Every model on every part whose targets are known.
    trainings : mapping of str to dict
        What ended the training of each net, and when.
    bayes : dict or None
        Scores of the best possible rule, where it is known.
    task : Task
    metric : str
        The competition's, which decides.

    Returns
    -------
    dict
        ``models`` by name and part; ``best``, of the models that were scored on the most rows the
        best by the metric; ``best_by``, on which part; ``bayes``.
    """
    models: dict[str, dict[str, Any]] = {}
    for one in scored:
        found = scores((*task.metrics, metric), one.labels, one.probabilities)
        models.setdefault(one.model, {})[one.part] = found
    for name, values in trainings.items():
        models[name] |= values
    part = main_part(scored)
    most = max(values[part]["n"] for values in models.values() if part in values)
    rivals = [name for name, v in models.items() if part in v and v[part]["n"] == most]
    best = METRICS[metric].best({name: models[name][part][metric] for name in rivals})
    known = {"bayes": bayes} if bayes else {}
    return {"models": models, "best": best, "best_by": f"{part}/{metric}"} | known


def ranked(metrics: Mapping[str, Any]) -> list[str]:
    """Return the models' names, the best first, by the metric and the part that decide.

    Parameters
    ----------
    metrics : mapping
        What `metrics/<competition>.json` holds.
    """
    part, metric = metrics["best_by"].split("/")
    values = {name: each[part][metric] for name, each in metrics["models"].items() if part in each}
    return METRICS[metric].ranked(values)


def ended(found: Mapping[str, Any]) -> str:
    """Say why and when a model's training ended; "" for one that was fitted in one piece."""
    return f"{found['stopped']} at {found['iterations']}" if "stopped" in found else ""


def leaderboard(metrics: dict[str, Any]) -> pd.DataFrame:
    """Return one row a model, the best first, and the Bayes rule last.

    Parameters
    ----------
    metrics : dict
        As `evaluate` returns them.
    """
    named = {name: metrics["models"][name] for name in ranked(metrics)}
    if "bayes" in metrics:
        named["bayes"] = metrics["bayes"]
    flat = {
        model: {
            f"{part}_{name}": value
            for part in PARTS
            if part in values
            for name, value in values[part].items()
        }
        for model, values in named.items()
    }
    return pd.DataFrame.from_dict(flat, orient="index").rename_axis("model").reset_index()


def read_trainings(folders: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """Read what ended each net's training, and when."""
    return {
        name: json.loads((own / "training.json").read_text(encoding="utf-8"))
        for name, own in folders.items()
    }


def side_by_side(curves: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the validation losses of all nets by iteration, one column a net."""
    losses = {name: c.set_index("iteration").validation_loss for name, c in curves.items()}
    return pd.DataFrame(losses).reset_index()


def learning_curves(files: Mapping[str, Path]) -> pd.DataFrame | None:
    """Return the learning curves of models, in rows model, n_train, score; None without any."""
    found = [
        pd.read_csv(file).assign(model=name)[["model", "n_train", "score"]]
        for name, file in files.items()
        if file.exists()
    ]
    return pd.concat(found) if found else None


def trained(folders: Iterable[Path]) -> dict[str, Path]:
    """Return the folders of nets, by name: those that left a curve."""
    return {folder.name: folder for folder in folders if (folder / "curve.csv").exists()}
