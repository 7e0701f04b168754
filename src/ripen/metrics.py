"""How good probabilities are: the numbers of `metrics/<competition>.json`."""

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, roc_auc_score

DECIMALS = 4  # what survives another processor's last bits


def scores(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> dict[str, float]:
    """Score a model's probabilities.

    Parameters
    ----------
    labels : ndarray of shape (n,)
        Classes, 0 … classes - 1, every one of them present.
    probabilities : ndarray of shape (n, classes)

    Returns
    -------
    dict
        ``accuracy``, ``log_loss`` (nats), ``roc_auc`` (one against the rest, mean over classes)
        and ``brier`` (Brier, 1950), rounded to 4 decimals.
    """
    classes = np.arange(probabilities.shape[1])
    # float32 softmax sums to 1 only nearly, and log_loss wants it exactly.
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    ranked = probabilities[:, 1] if len(classes) == 2 else probabilities
    values = {
        "accuracy": accuracy_score(labels, probabilities.argmax(axis=1)),
        "log_loss": log_loss(labels, probabilities, labels=classes),
        "roc_auc": roc_auc_score(labels, ranked, multi_class="ovr", labels=classes),
        "brier": brier_score_loss(labels, ranked, labels=classes),
    }
    return {name: round(float(value), DECIMALS) for name, value in values.items()}
