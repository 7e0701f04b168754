"""How good probabilities are: the numbers of `metrics/<competition>.json`."""

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    log_loss,
    roc_auc_score,
    top_k_accuracy_score,
)

DECIMALS = 4  # what survives another processor's last bits
TOP = 5


def scores(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> dict[str, float]:
    """Score a model's probabilities.

    Parameters
    ----------
    labels : ndarray of shape (n,)
        Classes, 0 … classes - 1.
    probabilities : ndarray of shape (n, classes)

    Returns
    -------
    dict
        ``n`` (rows), ``accuracy``, ``top5`` (where there are more than 5 classes: the share whose
        class is among the five most probable), ``log_loss`` (nats), ``roc_auc`` (one against the
        rest, mean over the classes that are there; absent where there is but one) and ``brier``
        (Brier, 1950), rounded to 4 decimals.
    """
    classes = np.arange(probabilities.shape[1])
    probabilities = normalised(probabilities)
    ranked = probabilities[:, 1] if len(classes) == 2 else probabilities
    values = {"accuracy": accuracy_score(labels, probabilities.argmax(axis=1))}
    if len(classes) > TOP:
        values["top5"] = top_k_accuracy_score(labels, probabilities, k=TOP, labels=classes)
    values["log_loss"] = log_loss(labels, probabilities, labels=classes)
    present = np.unique(labels)
    if len(present) > 1:
        # Of a class that is not there no curve can be drawn, and scikit-learn's mean is over all.
        areas = [roc_auc_score(labels == k, probabilities[:, k]) for k in present]
        values["roc_auc"] = np.mean(areas)
    values["brier"] = brier_score_loss(labels, ranked, labels=classes)
    return {"n": len(labels)} | {name: round(float(v), DECIMALS) for name, v in values.items()}


def normalised(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make rows sum to 1: float32 softmax does only nearly, and log_loss wants it exactly."""
    return np.asarray(probabilities / probabilities.sum(axis=1, keepdims=True))
