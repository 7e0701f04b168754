"""One of two classes, or one of several."""

from ripen.competition.tasks import TASKS, Task

METRICS = ("accuracy", "top5", "log_loss", "roc_auc", "brier")
MANY = 100_000

LOSS = ("SoftmaxWithLoss", "log loss")

TASKS.register("binary")(Task("binary", True, 2, 2, *LOSS, METRICS))
TASKS.register("multiclass")(Task("multiclass", True, 2, MANY, *LOSS, METRICS))
