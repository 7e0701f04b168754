"""Linear regression with an L1 penalty."""

from typing import Any

from ripen.learn.classic import Classic, standardized
from ripen.learn.estimator import ESTIMATORS, Work
from ripen.settings.typed import Count, Positive, typed


@ESTIMATORS.register("lasso")
@typed
class Lasso(Classic):
    """Settings of `sklearn.linear_model.Lasso`.

    Without `alpha` it is chosen along a path of 50, by five folds of the training rows.
    """

    alpha: Positive | None = None
    max_iter: Count = 10_000

    does = "regresses"
    takes_sparse = True
    cost = 2
    space = ("alpha=tag(log,interval(0.0001,1))",)

    def build(self, work: Work) -> Any:
        """Return the unfitted regressor (`Classic.build`)."""
        from sklearn import linear_model
        from sklearn.model_selection import KFold

        if self.alpha is None:
            folds = KFold(5, shuffle=True, random_state=work.seed)
            return standardized(linear_model.LassoCV(alphas=50, cv=folds, max_iter=self.max_iter))
        return standardized(linear_model.Lasso(self.alpha, max_iter=self.max_iter))
