"""One of several classes."""

from ripen.competition.tasks import TASKS, Task

TASKS.add(
    "multiclass",
    Task(
        "multiclass",
        classifies=True,
        probabilities=True,
        least=2,
        most=100_000,
        loss="SoftmaxWithLoss",
        error="log loss",
        metrics=("accuracy", "top5", "log_loss", "roc_auc", "brier"),
    ),
)
