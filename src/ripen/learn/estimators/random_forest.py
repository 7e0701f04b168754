"""Random forests."""

from typing import Any

from ripen.competition.tasks import Task
from ripen.learn.classic import Classic
from ripen.learn.estimator import ESTIMATORS
from ripen.settings.typed import Count, typed


@ESTIMATORS.register("random_forest")
@typed
class RandomForest(Classic):
    """Settings of `sklearn.ensemble.RandomForestClassifier`, or of the regressor."""

    n_estimators: Count = 200
    min_samples_leaf: Count = 2
    max_depth: Count | None = None

    def build(self, task: Task, seed: int) -> Any:
        """Return the unfitted estimator (`Classic.build`)."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        kind = RandomForestClassifier if task.classifies else RandomForestRegressor
        return kind(
            self.n_estimators,
            min_samples_leaf=self.min_samples_leaf,
            max_depth=self.max_depth,
            random_state=seed,
        )
