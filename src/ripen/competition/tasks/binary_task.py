"""One of two classes."""

from ripen.competition.tasks import TASKS, Task

TASKS.add(
    "binary",
    Task(
        "binary",
        classifies=True,
        probabilities=True,
        least=2,
        most=2,
        loss="SoftmaxWithLoss",
        error="log loss",
        metrics=("accuracy", "log_loss", "roc_auc", "brier"),
    ),
)
