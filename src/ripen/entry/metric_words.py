"""Kaggle's words for a metric, and the metrics of the registry."""

import re
from html import unescape

from ripen.competition.metrics import METRICS

# The phrase that comes first in a text wins; of several at the same place, the first one here.
# Phrases are in lower case, with blanks for punctuation.
WORDS = {
    r"weighted.{0,80}(multi ?label|column).{0,80}log": "weighted_multilabel_log_loss",
    r"column ?wise.{0,80}(area under|auc|roc)": "mean_column_auc",
    r"column ?wise.{0,80}(logarithm|rmsle)|mcrmsle": "mean_column_rmsle",
    r"column ?wise.{0,80}(root|rmse)|mcrmse": "mean_column_rmse",
    r"(root|rms).{0,80}(logarithm|\blog\b)|rmsle": "rmsle",
    r"root mean square percentage|rmspe": "rmspe",
    r"root mean squared?( error)?|rmse": "rmse",
    r"symmetric mean absolute percentage|smape": "smape",
    r"mean absolute percentage|\bmape\b": "mape",
    r"median absolute": "median_ae",
    r"log mae|logarithm of the mean absolute": "log_mae_by_group",
    r"mean absolute error|\bmae\b": "mae",
    r"quadratic weighted kappa|\bqwk\b|kappa": "quadratic_weighted_kappa",
    r"matthews|\bmcc\b": "mcc",
    r"label ranking average precision|lwlrap": "lwlrap",
    r"mean average precision (k|\d)|\bmap k?\d*\b|map ?at ?\d|\bmap\b": "map_at_k",
    r"average precision|area under the precision": "average_precision",
    r"ndcg|normalized discounted": "ndcg_at_k",
    r"gini": "normalized_gini",
    r"area under|\bauc\b|\broc\b": "roc_auc",
    r"multi ?class(ification)? loss|log(arithmic)? ?loss|cross entropy": "log_loss",
    r"balanced accuracy": "balanced_accuracy",
    r"macro ?(averaged )?f|f1? ?score macro": "f1_macro",
    r"micro ?(averaged )?f": "f1_micro",
    r"weighted f": "f1_weighted",
    r"f ?beta|f2 ?score": "f_beta",
    r"mean f ?1? score": "f1_samples",
    r"\bf ?1|f ?score|f measure": "f1",
    r"accuracy|percentage of .{0,80} correct|categorization": "accuracy",
    r"jaccard|intersection over union": "jaccard",
    r"\bdice\b": "dice",
    r"kullback|kl divergence": "kl_divergence",
    r"pinball|quantile": "pinball",
    r"brier": "brier",
    r"\br ?2\b|r squared|coefficient of determination": "r2",
    r"spearman": "spearman",
    r"pearson|correlation": "pearson",
    r"laplace": "laplace_log_likelihood",
    r"concordance|c index": "concordance_index",
    r"mean squared error|\bmse\b": "mse",
}
# The usual metric, by task and form.
USUAL = {
    ("binary", "label"): "accuracy",
    ("binary", "probability"): "roc_auc",
    ("multiclass", "label"): "accuracy",
    ("multiclass", "probability"): "log_loss",
    ("multiclass", "labels"): "map_at_k",
    ("multilabel", "probability"): "mean_column_auc",
    ("multilabel", "labels"): "f1_samples",
    ("regression", "value"): "rmse",
}
# Where it differs, if the sample asks for several values of a row.
SEVERAL = {
    ("binary", "probability"): "log_loss",
    ("regression", "value"): "mean_column_rmse",
}
_TAGS = re.compile(r"<[^>]*>|\$[^$]*\$")


def metric_of(text: str) -> str | None:
    """Return the metric of the registry that Kaggle's words name; None if there is none.

    >>> metric_of("Area Under Receiver Operating Characteristic Curve")
    'roc_auc'
    >>> metric_of("Categorization Accuracy")
    'accuracy'
    """
    plain = re.sub(r"[^a-z0-9]+", " ", unescape(_TAGS.sub(" ", text)).lower()).strip()
    found = {
        name: match.start() for words, name in WORDS.items() if (match := re.search(words, plain))
    }
    first = min(found, key=lambda name: found[name], default="")
    return first if first in METRICS else None


def needs(metric: str | None) -> str | None:
    """Return the outputs that a metric needs of a model; None for no metric."""
    if metric is None:
        return None
    found: str = METRICS[metric].needs
    return "probability" if found == "ranking" else found


def usual(
    task: str, submission: str, columns: int, skewed: bool = False, graded: bool = False
) -> tuple[str, str]:
    """Return the usual metric of a task, and the reason.

    Parameters
    ----------
    task, submission : str
    columns : int
        How many values of each row the sample asks for.
    skewed : bool
        Whether the target is positive, and far less skewed on a logarithmic scale.
    graded : bool
        Whether the classes are steps of a scale.
    """
    several = columns > 1
    if skewed:
        metric = "mean_column_rmsle" if several else "rmsle"
        return metric, "not in the files: usual for positive, skewed amounts"
    if graded and (task, submission) == ("multiclass", "label"):
        return "quadratic_weighted_kappa", "not in the files: usual for steps of a scale"
    table = USUAL | SEVERAL if several else USUAL
    return table[task, submission], "not in the files: usual for this task and form"
