"""Logistic regression."""

from typing import Any

from ripen.learn.classic import Classic
from ripen.learn.estimator import ESTIMATORS, Work
from ripen.settings.typed import Count, Positive, typed


@ESTIMATORS.register("logistic_regression")
@typed
class LogisticRegression(Classic):
    """Settings of `sklearn.linear_model.LogisticRegression`."""

    C: Positive = 1.0
    max_iter: Count = 1000

    does = "classifies"
    takes_sparse = True
    cost = 1
    space = ("C=tag(log,interval(0.001,100))",)

    def build(self, work: Work) -> Any:
        """Return the unfitted classifier (`Classic.build`)."""
        from sklearn import linear_model

        return linear_model.LogisticRegression(C=self.C, max_iter=self.max_iter)
