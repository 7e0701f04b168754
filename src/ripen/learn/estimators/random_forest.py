"""Random forests."""

from typing import Any

from ripen.learn.estimator import ESTIMATORS
from ripen.learn.forest import Forest
from ripen.settings.typed import typed


@ESTIMATORS.register("random_forest")
@typed
class RandomForest(Forest):
    """Settings of `sklearn.ensemble.RandomForestClassifier`, or of the regressor."""

    def kinds(self) -> tuple[Any, Any]:
        """Return the classifier and the regressor (`Forest.kinds`)."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        return RandomForestClassifier, RandomForestRegressor
