"""Metrics of one class a row: by its label, or by the probability of each class."""

import numpy as np
from numpy.typing import NDArray

from ripen.competition.metrics import (
    CLASSES,
    EPSILON,
    LABELS,
    Clip,
    PerRow,
    each_of,
    metric,
    weights_of,
)
from ripen.settings.typed import NonNegative, Positive

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float64]
NAN = float("nan")


@metric("accuracy", "accuracy", "label", greater_is_better=True, tasks=CLASSES)
def accuracy(labels: Labels, predicted: Labels) -> float:
    """Return the share of rows with the right class.

    Source: scikit-learn, `accuracy_score`.
    """
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(labels, predicted))


@metric("balanced_accuracy", "balanced accuracy", "label", greater_is_better=True, tasks=CLASSES)
def balanced_accuracy(labels: Labels, predicted: Labels) -> float:
    """Return the mean recall over the classes that occur.

    Source: scikit-learn, `balanced_accuracy_score`.
    """
    from sklearn.metrics import recall_score

    # The same as balanced_accuracy_score, which warns of classes that are only predicted.
    found = recall_score(labels, predicted, labels=np.unique(labels), average="macro")
    return float(found)


@metric("log_loss", "log loss", "probability", greater_is_better=False, tasks=CLASSES + LABELS)
def log_loss(labels: Labels, probabilities: Probabilities, *, clip: Clip = EPSILON) -> float:
    """Return the mean negative log probability of the true class, in nats.

    Class probabilities of a row are scaled to sum to 1, then clipped to [clip, 1 - clip]. With
    several labels a row it is the mean over all labels, the mean column-wise log loss. The default
    clip is the one that Kaggle's pages state, 1e-15. Where a competition is scored by
    scikit-learn, which clips at 2.2e-16: `metric: {metric: log_loss, clip: 2.220446e-16}`.

    Source: scikit-learn, `log_loss`; Kaggle, `otto-group-product-classification-challenge`.
    """
    clipped = np.clip(probabilities, clip, 1 - clip)
    if labels.ndim > 1:
        return float(-np.mean(np.log(np.where(labels == 1, clipped, 1 - clipped))))
    # scikit-learn's log_loss has no clip, and its checks take far longer than this.
    return float(-np.mean(np.log(clipped[np.arange(len(labels)), labels])))


@metric("brier", "Brier score", "probability", greater_is_better=False, tasks=CLASSES)
def brier(labels: Labels, probabilities: Probabilities) -> float:
    """Return the mean squared error of the probabilities.

    With two classes it is that of the second one, from 0 to 1; with more it is the sum over
    classes, from 0 to 2.

    Source: Brier, 1950; scikit-learn, `brier_score_loss`.
    """
    from sklearn.metrics import brier_score_loss

    classes = np.arange(probabilities.shape[1])
    ranked = probabilities[:, 1] if len(classes) == 2 else probabilities
    return float(brier_score_loss(labels, ranked, labels=classes))


@metric("roc_auc", "AUC", "probability", greater_is_better=True, tasks=CLASSES, ranks=True)
def roc_auc(labels: Labels, probabilities: Probabilities) -> float:
    """Return the area under the ROC curve, one class against the rest, averaged over classes.

    Classes that do not occur are left out. Undefined if only one class occurs.

    Source: scikit-learn, `roc_auc_score` with `multi_class="ovr"`, which needs every class.
    """
    from sklearn.metrics import roc_auc_score

    present = np.unique(labels)
    if len(present) < 2:
        return NAN
    # An absent class has no curve, and scikit-learn would average over all classes.
    return float(np.mean([roc_auc_score(labels == k, probabilities[:, k]) for k in present]))


@metric(
    "normalized_gini",
    "normalized Gini",
    "probability",
    greater_is_better=True,
    tasks=("binary",),
    ranks=True,
)
def normalized_gini(labels: Labels, probabilities: Probabilities) -> float:
    """Return 2 AUC - 1: the Gini coefficient of the ranking, divided by that of a perfect one.

    Kaggle's code orders rows of equal probability as in the file. Here each such pair counts half,
    so the order of rows has no effect. Without ties both agree.

    Source: Kaggle, `porto-seguro-safe-driver-prediction`.
    """
    return 2 * roc_auc(labels, probabilities) - 1


@metric(
    "average_precision",
    "average precision",
    "probability",
    greater_is_better=True,
    tasks=("binary",),
    ranks=True,
)
def average_precision(labels: Labels, probabilities: Probabilities) -> float:
    """Return the precision at each row of the second class, ranked by its probability, averaged.

    Undefined without such a row.

    Source: scikit-learn, `average_precision_score`.
    """
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(labels, probabilities[:, 1])) if labels.any() else NAN


@metric("mcc", "Matthews correlation", "label", greater_is_better=True, tasks=CLASSES)
def mcc(labels: Labels, predicted: Labels) -> float:
    """Return the correlation of true and predicted classes; 0 if one of them is constant.

    Source: Matthews, 1975; Gorodkin, 2004; scikit-learn, `matthews_corrcoef`.
    """
    from sklearn.metrics import matthews_corrcoef

    if np.unique(np.concatenate([labels, predicted])).size < 2:  # scikit-learn would warn
        return 0.0
    return float(matthews_corrcoef(labels, predicted))


@metric(
    "quadratic_weighted_kappa",
    "quadratic weighted kappa",
    "label",
    greater_is_better=True,
    tasks=CLASSES,
    ordered=True,
)
def quadratic_weighted_kappa(labels: Labels, predicted: Labels) -> float:
    """Return the agreement beyond chance, with disagreement weighted by squared class distance.

    The distance counts places in the order of classes. Undefined if all rows have, and are
    predicted to have, the same class.

    Source: Cohen, 1968; scikit-learn, `cohen_kappa_score` with `weights="quadratic"` and the
    classes that do not occur among its `labels`; Kaggle, `aptos2019-blindness-detection`.
    """
    from sklearn.metrics import cohen_kappa_score

    both = np.concatenate([labels, predicted])
    if both.min() == both.max():
        return NAN
    # Without `labels` scikit-learn numbers only the classes that occur, which shrinks distances.
    classes = np.arange(both.max() + 1)
    return float(cohen_kappa_score(labels, predicted, labels=classes, weights="quadratic"))


# --- F, Jaccard, Dice ----------------------------------------------------------------------------


def _f(labels: Labels, predicted: Labels, average: str, beta: float = 1.0) -> float:
    from sklearn.metrics import fbeta_score

    return float(fbeta_score(labels, predicted, beta=beta, average=average, zero_division=0))


@metric("f1", "F1", "label", greater_is_better=True, tasks=("binary",))
def f1(labels: Labels, predicted: Labels) -> float:
    """Return the harmonic mean of precision and recall of the second class; 0 if it has no hit.

    Source: scikit-learn, `f1_score`.
    """
    return _f(labels, predicted, "binary")


@metric("f1_micro", "F1, micro", "label", greater_is_better=True, tasks=CLASSES + LABELS)
def f1_micro(labels: Labels, predicted: Labels) -> float:
    """Return F1 of the counts pooled over classes: with one class a row, the accuracy.

    Source: scikit-learn, `f1_score` with `average="micro"`.
    """
    return _f(labels, predicted, "micro")


@metric("f1_macro", "F1, macro", "label", greater_is_better=True, tasks=CLASSES + LABELS)
def f1_macro(labels: Labels, predicted: Labels) -> float:
    """Return the mean F1 over the classes that occur or are predicted.

    Source: scikit-learn, `f1_score` with `average="macro"`; Kaggle,
    `human-protein-atlas-image-classification`.
    """
    return _f(labels, predicted, "macro")


@metric("f1_weighted", "F1, weighted", "label", greater_is_better=True, tasks=CLASSES + LABELS)
def f1_weighted(labels: Labels, predicted: Labels) -> float:
    """Return the mean F1 over classes, weighted by their numbers of rows.

    Source: scikit-learn, `f1_score` with `average="weighted"`.
    """
    return _f(labels, predicted, "weighted")


@metric("f_beta", "F-beta", "label", greater_is_better=True, tasks=("binary",))
def f_beta(labels: Labels, predicted: Labels, *, beta: Positive = 1.0) -> float:
    """Return the F score of the second class, recall weighted beta times as much as precision.

    Source: scikit-learn, `fbeta_score`.
    """
    return _f(labels, predicted, "binary", beta)


@metric("f_beta_macro", "F-beta, macro", "label", greater_is_better=True, tasks=CLASSES + LABELS)
def f_beta_macro(labels: Labels, predicted: Labels, *, beta: Positive = 1.0) -> float:
    """Return the mean F-beta over classes.

    Source: scikit-learn, `fbeta_score` with `average="macro"`.
    """
    return _f(labels, predicted, "macro", beta)


@metric("jaccard", "Jaccard", "label", greater_is_better=True, tasks=CLASSES)
def jaccard(labels: Labels, predicted: Labels) -> float:
    """Return the intersection over union of the true and the predicted rows of a class.

    With two classes it is that of the second one, with more the mean over those that occur or are
    predicted.

    Source: scikit-learn, `jaccard_score`, "binary" where labels are 0 and 1, else "macro".
    """
    from sklearn.metrics import jaccard_score

    binary = max(labels.max(), predicted.max()) < 2
    average = "binary" if binary else "macro"
    return float(jaccard_score(labels, predicted, average=average, zero_division=0))


@metric("dice", "Dice", "label", greater_is_better=True, tasks=("binary",))
def dice(labels: Labels, predicted: Labels) -> float:
    """Return 2 |X ∩ Y| / (|X| + |Y|) of true and predicted rows of the second class.

    It equals F1, except that it is 1 if there are no such rows.

    Source: Dice, 1945; Kaggle, `carvana-image-masking-challenge`.
    """
    either = labels.sum() + predicted.sum()
    return float(2 * (labels * predicted).sum() / either) if either else 1.0


@metric(
    "weighted_log_loss",
    "weighted log loss",
    "probability",
    greater_is_better=False,
    tasks=CLASSES,
)
def weighted_log_loss(
    labels: Labels,
    probabilities: Probabilities,
    *,
    weights: list[NonNegative] | None = None,
    weight: PerRow | None = None,
    clip: Clip = EPSILON,
) -> float:
    """Return the weighted mean over classes of the mean log loss of each.

    The loss of a class is the mean over its own rows, so without `weights` all classes count alike.
    `weights` lists the classes' weights in their order; `weight` names a column of row weights.

    Source: Kaggle, `PLAsTiCC-2018`; The PLAsTiCC Team, arXiv:1809.11145, equation 2.
    """
    right = np.clip(probabilities, clip, 1 - clip)[np.arange(len(labels)), labels]
    rows = np.ones(len(labels)) if weight is None else weights_of(weight)
    present = np.unique(labels[rows > 0])
    means = [np.average(-np.log(right[labels == k]), weights=rows[labels == k]) for k in present]
    given = each_of(weights, probabilities.shape[1])[present]
    return float(np.average(means, weights=given)) if given.any() else NAN
