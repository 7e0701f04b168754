"""Linear regression with an L1 and an L2 penalty."""

from typing import Annotated, Any

from pydantic import Field

from ripen.learn.classic import Classic, standardized
from ripen.learn.estimator import ESTIMATORS, Work
from ripen.settings.typed import Count, Positive, typed


@ESTIMATORS.register("elastic_net")
@typed
class ElasticNet(Classic):
    """Settings of `sklearn.linear_model.ElasticNet`.

    Without `alpha` it is chosen along a path of 50, by five folds of the training rows.
    """

    alpha: Positive | None = None
    l1_ratio: Annotated[float, Field(gt=0, le=1)] = 0.5
    max_iter: Count = 10_000

    does = "regresses"
    takes_sparse = True
    cost = 2
    space = ("alpha=tag(log,interval(0.0001,1))",)

    def build(self, work: Work) -> Any:
        """Return the unfitted regressor (`Classic.build`)."""
        from sklearn import linear_model
        from sklearn.model_selection import KFold

        given = {"l1_ratio": self.l1_ratio, "max_iter": self.max_iter}
        if self.alpha is None:
            folds = KFold(5, shuffle=True, random_state=work.seed)
            return standardized(linear_model.ElasticNetCV(alphas=50, cv=folds, **given))
        return standardized(linear_model.ElasticNet(self.alpha, **given))
