"""Logistic regression."""

from typing import Any

from ripen.competition.tasks import Task
from ripen.learn.classic import Classic, no_regression
from ripen.learn.estimator import ESTIMATORS
from ripen.settings.typed import Count, Positive, typed


@ESTIMATORS.register("logistic_regression")
@typed
class LogisticRegression(Classic):
    """Settings of `sklearn.linear_model.LogisticRegression`."""

    C: Positive = 1.0
    max_iter: Count = 1000

    def build(self, task: Task, seed: int) -> Any:
        """Return the unfitted classifier (`Classic.build`)."""
        from sklearn import linear_model

        if not task.classifies:
            raise no_regression("logistic_regression")
        return linear_model.LogisticRegression(C=self.C, max_iter=self.max_iter)
