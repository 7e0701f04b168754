"""CatBoost."""

from typing import Any

import numpy as np
import pandas as pd

from ripen.learn.boosting import Boosted, Known, Pace
from ripen.learn.estimator import ESTIMATORS, Rows, Work
from ripen.settings.typed import Count, NonNegative, typed


@ESTIMATORS.register("catboost")
@typed
class CatBoost(Boosted):
    """Settings of `catboost.CatBoostClassifier`, or of the regressor."""

    depth: Count = 6
    l2_leaf_reg: NonNegative = 3.0

    needs = "catboost"
    cost = 15
    space = (
        "depth=int(interval(3,9))",
        "l2_leaf_reg=tag(log,interval(0.5,30))",
        "learning_rate=tag(log,interval(0.02,0.2))",
    )

    def boost(self, work: Work, known: Known, rate: float, trees: int) -> Any:
        """Return the unfitted estimator, whose first step gives it codes as it takes them."""
        import catboost
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import FunctionTransformer

        kind = (
            catboost.CatBoostClassifier if work.task.probabilities else catboost.CatBoostRegressor
        )
        more: dict[str, Any] = {"monotone_constraints": known.monotone} if known.monotone else {}
        model = kind(
            learning_rate=rate,
            iterations=trees,
            depth=self.depth,
            l2_leaf_reg=self.l2_leaf_reg,
            random_seed=work.seed,
            thread_count=work.threads,
            cat_features=known.categories,
            allow_writing_files=False,
            verbose=False,
            **more,
        )
        if not known.categories:
            return make_pipeline(model)
        places = {"categories": known.categories}
        return make_pipeline(FunctionTransformer(with_codes, kw_args=places), model)

    def grow(self, model: Any, rows: Rows, known: Known, **more: Any) -> Any:
        """Fit (`Boosted.grow`)."""
        name = model.steps[-1][0]
        given = {"sample_weight": rows.weight, **more}
        return model.fit(
            rows.x, rows.y, **{f"{name}__{key}": value for key, value in given.items()}
        )

    def best(self, rows: Rows, held: Rows, work: Work, known: Known, pace: Pace) -> int:
        """Return the number of trees (`Boosted.best`)."""
        import catboost

        shown = with_codes(held.x, known.categories) if known.categories else held.x
        pool = catboost.Pool(
            shown, held.y, cat_features=known.categories or None, weight=held.weight
        )
        model = self.boost(work, known, pace.rate, pace.most)
        self.grow(model, rows, known, eval_set=pool, early_stopping_rounds=pace.patience)
        return int(model[-1].get_best_iteration()) + 1


def with_codes(x: Any, categories: list[int]) -> pd.DataFrame:
    """Return an array as a table whose codes are whole numbers, -1 where unknown."""
    table = pd.DataFrame(np.asarray(x))
    for place in categories:
        table[place] = table[place].fillna(-1).astype(np.int64)
    return table
