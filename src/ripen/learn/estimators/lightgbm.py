"""LightGBM."""

from dataclasses import replace
from typing import Any, Self

from ripen.competition.metrics import Metric
from ripen.learn.boosting import Boosted, Known, Pace
from ripen.learn.estimator import ESTIMATORS, Rows, Work
from ripen.settings.typed import Count, Fraction, NonNegative, Share, typed


@ESTIMATORS.register("lightgbm")
@typed
class LightGBM(Boosted):
    """Settings of `lightgbm.LGBMClassifier`, or of the regressor.

    `quantile` is what the regressor predicts, 0.5 for the median; without it the mean. By default
    it is that of the competition's metric, so where absolute errors count some models of the
    blend learn them. Of a category of at most `max_cat_to_onehot` levels each split tells one from
    the others: LightGBM's own limit of 4 leaves most of a small table's to sums of levels, which it
    holds back by as much as in a large one.

    `deterministic` alone does not give the same bytes twice (LightGBM's issues 6731 and 3761): the
    layout of its histograms and the number of its threads are set as well.
    """

    num_leaves: Count = 31
    min_child_samples: Count = 20
    reg_lambda: NonNegative = 0.0
    colsample_bytree: Fraction = 0.5
    subsample: Fraction = 0.8
    max_cat_to_onehot: Count = 16
    extra_trees: bool = False
    quantile: Share | None = None

    needs = "lightgbm"
    cost = 3
    space = (
        "num_leaves=tag(log,int(interval(4,128)))",
        "min_child_samples=tag(log,int(interval(5,100)))",
        "reg_lambda=tag(log,interval(0.001,30))",
        "learning_rate=tag(log,interval(0.01,0.2))",
        "colsample_bytree=interval(0.3,1)",
    )

    def judged_by(self, metric: Metric) -> Self:
        """Return the settings with the quantile that scores best (`Estimator.judged_by`)."""
        found = super().judged_by(metric)
        return found if self.quantile is not None else replace(found, quantile=metric.quantile)

    def boost(self, work: Work, known: Known, rate: float, trees: int) -> Any:
        """Return the unfitted estimator (`Boosted.boost`)."""
        import lightgbm

        kind = lightgbm.LGBMClassifier if work.task.probabilities else lightgbm.LGBMRegressor
        more: dict[str, Any] = {"monotone_constraints": known.monotone} if known.monotone else {}
        if self.quantile is not None and not work.task.probabilities:
            more |= {"objective": "quantile", "alpha": self.quantile}
        return kind(
            learning_rate=rate,
            n_estimators=trees,
            num_leaves=self.num_leaves,
            min_child_samples=self.min_child_samples,
            reg_lambda=self.reg_lambda,
            colsample_bytree=known.share(self.colsample_bytree),
            subsample=self.subsample,
            subsample_freq=1,
            max_cat_to_onehot=self.max_cat_to_onehot,
            extra_trees=self.extra_trees,
            random_state=work.seed,
            n_jobs=work.threads,
            deterministic=True,
            force_row_wise=True,
            verbosity=-1,
            **more,
        )

    def grow(self, model: Any, rows: Rows, known: Known, **more: Any) -> Any:
        """Fit (`Boosted.grow`)."""
        return model.fit(
            rows.x,
            rows.y,
            sample_weight=rows.weight,
            categorical_feature=known.categories,
            **more,
        )

    def best(self, rows: Rows, held: Rows, work: Work, known: Known, pace: Pace) -> int:
        """Return the number of trees (`Boosted.best`)."""
        import lightgbm

        model = self.grow(
            self.boost(work, known, pace.rate, pace.most),
            rows,
            known,
            eval_X=(held.x,),
            eval_y=(held.y,),
            eval_sample_weight=None if held.weight is None else [held.weight],
            callbacks=[lightgbm.early_stopping(pace.patience, verbose=False)],
        )
        return int(model.best_iteration_)
