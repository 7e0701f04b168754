"""scikit-learn's estimators as ours: encoded rows in, probabilities or values out."""

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ripen.competition.tasks import Task
from ripen.core.registry import nearest
from ripen.learn.convergence import Training
from ripen.learn.estimator import Estimator, Outputs, Rows, Work
from ripen.learn.models.saved import write_pipeline
from ripen.settings.typed import Count, typed

NATIVE = "native"  # the encoder that leaves values missing


@dataclass(frozen=True)
class FittedPipeline:
    """A fitted pipeline of scikit-learn.

    Attributes
    ----------
    pipeline : Pipeline
        Its classes are positions in `classes`.
    task : Task
    outputs : int
        Numbers for a row.
    classes : tuple of int
        Labels of the training rows. Others have probability 0.
    """

    pipeline: Any
    task: Task
    outputs: int
    classes: tuple[int, ...] = ()
    training: Training | None = None

    def predict(self, x: Any) -> Outputs:
        """Return probabilities, or columns of values (`Fitted.predict`)."""
        if not self.task.probabilities:
            return np.asarray(self.pipeline.predict(x), np.float64).reshape(len(x), -1)
        found = self.pipeline.predict_proba(x)
        if isinstance(found, list):  # one array a label, of "no" and "yes"
            each = zip(found, self.pipeline[-1].classes_, strict=True)
            return np.stack([_of_yes(array, known) for array, known in each], axis=1)
        probabilities: NDArray[np.floating] = found
        if len(self.classes) in (0, self.outputs):
            return probabilities
        whole = np.zeros((len(probabilities), self.outputs), probabilities.dtype)
        whole[:, list(self.classes)] = probabilities
        return whole

    def save(self, folder: Path) -> None:
        """Write the pipeline in skops' format, which holds no code."""
        write_pipeline(folder, self.pipeline, self.task.name, self.outputs, self.classes)


@typed
class Classic(Estimator):
    """An estimator of scikit-learn, or one with the same interface.

    Attributes
    ----------
    encode : str, optional
        How categories become numbers: an encoder of the registry that this estimator takes.
    select : int, optional
        Number of features to keep: those that a target depends on most, by an F-test.
    components : int, optional
        Number of principal components to reduce standardized rows to: for features of images, which
        are many and correlated.
    class_weight : "balanced", optional
        Each class counts as much as any other, however many rows it has.
    """

    encode: str | None = None
    select: Count | None = None
    components: Count | None = None
    class_weight: Literal["balanced"] | None = None

    encoders: ClassVar[tuple[str, ...]] = ("one_hot", "ordinal", "target")
    """Those that it takes, its own first."""
    takes_labels = True
    takes_sparse: ClassVar[bool] = False
    takes_several: ClassVar[bool] = False
    """Whether it takes rows of several targets; else there is one estimator for each of these."""

    def __post_init__(self) -> None:
        """Check the encoder's name: each estimator allows others, so the schema cannot."""
        if self.encode not in (None, *self._allowed()):
            raise ValueError(
                f"encode is '{self.encode}'{nearest(str(self.encode), self._allowed())}"
            )

    def build(self, work: Work) -> Any:
        """Return scikit-learn's unfitted estimator, one with `predict_proba` for classes."""
        raise NotImplementedError

    def fit(self, train: Rows, validation: Rows | None, work: Work) -> FittedPipeline:
        """Fit encoder, reduction and estimator to the training rows (`Estimator.fit`)."""
        from sklearn.pipeline import Pipeline

        self.check_task(work.task)
        classes: tuple[int, ...] = ()
        y: Any = train.y
        if work.task.classifies:
            known, y = np.unique(y, return_inverse=True)
            classes = tuple(int(label) for label in known)
        steps: list[tuple[str, Any]] = []
        rows, encoder = replace(train, y=y, weight=self._weight(train)), self._encoder(work)
        if encoder is not None:
            x = encoder.fit_transform(train.x, y, train.groups)
            steps, rows = [("encoder", encoder)], replace(rows, x=x)
        for name, step in self._reductions(rows, work):
            steps.append((name, step))
            rows = replace(rows, x=step.fit_transform(rows.x, _one(rows.y)))
        steps.append(("estimator", self._learn(rows, work, encoder)))
        return FittedPipeline(Pipeline(steps), work.task, work.outputs, classes)

    def fit_one(self, rows: Rows, work: Work, encoder: Any) -> Any:
        """Return the estimator fitted to encoded rows; one target, unless it takes several.

        Parameters
        ----------
        rows : Rows
            Labels from 0, none of them without rows.
        work : Work
        encoder : Encoder or None
            Fitted, where a table was encoded.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.utils.validation import has_fit_parameter

        model, more = self.build(work), {}
        if rows.y.ndim > 1 and not work.task.probabilities and not hasattr(model, "regressor"):
            model = standardized(model)  # or the target of the largest unit decides every split
        inner = getattr(model, "regressor", model)  # of one that standardizes its targets
        if rows.weight is not None and has_fit_parameter(inner, "sample_weight"):
            more["sample_weight"] = rows.weight
        with warnings.catch_warnings():
            # The smallest of the penalties tried may not converge; a better one wins then.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(rows.x, rows.y, **more)

    def _allowed(self) -> list[str]:
        """Return the allowed encoders: reducing features needs rows without missing values."""
        reduces = self.components is not None or self.select is not None
        return [each for each in self.encoders if not (reduces and each == NATIVE)]

    def _encoder(self, work: Work) -> Any:
        sparse = self.takes_sparse and self.components is None
        return work.encode(self.encode or self._allowed()[0], sparse=sparse, seed=work.seed)

    def _weight(self, train: Rows) -> NDArray[np.float64] | None:
        if self.class_weight is None or train.y.ndim != 1:
            return train.weight
        from sklearn.utils.class_weight import compute_sample_weight

        own = compute_sample_weight(self.class_weight, train.y)
        return np.asarray(own if train.weight is None else own * train.weight)

    def _reductions(self, rows: Rows, work: Work) -> list[tuple[str, Any]]:
        from sklearn.decomposition import PCA
        from sklearn.feature_selection import SelectKBest, f_classif, f_regression
        from sklearn.preprocessing import MinMaxScaler, StandardScaler

        steps: list[tuple[str, Any]] = []
        features = rows.x.shape[1]
        if self.select is not None and self.select < features:
            features = self.select
            score = f_classif if work.task.probabilities else f_regression
            steps.append(("select", SelectKBest(score, k=features)))
        if self.components is not None:
            most = min(self.components, len(rows.y), features)
            reduce = PCA(most, svd_solver="randomized", random_state=work.seed)
            # A feature that is nearly the same in all training rows may be thousands of standard
            # deviations away in another one: no value counts as further out than theirs.
            steps += [("range", MinMaxScaler(clip=True)), ("scaler", StandardScaler())]
            steps.append(("pca", reduce))
        return steps

    def _learn(self, rows: Rows, work: Work, encoder: Any) -> Any:
        """Fit one estimator, or one for each target, which scikit-learn's wrapper then holds."""
        if rows.y.ndim == 1 or self.takes_several:
            return self.fit_one(rows, work, encoder)
        from sklearn.dummy import DummyClassifier
        from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor

        each = []
        for y in rows.y.T:
            # Most estimators refuse a label that all rows have, or none.
            alike = work.task.probabilities and len(np.unique(y)) == 1
            one = replace(rows, y=y)
            model = DummyClassifier().fit(rows.x, y) if alike else self.fit_one(one, work, encoder)
            each.append(model)
        wrapper = MultiOutputClassifier if work.task.probabilities else MultiOutputRegressor
        several = wrapper(each[0])
        several.estimators_ = each
        if work.task.probabilities:
            several.classes_ = [model.classes_ for model in each]
        return several


def standardized(model: Any) -> Any:
    """Return a regressor that learns standardized values: its settings have their scale."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.preprocessing import StandardScaler

    return TransformedTargetRegressor(model, transformer=StandardScaler())


def _one(targets: Any) -> Any:
    return targets if targets.ndim == 1 else None


def _of_yes(found: NDArray[np.floating], known: NDArray[Any]) -> NDArray[np.float64]:
    """Return the probability of label 1: 0 if no training row has it."""
    places = np.flatnonzero(np.asarray(known) == 1)
    return np.asarray(found[:, places[0]] if len(places) else np.zeros(len(found)))
