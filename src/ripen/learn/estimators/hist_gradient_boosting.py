"""scikit-learn's gradient boosting on histograms."""

from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ripen.learn.boosting import Boosted, Known, Pace
from ripen.learn.estimator import ESTIMATORS, Rows, Work
from ripen.settings.typed import Count, Fraction, NonNegative, typed

WIDE, BINS = 100, 63  # features, such as pixels; then bins of a feature


@ESTIMATORS.register("hist_gradient_boosting")
@typed
class HistGradientBoosting(Boosted):
    """Settings of `sklearn.ensemble.HistGradientBoostingClassifier`, or of the regressor.

    `max_bins` is by default 255, and `BINS` of more than `WIDE` features of which none is a
    category, whose levels a bin each are needed for: half the time for the same score.
    """

    max_leaf_nodes: Count = 31
    min_samples_leaf: Count = 20
    l2_regularization: NonNegative = 0.0
    max_features: Fraction = 1.0
    max_bins: Annotated[int, Field(ge=2, le=255)] | None = None

    cost = 4
    space = (
        "max_leaf_nodes=tag(log,int(interval(4,128)))",
        "min_samples_leaf=tag(log,int(interval(5,100)))",
        "l2_regularization=tag(log,interval(0.001,30))",
        "learning_rate=tag(log,interval(0.01,0.2))",
    )

    def boost(self, work: Work, known: Known, rate: float, trees: int) -> Any:
        """Return the unfitted estimator (`Boosted.boost`)."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        kind = (
            HistGradientBoostingClassifier
            if work.task.probabilities
            else HistGradientBoostingRegressor
        )
        usual = BINS if known.features > WIDE and not known.categories else 255
        return kind(
            learning_rate=rate,
            max_iter=trees,
            max_leaf_nodes=self.max_leaf_nodes,
            min_samples_leaf=self.min_samples_leaf,
            l2_regularization=self.l2_regularization,
            max_features=self.max_features,
            max_bins=self.max_bins or usual,
            categorical_features=known.categories or None,
            monotonic_cst=known.monotone or None,
            early_stopping=False,
            random_state=work.seed,
        )

    def best(self, rows: Rows, held: Rows, work: Work, known: Known, pace: Pace) -> int:
        """Return the number of trees (`Boosted.best`)."""
        model = self.boost(work, known, pace.rate, pace.most)
        model.set_params(early_stopping=True, n_iter_no_change=pace.patience, scoring="loss")
        model.fit(
            rows.x,
            rows.y,
            sample_weight=rows.weight,
            X_val=held.x,
            y_val=held.y,
            sample_weight_val=held.weight,
        )
        # The first score is that of no tree.
        return int(np.argmax(model.validation_score_))
