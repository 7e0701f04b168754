"""XGBoost."""

from typing import Any

from ripen.learn.boosting import Boosted, Known, Pace
from ripen.learn.estimator import ESTIMATORS, Rows, Work
from ripen.settings.typed import Count, Fraction, NonNegative, typed


@ESTIMATORS.register("xgboost")
@typed
class XGBoost(Boosted):
    """Settings of `xgboost.XGBClassifier`, or of the regressor."""

    max_depth: Count = 6
    min_child_weight: NonNegative = 1.0
    reg_lambda: NonNegative = 1.0
    colsample_bytree: Fraction = 0.5
    subsample: Fraction = 0.8

    needs = "xgboost"
    cost = 4
    space = (
        "max_depth=int(interval(2,10))",
        "min_child_weight=tag(log,interval(0.5,30))",
        "reg_lambda=tag(log,interval(0.01,30))",
        "learning_rate=tag(log,interval(0.01,0.2))",
        "colsample_bytree=interval(0.3,1)",
    )

    def boost(self, work: Work, known: Known, rate: float, trees: int) -> Any:
        """Return the unfitted estimator (`Boosted.boost`)."""
        import xgboost

        kind = xgboost.XGBClassifier if work.task.probabilities else xgboost.XGBRegressor
        types = ["q"] * known.features
        for place in known.categories:
            types[place] = "c"
        more: dict[str, Any] = {}
        if known.monotone:
            more["monotone_constraints"] = tuple(known.monotone)
        return kind(
            learning_rate=rate,
            n_estimators=trees,
            max_depth=self.max_depth,
            min_child_weight=self.min_child_weight,
            reg_lambda=self.reg_lambda,
            colsample_bytree=known.share(self.colsample_bytree),
            subsample=self.subsample,
            random_state=work.seed,
            n_jobs=work.threads,
            tree_method="hist",
            enable_categorical=True,
            feature_types=types,
            **more,
        )

    def best(self, rows: Rows, held: Rows, work: Work, known: Known, pace: Pace) -> int:
        """Return the number of trees (`Boosted.best`)."""
        model = self.boost(work, known, pace.rate, pace.most)
        model.set_params(early_stopping_rounds=pace.patience)
        model.fit(
            rows.x,
            rows.y,
            sample_weight=rows.weight,
            eval_set=[(held.x, held.y)],
            sample_weight_eval_set=None if held.weight is None else [held.weight],
            verbose=False,
        )
        return int(model.best_iteration) + 1
