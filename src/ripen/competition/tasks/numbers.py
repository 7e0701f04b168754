"""One number."""

from ripen.competition.tasks import TASKS, Task

METRICS = ("rmse", "mae", "r2")

# A net learns standardized values, and Caffe halves the squares.
LOSS = ("EuclideanLoss", "half the squared error, standardized")

TASKS.register("regression")(Task("regression", False, 0, 0, *LOSS, METRICS))
