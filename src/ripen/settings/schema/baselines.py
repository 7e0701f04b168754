"""`conf/baselines/`: the settings of the classic classifiers, by scikit-learn's names."""

from typing import Annotated, Literal

from pydantic import Field

from ripen.settings.schema.types import Count, Positive, typed


@typed
class LogisticRegression:
    """Settings of `sklearn.linear_model.LogisticRegression`."""

    C: Positive
    max_iter: Count


@typed
class GaussianNB:
    """Settings of `sklearn.naive_bayes.GaussianNB`."""

    var_smoothing: Positive


@typed
class SVC:
    """Settings of `sklearn.svm.SVC`, whose scores are calibrated to probabilities."""

    C: Positive
    kernel: Literal["linear", "poly", "rbf", "sigmoid"]
    gamma: Literal["scale", "auto"] | Positive


@typed
class KNeighbors:
    """Settings of `sklearn.neighbors.KNeighborsClassifier`."""

    n_neighbors: Count
    weights: Literal["uniform", "distance"]


@typed
class RandomForest:
    """Settings of `sklearn.ensemble.RandomForestClassifier`."""

    n_estimators: Count
    min_samples_leaf: Count
    max_depth: Count | None


@typed
class Baselines:
    """`conf/baselines/`: the classic classifiers."""

    folds: Annotated[int, Field(ge=2)]
    logistic_regression: LogisticRegression
    gaussian_nb: GaussianNB
    svm: SVC
    k_nearest_neighbors: KNeighbors
    random_forest: RandomForest
