"""The numbers: what `metrics/<competition>.json` holds, and the tables that are made of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ripen.competition.metrics import DECIMALS, scores
from ripen.judge.evaluation.scored import Scored, main_part

PARTS = ("validation", "test")


def evaluate(
    scored: list[Scored],
    trainings: Mapping[str, dict[str, Any]],
    bayes: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return what `metrics/<competition>.json` holds.

    Parameters
    ----------
    scored : list of Scored
        Every model on every part whose labels are known.
    trainings : mapping of str to dict
        What ended the training of each net, and when.
    bayes : dict or None
        Scores of the best possible rule, where it is known.

    Returns
    -------
    dict
        ``models`` by name and part; ``best``, of the models that were scored on the most rows the
        one of the lowest log loss; ``best_by``, on which part; ``bayes``.
    """
    models: dict[str, dict[str, Any]] = {}
    for one in scored:
        models.setdefault(one.model, {})[one.part] = scores(one.labels, one.probabilities)
    for name, values in trainings.items():
        models[name] |= values
    part = main_part(scored)
    most = max(values[part]["n"] for values in models.values() if part in values)
    rivals = [name for name, v in models.items() if part in v and v[part]["n"] == most]
    best = min(rivals, key=lambda name: models[name][part]["log_loss"])
    known = {"bayes": bayes} if bayes else {}
    return {"models": models, "best": best, "best_by": f"{part}/log_loss"} | known


def leaderboard(metrics: dict[str, Any], cross_validation: Path) -> pd.DataFrame:
    """Return one row a model, the lowest log loss first, and the Bayes rule last.

    Parameters
    ----------
    metrics : dict
        As `evaluate` returns them.
    cross_validation : Path
        A table by model, whose columns are added where the file is there.
    """
    bayes = {"bayes": metrics["bayes"]} if "bayes" in metrics else {}
    flat = {
        model: {
            f"{part}_{name}": value
            for part in PARTS
            if part in values
            for name, value in values[part].items()
        }
        for model, values in (metrics["models"] | bayes).items()
    }
    table = pd.DataFrame.from_dict(flat, orient="index")
    if cross_validation.exists():
        crossed = pd.read_csv(cross_validation, index_col="model")
        table = table.join(crossed.add_prefix("cross_validation_").round(DECIMALS))
    by = metrics["best_by"].replace("/", "_")
    return table.sort_values(by, kind="stable").rename_axis("model").reset_index()


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


def learning_curves(*files: Path) -> pd.DataFrame | None:
    """Return the rows of the learning curves that are there; None where there is none."""
    found = [table for file in files if file.exists() and len(table := pd.read_csv(file))]
    return pd.concat(found) if found else None
