"""k labels that are independent of each other, each 0 or 1."""

from ripen.competition.tasks import TASKS, Task

TASKS.add(
    "multilabel",
    Task(
        "multilabel",
        classifies=False,
        probabilities=True,
        least=1,
        most=100_000,
        loss="SigmoidCrossEntropyLoss",
        error="log loss, the sum over labels",
        metrics=("mean_column_auc", "weighted_multilabel_log_loss", "exact_match"),
    ),
)
