"""Two models of four rows of two classes, and what `ripen.judge.scoring` says of them."""

from typing import Any

import numpy as np

from ripen.competition.metrics import METRICS, scores
from ripen.competition.scorer import Scorer
from ripen.competition.tasks import TASKS
from ripen.judge import scoring
from ripen.judge.scoring import Scored

LABELS = np.array([0, 1, 1, 0])
BINARY = TASKS["binary"]


def evaluate(*arguments: Any, metric: str = "log_loss") -> dict[str, Any]:
    return scoring.evaluate(*arguments, BINARY, Scorer(METRICS[metric], LABELS, {}))


def binary_scores(one: Scored, metric: str = "log_loss") -> dict[str, float]:
    """Return what is reported of a model: the task's metrics, and its score by the metric."""
    found = scores(BINARY.metrics, one.targets, one.outputs)
    scorer = Scorer(METRICS[metric], LABELS, {})
    return found | scoring.score_and_error(one, scorer)


def scored(model: str, part: str, ripe: list[float]) -> Scored:
    return Scored(model, part, np.arange(4), LABELS, np.stack([1 - np.array(ripe), ripe], axis=1))


SVM = [scored("svm", part, [0.3, 0.7, 0.8, 0.4]) for part in ("validation", "test")]
NET = [scored("net", part, [0.1, 0.9, 0.9, 0.2]) for part in ("validation", "test")]
TRAINING = {"stopped": "converged", "iterations": 700, "best_iteration": 600}
