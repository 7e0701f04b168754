"""Random forests."""

from typing import Any

from ripen.learn.classic import Classic
from ripen.learn.estimator import ESTIMATORS, Work
from ripen.settings.typed import Count, typed


@ESTIMATORS.register("random_forest")
@typed
class RandomForest(Classic):
    """Settings of `sklearn.ensemble.RandomForestClassifier`, or of the regressor."""

    n_estimators: Count = 200
    min_samples_leaf: Count = 2
    max_depth: Count | None = None

    encoders = ("ordinal", "one_hot", "target")
    takes_several = True
    cost = 5
    space = (
        "min_samples_leaf=tag(log,int(interval(1,30)))",
        "max_depth=4,8,16,32",
    )

    def build(self, work: Work) -> Any:
        """Return the unfitted estimator (`Classic.build`)."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        kind = RandomForestClassifier if work.task.probabilities else RandomForestRegressor
        return kind(
            self.n_estimators,
            min_samples_leaf=self.min_samples_leaf,
            max_depth=self.max_depth,
            random_state=work.seed,
        )
