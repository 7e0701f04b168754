"""What forests share: trees of random rows or splits, averaged."""

from typing import Any, ClassVar

from ripen.learn.classic import Classic
from ripen.learn.estimator import Work
from ripen.settings.typed import Count, typed


@typed
class Forest(Classic):
    """Settings of scikit-learn's forests."""

    n_estimators: Count = 200
    min_samples_leaf: Count = 2
    max_depth: Count | None = None

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
        return kind(
            self.n_estimators,
            min_samples_leaf=self.min_samples_leaf,
            max_depth=self.max_depth,
            random_state=work.seed,
        )
