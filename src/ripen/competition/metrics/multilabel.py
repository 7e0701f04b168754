"""Metrics of several labels a row: k columns of 0 and 1, each with a probability of its own."""

import numpy as np
from numpy.typing import NDArray

from ripen.competition.metrics import EPSILON, LABELS, Clip, PerRow, each_of, metric, weights_of
from ripen.settings.typed import NonNegative, Positive

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float64]


@metric(
    "mean_column_auc",
    "mean column-wise AUC",
    "probability",
    greater_is_better=True,
    tasks=LABELS,
    ranks=True,
)
def mean_column_auc(truth: Labels, probabilities: Probabilities) -> float:
    """Return the mean area under the ROC curve over labels.

    Labels with the same value in all rows are left out.

    Source: scikit-learn, `roc_auc_score` with `average="macro"`, which needs both values of every
    label; Kaggle, `jigsaw-toxic-comment-classification-challenge`.
    """
    from sklearn.metrics import roc_auc_score

    both = [k for k in range(truth.shape[1]) if len(np.unique(truth[:, k])) == 2]
    found = [roc_auc_score(truth[:, k], probabilities[:, k]) for k in both]
    return float(np.mean(found)) if found else float("nan")


@metric(
    "mean_column_average_precision",
    "mean column-wise average precision",
    "probability",
    greater_is_better=True,
    tasks=LABELS,
    ranks=True,
)
def mean_column_average_precision(truth: Labels, probabilities: Probabilities) -> float:
    """Return the mean average precision over the labels that occur.

    Source: scikit-learn, `average_precision_score` with `average="macro"`, which counts labels that
    do not occur as 0.
    """
    from sklearn.metrics import average_precision_score

    found = [
        average_precision_score(truth[:, k], probabilities[:, k])
        for k in range(truth.shape[1])
        if truth[:, k].any()
    ]
    return float(np.mean(found)) if found else float("nan")


@metric(
    "weighted_multilabel_log_loss",
    "weighted multi-label log loss",
    "probability",
    greater_is_better=False,
    tasks=LABELS,
)
def weighted_multilabel_log_loss(
    truth: Labels,
    probabilities: Probabilities,
    *,
    weights: list[NonNegative] | None = None,
    positive: list[NonNegative] | None = None,
    weight: PerRow | None = None,
    clip: Clip = EPSILON,
) -> float:
    """Return the weighted mean log loss over all rows and labels, in nats.

    The weight of an entry is a product: the weight of its label, from `weights` in the labels'
    order; where the entry is 1, the label's weight from `positive`; and that of its row, from the
    column `weight`.

    Source: Kaggle, `rsna-intracranial-hemorrhage-detection` (weights 2 for "any" and 1),
    `rsna-2022-cervical-spine-fracture-detection` (weights and positive).
    """
    k = truth.shape[1]
    clipped = np.clip(probabilities, clip, 1 - clip)
    loss = -np.log(np.where(truth == 1, clipped, 1 - clipped))
    each = each_of(weights, k) * np.where(truth == 1, each_of(positive, k), 1)
    if weight is not None:
        each = each * weights_of(weight)[:, None]
    return float(np.average(loss, weights=each)) if each.any() else float("nan")


@metric("f1_samples", "F1, mean over rows", "label", greater_is_better=True, tasks=LABELS)
def f1_samples(truth: Labels, predicted: Labels) -> float:
    """Return the mean over rows of the F1 of a row's labels; 0 for a row without a hit.

    Source: scikit-learn, `f1_score` with `average="samples"`; Kaggle,
    `instacart-market-basket-analysis`.
    """
    return f_beta_samples(truth, predicted)


@metric("f_beta_samples", "F-beta, mean over rows", "label", greater_is_better=True, tasks=LABELS)
def f_beta_samples(truth: Labels, predicted: Labels, *, beta: Positive = 1.0) -> float:
    """Return the mean over rows of the F-beta of a row's labels; 0 for a row without a hit.

    Source: scikit-learn, `fbeta_score` with `average="samples"`; Kaggle,
    `planet-understanding-the-amazon-from-space` (beta 2).
    """
    from sklearn.metrics import fbeta_score

    return float(fbeta_score(truth, predicted, beta=beta, average="samples", zero_division=0))


@metric("jaccard_samples", "Jaccard, mean over rows", "label", greater_is_better=True, tasks=LABELS)
def jaccard_samples(truth: Labels, predicted: Labels) -> float:
    """Return the mean over rows of the intersection over union of true and predicted labels.

    Source: scikit-learn, `jaccard_score` with `average="samples"`.
    """
    from sklearn.metrics import jaccard_score

    return float(jaccard_score(truth, predicted, average="samples", zero_division=0))


@metric("dice_samples", "Dice, mean over rows", "label", greater_is_better=True, tasks=LABELS)
def dice_samples(truth: Labels, predicted: Labels) -> float:
    """Return the mean over rows of 2 |X ∩ Y| / (|X| + |Y|); 1 where both are empty.

    Source: Dice, 1945; Kaggle, `carvana-image-masking-challenge`, of a row's pixels.
    """
    either = truth.sum(axis=1) + predicted.sum(axis=1)
    both = 2 * (truth * predicted).sum(axis=1)
    return float(np.mean(np.divide(both, either, out=np.ones(len(either)), where=either > 0)))


@metric("exact_match", "exact match", "label", greater_is_better=True, tasks=LABELS)
def exact_match(truth: Labels, predicted: Labels) -> float:
    """Return the share of rows with all labels right.

    Source: scikit-learn, `accuracy_score` of several labels.
    """
    return float(np.mean((truth == predicted).all(axis=1)))


@metric("hamming_loss", "Hamming loss", "label", greater_is_better=False, tasks=LABELS)
def hamming_loss(truth: Labels, predicted: Labels) -> float:
    """Return the share of labels that are wrong, over all rows.

    Source: scikit-learn, `hamming_loss`.
    """
    return float(np.mean(truth != predicted))


@metric("lwlrap", "lwlrap", "probability", greater_is_better=True, tasks=LABELS)
def lwlrap(truth: Labels, probabilities: Probabilities) -> float:
    """Return the label-weighted label-ranking average precision.

    It is the precision among the labels that rank at least as high as a true label, averaged over
    all true labels of all rows. Undefined without a true label.

    Source: Fonseca et al., arXiv:1906.02975; Kaggle, `freesound-audio-tagging-2019`; scikit-learn,
    `label_ranking_average_precision_score` weighted by the number of labels of a row.
    """
    from sklearn.metrics import label_ranking_average_precision_score

    count = truth.sum(axis=1)
    if not count.any():
        return float("nan")
    return float(label_ranking_average_precision_score(truth, probabilities, sample_weight=count))
