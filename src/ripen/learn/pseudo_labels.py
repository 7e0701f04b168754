"""Pseudo-labels: test rows that a model has labelled, and from which it learns once more.

The labels that a fold's model learns from are those of a model of the fold's own training rows, so
the rows that the fold holds out do not influence them, and the out-of-fold score stays honest. The
predictions of the model without pseudo-labels are kept beside the final ones: the difference is
what pseudo-labels bring (`ripen.judge.steps`).
"""

import numpy as np

from ripen.competition.index import WEIGHT, Index, Ints
from ripen.competition.splitters import splitter
from ripen.competition.tasks import TASKS
from ripen.core.errors import ConfigError
from ripen.core.registry import nearest
from ripen.learn.estimator import Outputs, estimator
from ripen.settings.schema import Competition, PseudoLabels

BEFORE = "before_pseudo_labels.csv"
"""Out-of-fold predictions of a model before it learnt from pseudo-labels, beside its own."""


def of(competition: Competition, model: str) -> PseudoLabels | None:
    """Return how a model learns from pseudo-labels; None where it does not."""
    own = competition.pseudo_labels
    if own is None or model not in (own.models or _learning(competition)):
        return None
    return own


def check(competition: Competition, where: str) -> None:
    """Check the settings of pseudo-labels.

    Raises
    ------
    ConfigError
        If the task or the split takes none, or a model that is named does not exist or does not
        learn.
    """
    own = competition.pseudo_labels
    if own is None:
        return
    task, split = TASKS[competition.task], splitter(competition.validation)
    if task.probabilities and not task.classifies:
        raise ConfigError(
            f"{where}: pseudo_labels: a row of task '{task.name}' has several labels, and a model "
            "is rarely sure of all of them. Set it to null"
        )
    if split.in_time:
        raise ConfigError(
            f"{where}: pseudo_labels: test rows are later than the rows held out, and in a split "
            "by time no model may know what comes later. Set it to null"
        )
    able = _learning(competition)
    for name in own.models or ():
        if name not in able:
            reason = "learns nothing" if name in competition.models else "is not in models"
            raise ConfigError(
                f"{where}: pseudo_labels.models names '{name}', which {reason}{nearest(name, able)}"
            )


def labelled(
    index: Index, train: Ints, rows: Ints, outputs: Outputs, settings: PseudoLabels
) -> tuple[Index, Ints]:
    """Give test rows the targets that a model predicts, whatever the index knows of them.

    Parameters
    ----------
    index : Index
    train : int64 ndarray
        Rows that the model has learnt from.
    rows : int64 ndarray of shape (n,)
        Test rows.
    outputs : ndarray of shape (n, k)
        The model's, for these.
    settings : PseudoLabels

    Returns
    -------
    Index, int64 ndarray
        The index with these targets, and the rows that the model is sure of: of a regression all.
    """
    if index.task.classifies:
        sure = outputs.max(axis=1) >= settings.confidence
        rows = rows[sure]
        targets = [index.classes[label] for label in outputs[sure].argmax(axis=1)]
    else:
        targets = [" ".join(map(repr, values)) for values in outputs.astype(np.float64).tolist()]
    column = index.rows["target"].to_numpy(object).copy()
    column[rows] = targets
    weight = index.weight
    if settings.weight < 1 or weight is not None:
        weight = np.ones(len(index.rows)) if weight is None else weight.copy()
        weight[rows] = settings.weight * weight[train].mean()
    found = index.rows.assign(target=column, **({} if weight is None else {WEIGHT: weight}))
    return Index(found, index.task, index.classes, index.names), rows


def _learning(competition: Competition) -> list[str]:
    """Return the models that learn."""
    return [
        name
        for name, section in competition.models.items()
        if estimator(section, f"models.{name}").learns
    ]
