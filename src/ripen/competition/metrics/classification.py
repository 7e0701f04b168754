"""Metrics of classes, by scikit-learn."""

import numpy as np
from numpy.typing import NDArray

from ripen.competition.metrics import metric

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float64]
TOP = 5


@metric("accuracy", "accuracy", "label", greater_is_better=True)
def accuracy(labels: Labels, predicted: NDArray[np.float64]) -> float:
    """Return the share of rows whose class is right."""
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(labels, predicted.astype(np.int64)))


@metric("top5", "top 5", "probability", greater_is_better=True)
def top5(labels: Labels, probabilities: Probabilities) -> float:
    """Return the share of rows whose class is among the five most probable.

    Not defined for five classes or fewer, where it would always be 1.
    """
    from sklearn.metrics import top_k_accuracy_score

    classes = np.arange(probabilities.shape[1])
    if len(classes) <= TOP:
        return float("nan")
    return float(top_k_accuracy_score(labels, probabilities, k=TOP, labels=classes))


@metric("log_loss", "log loss", "probability", greater_is_better=False)
def log_loss(labels: Labels, probabilities: Probabilities) -> float:
    """Return the mean negative log probability of the right class, in nats."""
    from sklearn import metrics

    classes = np.arange(probabilities.shape[1])
    return float(metrics.log_loss(labels, probabilities, labels=classes))


@metric("roc_auc", "AUC", "probability", greater_is_better=True)
def roc_auc(labels: Labels, probabilities: Probabilities) -> float:
    """Return the area under the ROC curve, one class against the rest, the mean over classes.

    Not defined where only one class is present.
    """
    from sklearn.metrics import roc_auc_score

    present = np.unique(labels)
    if len(present) < 2:
        return float("nan")
    # No curve can be drawn of an absent class, and scikit-learn's mean is over all of them.
    return float(np.mean([roc_auc_score(labels == k, probabilities[:, k]) for k in present]))


@metric("brier", "Brier score", "probability", greater_is_better=False)
def brier(labels: Labels, probabilities: Probabilities) -> float:
    """Return the mean squared error of the probabilities (Brier, 1950)."""
    from sklearn.metrics import brier_score_loss

    classes = np.arange(probabilities.shape[1])
    ranked = probabilities[:, 1] if len(classes) == 2 else probabilities
    return float(brier_score_loss(labels, ranked, labels=classes))
