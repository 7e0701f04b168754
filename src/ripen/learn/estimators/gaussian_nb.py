"""Gaussian naive Bayes."""

from typing import Any

from ripen.competition.tasks import Task
from ripen.learn.classic import Classic, no_regression
from ripen.learn.estimator import ESTIMATORS
from ripen.settings.typed import Positive, typed


@ESTIMATORS.register("gaussian_nb")
@typed
class GaussianNB(Classic):
    """Settings of `sklearn.naive_bayes.GaussianNB`."""

    var_smoothing: Positive = 1e-9

    def build(self, task: Task, seed: int) -> Any:
        """Return the unfitted classifier (`Classic.build`)."""
        from sklearn import naive_bayes

        if not task.classifies:
            raise no_regression("gaussian_nb")
        return naive_bayes.GaussianNB(var_smoothing=self.var_smoothing)
