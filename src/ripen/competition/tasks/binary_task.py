"""One of two classes."""

from ripen.competition.tasks import TASKS, Task

TASKS.register("binary")(
    Task(
        "binary",
        classifies=True,
        probabilities=True,
        least=2,
        most=2,
        loss="SoftmaxWithLoss",
        link="Softmax",
        error="log loss",
        metrics=("accuracy", "top5", "log_loss", "roc_auc", "brier"),
        each="binary",
    )
)
