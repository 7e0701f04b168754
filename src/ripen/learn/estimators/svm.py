"""Support vector machines."""

from typing import Annotated, Any, Literal

from pydantic import Field

from ripen.learn.classic import Classic, standardized
from ripen.learn.estimator import ESTIMATORS, Work
from ripen.settings.typed import Positive, typed


@ESTIMATORS.register("svm")
@typed
class SVM(Classic):
    """Settings of `sklearn.svm.SVC`, or `SVR` in regression, of standardized values.

    A classifier's scores are calibrated to probabilities (Platt, 1999) on `calibration_folds`.
    """

    C: Positive = 3.0
    kernel: Literal["linear", "poly", "rbf", "sigmoid"] = "rbf"
    gamma: Literal["scale", "auto"] | Positive = "scale"
    calibration_folds: Annotated[int, Field(ge=2)] = 5

    cost = 8
    most_rows = 5_000  # its time grows with their square
    space = (
        "C=tag(log,interval(0.1,100))",
        "gamma=scale,auto",
    )

    def least(self) -> tuple[int, int]:
        """Return one row of each class for each fold of the calibration (`Estimator.least`)."""
        return (self.calibration_folds, 1)

    def build(self, work: Work) -> Any:
        """Return the unfitted estimator (`Classic.build`)."""
        from sklearn.calibration import CalibratedClassifierCV
        from sklearn.model_selection import StratifiedKFold
        from sklearn.svm import SVC, SVR

        if not work.task.probabilities:
            return standardized(SVR(C=self.C, kernel=self.kernel, gamma=self.gamma))
        folds = StratifiedKFold(self.calibration_folds, shuffle=True, random_state=work.seed)
        machine = SVC(C=self.C, kernel=self.kernel, gamma=self.gamma)
        return CalibratedClassifierCV(machine, cv=folds, ensemble=False)
