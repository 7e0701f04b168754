"""Extremely randomized trees."""

from typing import Any

from ripen.learn.estimator import ESTIMATORS
from ripen.learn.forest import Forest
from ripen.settings.typed import Count, typed


@ESTIMATORS.register("extra_trees")
@typed
class ExtraTrees(Forest):
    """Settings of `sklearn.ensemble.ExtraTreesClassifier`, or of the regressor."""

    n_estimators: Count = 300

    def kinds(self) -> tuple[Any, Any]:
        """Return the classifier and the regressor (`Forest.kinds`)."""
        from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

        return ExtraTreesClassifier, ExtraTreesRegressor
