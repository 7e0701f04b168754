"""Linear regression with an L2 penalty."""

from typing import Any

import numpy as np

from ripen.learn.classic import Classic, standardized
from ripen.learn.estimator import ESTIMATORS, Work
from ripen.settings.typed import Positive, typed

ALPHAS = [float(alpha) for alpha in np.logspace(-2, 4, 13)]


@ESTIMATORS.register("ridge")
@typed
class Ridge(Classic):
    """Settings of `sklearn.linear_model.Ridge`.

    Without `alpha` it is chosen from 0.01 to 10,000, by leaving out each training row in turn.
    """

    alpha: Positive | None = None

    does = "regresses"
    takes_sparse = True
    takes_several = True
    cost = 1
    space = ("alpha=tag(log,interval(0.01,10000))",)

    def build(self, work: Work) -> Any:
        """Return the unfitted regressor (`Classic.build`)."""
        from sklearn import linear_model

        if self.alpha is None:
            return standardized(linear_model.RidgeCV(ALPHAS))
        return standardized(linear_model.Ridge(self.alpha))
