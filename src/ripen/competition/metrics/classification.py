"""Metrics of one class a row: by its label, or by the probability of each class."""

import numpy as np
from numpy.typing import NDArray

from ripen.competition.metrics import CLASSES, LABELS, Clip, PerRow, each_of, metric, weights_of
from ripen.settings.typed import NonNegative, Positive

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float64]
NAN = float("nan")
EPSILON = float(np.finfo(np.float64).eps)  # where scikit-learn clips


@metric("accuracy", "accuracy", "label", greater_is_better=True, tasks=CLASSES)
def accuracy(labels: Labels, predicted: Labels) -> float:
    """Return the share of rows whose class is right.

    Source: scikit-learn, `accuracy_score`.
    """
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(labels, predicted))


@metric("balanced_accuracy", "balanced accuracy", "label", greater_is_better=True, tasks=CLASSES)
def balanced_accuracy(labels: Labels, predicted: Labels) -> float:
    """Return the mean over the classes that occur of the share of each that is found.

    Source: scikit-learn, `balanced_accuracy_score`.
    """
    from sklearn.metrics import recall_score

    # The same as balanced_accuracy_score, which warns of classes that occur in predictions alone.
    found = recall_score(labels, predicted, labels=np.unique(labels), average="macro")
    return float(found)


@metric("log_loss", "log loss", "probability", greater_is_better=False, tasks=CLASSES + LABELS)
def log_loss(labels: Labels, probabilities: Probabilities, *, clip: Clip = EPSILON) -> float:
    """Return the mean negative log probability of what is true, in nats.

    Rows of class probabilities are scaled to the sum 1, then all are clipped to [clip, 1 - clip].
    Of several labels it is the mean over all of them: the mean column-wise log loss. The default is
    scikit-learn's clip, 2.2e-16; older competitions of Kaggle's clip at 1e-15, as in
    `metric: {metric: log_loss, clip: 1.0e-15}`.

    Source: scikit-learn, `log_loss`; Kaggle, `otto-group-product-classification-challenge`.
    """
    clipped = np.clip(probabilities, clip, 1 - clip)
    if labels.ndim > 1:
        return float(-np.mean(np.log(np.where(labels == 1, clipped, 1 - clipped))))
    # As scikit-learn's, without its checks, which take far longer, and with a clip.
    return float(-np.mean(np.log(clipped[np.arange(len(labels)), labels])))


@metric("brier", "Brier score", "probability", greater_is_better=False, tasks=CLASSES)
def brier(labels: Labels, probabilities: Probabilities) -> float:
    """Return the mean squared error of the probabilities.

    Of two classes that of the second one's, from 0 to 1; of more the sum over classes, to 2.

    Source: Brier, 1950; scikit-learn, `brier_score_loss`.
    """
    from sklearn.metrics import brier_score_loss

    classes = np.arange(probabilities.shape[1])
    ranked = probabilities[:, 1] if len(classes) == 2 else probabilities
    return float(brier_score_loss(labels, ranked, labels=classes))


@metric("roc_auc", "AUC", "probability", greater_is_better=True, tasks=CLASSES)
def roc_auc(labels: Labels, probabilities: Probabilities) -> float:
    """Return the area under the ROC curve, one class against the rest, the mean over classes.

    Classes that do not occur do not count. Not defined where only one class is present.

    Source: scikit-learn, `roc_auc_score` with `multi_class="ovr"`, which needs every class.
    """
    from sklearn.metrics import roc_auc_score

    present = np.unique(labels)
    if len(present) < 2:
        return NAN
    # No curve can be drawn of an absent class, and scikit-learn's mean is over all of them.
    return float(np.mean([roc_auc_score(labels == k, probabilities[:, k]) for k in present]))


@metric(
    "normalized_gini", "normalized Gini", "probability", greater_is_better=True, tasks=("binary",)
)
def normalized_gini(labels: Labels, probabilities: Probabilities) -> float:
    """Return 2 AUC - 1: the Gini coefficient of the ranking, by that of a perfect one.

    Kaggle's code takes rows of equal probability in the file's order. Here each of them counts
    half, so that the order of rows changes nothing; without such rows both are the same.

    Source: Kaggle, `porto-seguro-safe-driver-prediction`.
    """
    return 2 * roc_auc(labels, probabilities) - 1


@metric(
    "average_precision",
    "average precision",
    "probability",
    greater_is_better=True,
    tasks=("binary",),
)
def average_precision(labels: Labels, probabilities: Probabilities) -> float:
    """Return the mean precision over the rows of the second class, ranked by its probability.

    Not defined without such a row.

    Source: scikit-learn, `average_precision_score`.
    """
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(labels, probabilities[:, 1])) if labels.any() else NAN


@metric("mcc", "Matthews correlation", "label", greater_is_better=True, tasks=CLASSES)
def mcc(labels: Labels, predicted: Labels) -> float:
    """Return the correlation of true and predicted classes; 0 where one of them is constant.

    Source: Matthews, 1975; Gorodkin, 2004; scikit-learn, `matthews_corrcoef`.
    """
    from sklearn.metrics import matthews_corrcoef

    if np.unique(np.concatenate([labels, predicted])).size < 2:  # of which scikit-learn warns
        return 0.0
    return float(matthews_corrcoef(labels, predicted))


@metric(
    "quadratic_weighted_kappa",
    "quadratic weighted kappa",
    "label",
    greater_is_better=True,
    tasks=CLASSES,
)
def quadratic_weighted_kappa(labels: Labels, predicted: Labels) -> float:
    """Return the agreement beyond chance, disagreement weighted by the squared distance of classes.

    The distance is that of the classes' places in their order. Not defined where all rows are and
    are predicted to be of one class.

    Source: Cohen, 1968; scikit-learn, `cohen_kappa_score` with `weights="quadratic"` and the
    classes that do not occur among its `labels`; Kaggle, `aptos2019-blindness-detection`.
    """
    from sklearn.metrics import cohen_kappa_score

    both = np.concatenate([labels, predicted])
    if both.min() == both.max():
        return NAN
    # Without labels scikit-learn numbers only classes that occur, which moves them together.
    classes = np.arange(both.max() + 1)
    return float(cohen_kappa_score(labels, predicted, labels=classes, weights="quadratic"))


# --- F, Jaccard, Dice ----------------------------------------------------------------------------


def _f(labels: Labels, predicted: Labels, average: str, beta: float = 1.0) -> float:
    from sklearn.metrics import fbeta_score

    return float(fbeta_score(labels, predicted, beta=beta, average=average, zero_division=0))


@metric("f1", "F1", "label", greater_is_better=True, tasks=("binary",))
def f1(labels: Labels, predicted: Labels) -> float:
    """Return the harmonic mean of precision and recall of the second class; 0 if none is right.

    Source: scikit-learn, `f1_score`.
    """
    return _f(labels, predicted, "binary")


@metric("f1_micro", "F1, micro", "label", greater_is_better=True, tasks=CLASSES + LABELS)
def f1_micro(labels: Labels, predicted: Labels) -> float:
    """Return F1 of the counts of all classes together: with one class a row, the accuracy.

    Source: scikit-learn, `f1_score` with `average="micro"`.
    """
    return _f(labels, predicted, "micro")


@metric("f1_macro", "F1, macro", "label", greater_is_better=True, tasks=CLASSES + LABELS)
def f1_macro(labels: Labels, predicted: Labels) -> float:
    """Return the mean over classes of F1; over those that occur or are predicted.

    Source: scikit-learn, `f1_score` with `average="macro"`; Kaggle,
    `human-protein-atlas-image-classification`.
    """
    return _f(labels, predicted, "macro")


@metric("f1_weighted", "F1, weighted", "label", greater_is_better=True, tasks=CLASSES + LABELS)
def f1_weighted(labels: Labels, predicted: Labels) -> float:
    """Return the mean over classes of F1, weighted by their numbers of rows.

    Source: scikit-learn, `f1_score` with `average="weighted"`.
    """
    return _f(labels, predicted, "weighted")


@metric("f_beta", "F-beta", "label", greater_is_better=True, tasks=("binary",))
def f_beta(labels: Labels, predicted: Labels, *, beta: Positive = 1.0) -> float:
    """Return F of the second class, recall counting beta times as much as precision.

    Source: scikit-learn, `fbeta_score`.
    """
    return _f(labels, predicted, "binary", beta)


@metric("f_beta_macro", "F-beta, macro", "label", greater_is_better=True, tasks=CLASSES + LABELS)
def f_beta_macro(labels: Labels, predicted: Labels, *, beta: Positive = 1.0) -> float:
    """Return the mean over classes of F-beta.

    Source: scikit-learn, `fbeta_score` with `average="macro"`.
    """
    return _f(labels, predicted, "macro", beta)


@metric("jaccard", "Jaccard", "label", greater_is_better=True, tasks=CLASSES)
def jaccard(labels: Labels, predicted: Labels) -> float:
    """Return the intersection by the union of the rows that are and are predicted to be of a class.

    Of two classes that of the second one, of more the mean over those that occur or are predicted.

    Source: scikit-learn, `jaccard_score`, "binary" where labels are 0 and 1, else "macro".
    """
    from sklearn.metrics import jaccard_score

    binary = max(labels.max(), predicted.max()) < 2
    average = "binary" if binary else "macro"
    return float(jaccard_score(labels, predicted, average=average, zero_division=0))


@metric("dice", "Dice", "label", greater_is_better=True, tasks=("binary",))
def dice(labels: Labels, predicted: Labels) -> float:
    """Return 2 |X ∩ Y| / (|X| + |Y|) of true and predicted rows of the second class.

    It is their F1, except that it is 1 where there are none.

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
    clip: Clip = 1e-15,
) -> float:
    """Return the weighted mean over classes of each one's mean log loss.

    Each class is the mean over its own rows, so that without `weights` all count alike; `weights`
    are those of the classes in their order, and `weight` a column of the rows' own.

    Source: Kaggle, `PLAsTiCC-2018`; The PLAsTiCC Team, arXiv:1809.11145, equation 2.
    """
    right = np.clip(probabilities, clip, 1 - clip)[np.arange(len(labels)), labels]
    rows = np.ones(len(labels)) if weight is None else weights_of(weight)
    present = np.unique(labels[rows > 0])
    means = [np.average(-np.log(right[labels == k]), weights=rows[labels == k]) for k in present]
    given = each_of(weights, probabilities.shape[1])[present]
    return float(np.average(means, weights=given)) if given.any() else NAN
