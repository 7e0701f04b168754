"""The k nearest neighbours."""

from typing import Any, Literal

from ripen.learn.classic import Classic
from ripen.learn.estimator import ESTIMATORS, Work
from ripen.settings.typed import Count, typed


@ESTIMATORS.register("k_nearest_neighbors")
@typed
class KNearestNeighbors(Classic):
    """Settings of `sklearn.neighbors.KNeighborsClassifier`, or of the regressor.

    Weights of rows do not count here.
    """

    n_neighbors: Count = 15
    weights: Literal["uniform", "distance"] = "uniform"

    takes_several = True
    cost = 2
    most_rows = 50_000  # each predicted row needs its distance to every one of them
    space = (
        "n_neighbors=tag(log,int(interval(3,60)))",
        "weights=uniform,distance",
    )

    def least(self) -> tuple[int, int]:
        """Return as many rows as neighbours (`Estimator.least`)."""
        return (1, self.n_neighbors)

    def build(self, work: Work) -> Any:
        """Return the unfitted estimator (`Classic.build`)."""
        from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

        kind = KNeighborsClassifier if work.task.probabilities else KNeighborsRegressor
        return kind(self.n_neighbors, weights=self.weights)
