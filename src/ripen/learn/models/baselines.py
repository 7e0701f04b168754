"""The classic classifiers, each with its settings of `conf/baselines/`."""

from sklearn.base import ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from ripen.settings.schema.baselines import Baselines


def folds(config: Baselines, seed: int) -> StratifiedKFold:
    """Return the shuffled, stratified folds of cross-validation and of calibration."""
    return StratifiedKFold(config.folds, shuffle=True, random_state=seed)


def estimators(config: Baselines, seed: int) -> dict[str, ClassifierMixin]:
    """Return the unfitted estimators by the names of `conf/baselines/`.

    All give probabilities; the support vector machine's scores are calibrated to probabilities
    (Platt, 1999) on held-out folds.
    """
    svm, neighbors, forest = config.svm, config.k_nearest_neighbors, config.random_forest
    logistic = config.logistic_regression
    return {
        "logistic_regression": LogisticRegression(C=logistic.C, max_iter=logistic.max_iter),
        "gaussian_nb": GaussianNB(var_smoothing=config.gaussian_nb.var_smoothing),
        "svm": CalibratedClassifierCV(
            SVC(C=svm.C, kernel=svm.kernel, gamma=svm.gamma),
            cv=folds(config, seed),
            ensemble=False,
        ),
        "k_nearest_neighbors": KNeighborsClassifier(
            neighbors.n_neighbors, weights=neighbors.weights
        ),
        "random_forest": RandomForestClassifier(
            forest.n_estimators,
            min_samples_leaf=forest.min_samples_leaf,
            max_depth=forest.max_depth,
            random_state=seed,
        ),
    }
