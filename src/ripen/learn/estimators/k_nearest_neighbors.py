"""The k nearest neighbours."""

from typing import Any, Literal

from ripen.competition.tasks import Task
from ripen.learn.classic import Classic
from ripen.learn.estimator import ESTIMATORS
from ripen.settings.typed import Count, typed


@ESTIMATORS.register("k_nearest_neighbors")
@typed
class KNearestNeighbors(Classic):
    """Settings of `sklearn.neighbors.KNeighborsClassifier`, or of the regressor."""

    n_neighbors: Count = 15
    weights: Literal["uniform", "distance"] = "uniform"

    def least(self) -> tuple[int, int]:
        """Return as many rows as neighbours (`Estimator.least`)."""
        return (1, self.n_neighbors)

    def build(self, task: Task, seed: int) -> Any:
        """Return the unfitted estimator (`Classic.build`)."""
        from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

        kind = KNeighborsClassifier if task.classifies else KNeighborsRegressor
        return kind(self.n_neighbors, weights=self.weights)
