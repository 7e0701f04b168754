"""The mean target of a level, shrunk towards the overall mean and cross-fitted: for many levels."""

from typing import Any

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, TargetEncoder

from ripen.core.errors import ConfigError
from ripen.data.encoders import ENCODERS, Encoding, Folds


def categories(folds: Folds, targets: Any, sparse: bool) -> Any:
    """Return the unfitted transformer (`Encoding.categories`).

    Raises
    ------
    ConfigError
        If a row has several targets.
    """
    y = np.asarray(targets)
    if y.ndim != 1:
        raise ConfigError("encode: target needs one target. Use one_hot or ordinal")
    kind = "continuous" if np.issubdtype(y.dtype, np.floating) else "auto"
    return make_pipeline(TargetEncoder(target_type=kind, cv=folds), StandardScaler())


ENCODERS.add("target", Encoding(categories, supervised=True))
