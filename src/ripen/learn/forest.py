"""What forests share: trees of random rows or splits, averaged."""

from dataclasses import replace
from typing import Any, ClassVar

from ripen.learn.classic import Classic
from ripen.learn.estimator import Rows, Work
from ripen.settings.typed import Count, Fraction, typed

ROWS = 10_000  # of a tree: sorting more takes long, and the forest as a whole sees all of them


@typed
class Forest(Classic):
    """Settings of scikit-learn's forests.

    `max_samples` are the rows that a tree is shown, drawn anew for each: all of them, or of many
    `ROWS`, where it is not given. `max_features` is the share of the features that a split tries;
    by default the square root of their number for classes, and all for numbers.
    """

    n_estimators: Count = 200
    min_samples_leaf: Count = 2
    max_depth: Count | None = None
    max_samples: Count | None = None
    max_features: Fraction | None = None

    encoders: ClassVar[tuple[str, ...]] = ("ordinal", "one_hot", "target")
    takes_several: ClassVar[bool] = True
    cost: ClassVar[float] = 5
    space: ClassVar[tuple[str, ...]] = (
        "min_samples_leaf=tag(log,int(interval(1,30)))",
        "max_depth=4,8,16,32",
    )

    def kinds(self) -> tuple[Any, Any]:
        """Return scikit-learn's classifier and regressor."""
        raise NotImplementedError

    def build(self, work: Work) -> Any:
        """Return the unfitted estimator (`Classic.build`)."""
        classifier, regressor = self.kinds()
        kind = classifier if work.task.probabilities else regressor
        more: dict[str, Any] = {}
        if self.max_samples:
            more |= {"max_samples": self.max_samples, "bootstrap": True}
        if self.max_features:
            more |= {"max_features": self.max_features}
        return kind(
            self.n_estimators,
            min_samples_leaf=self.min_samples_leaf,
            max_depth=self.max_depth,
            random_state=work.seed,
            **more,
        )

    def fit_one(self, rows: Rows, work: Work, encoder: Any) -> Any:
        """Fit trees, of some of many rows each (`Classic.fit_one`)."""
        most = self.max_samples or ROWS
        own = replace(self, max_samples=most if most < len(rows.y) else None)
        return Classic.fit_one(own, rows, work, encoder)
