"""Gaussian naive Bayes."""

from typing import Any

from ripen.learn.classic import Classic
from ripen.learn.estimator import ESTIMATORS, Work
from ripen.settings.typed import Positive, typed


@ESTIMATORS.register("gaussian_nb")
@typed
class GaussianNB(Classic):
    """Settings of `sklearn.naive_bayes.GaussianNB`."""

    var_smoothing: Positive = 1e-9

    does = "classifies"
    cost = 1
    space = ("var_smoothing=tag(log,interval(1e-12,0.1))",)

    def build(self, work: Work) -> Any:
        """Return the unfitted classifier (`Classic.build`)."""
        from sklearn import naive_bayes

        return naive_bayes.GaussianNB(var_smoothing=self.var_smoothing)
