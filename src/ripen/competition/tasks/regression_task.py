"""One number, or k of them."""

from ripen.competition.tasks import TASKS, Task

TASKS.add(
    "regression",
    Task(
        "regression",
        classifies=False,
        probabilities=False,
        least=0,
        most=100_000,
        loss="EuclideanLoss",
        # A net learns standardized values, and Caffe halves the squares.
        error="half the squared error, standardized",
        metrics=("rmse", "mae", "r2"),
    ),
)
