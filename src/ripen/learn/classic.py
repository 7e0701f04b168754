"""scikit-learn's estimators as ours: encoded rows in, probabilities or values out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ripen.competition.tasks import TASKS, Task
from ripen.core.errors import ConfigError
from ripen.learn.convergence import Training
from ripen.learn.estimator import Estimator, Outputs, Rows, Work
from ripen.settings.typed import Count, typed


@dataclass(frozen=True)
class FittedPipeline:
    """A fitted pipeline of scikit-learn.

    Attributes
    ----------
    pipeline : Pipeline
    outputs : int
        Of which classes that the training rows lacked have probability 0.
    """

    pipeline: Any
    task: Task
    outputs: int
    training: Training | None = None

    def predict(self, x: Any) -> Outputs:
        """Return probabilities, or columns of values (`Fitted.predict`)."""
        if not self.task.probabilities:
            return np.asarray(self.pipeline.predict(x), np.float64).reshape(-1, self.outputs)
        found: NDArray[np.floating] = self.pipeline.predict_proba(x)
        if found.shape[1] == self.outputs:
            return found
        whole = np.zeros((len(found), self.outputs), found.dtype)
        whole[:, self.pipeline.classes_] = found
        return whole

    def save(self, folder: Path) -> None:
        """Write the pipeline in skops' format, which holds no code."""
        from ripen.learn.models.served import write_pipeline

        write_pipeline(folder, self.pipeline, self.task.name, self.outputs)


@typed
class Classic(Estimator):
    """An estimator of scikit-learn.

    `components` reduces rows to so many principal components after standardizing them: for
    features, which are many and alike.
    """

    components: Count | None = None

    def build(self, task: Task, seed: int) -> Any:
        """Return scikit-learn's unfitted estimator, one with `predict_proba` for classes."""
        raise NotImplementedError

    def _built(self, task: Task, outputs: int, seed: int) -> Any:
        """Return the unfitted estimator; of several targets one that learns each by itself."""
        own = self.build(TASKS[task.each], seed)
        if task.classifies or (outputs == 1 and not task.probabilities):
            return own
        from sklearn.multiclass import OneVsRestClassifier
        from sklearn.multioutput import MultiOutputRegressor

        return (OneVsRestClassifier if task.probabilities else MultiOutputRegressor)(own)

    def fit(self, train: Rows, validation: Rows | None, work: Work) -> FittedPipeline:
        """Fit encoder, reduction and estimator to the training rows (`Estimator.fit`)."""
        from sklearn.decomposition import PCA
        from sklearn.pipeline import Pipeline
        from sklearn.preprocessing import StandardScaler

        encoder = work.encode()
        steps: list[tuple[str, Any]] = [] if encoder is None else [("encoder", encoder)]
        if self.components is not None:
            most = min(self.components, *train.x.shape)
            reduce = PCA(most, svd_solver="randomized", random_state=work.seed)
            steps += [("scaler", StandardScaler()), ("pca", reduce)]
        steps.append(("estimator", self._built(work.task, work.outputs, work.seed)))
        return FittedPipeline(Pipeline(steps).fit(train.x, train.y), work.task, work.outputs)


def no_regression(name: str) -> ConfigError:
    """Return the error of an estimator that only classifies."""
    return ConfigError(f"estimator '{name}' only classifies. For a regression set it to null")
