"""Codes of levels, NaN if unknown, for estimators that handle categories and blanks themselves."""

from typing import Any

import numpy as np
from sklearn.preprocessing import OrdinalEncoder

from ripen.data.encoders import ENCODERS, Encoding, Folds

MOST = 254  # levels that scikit-learn's gradient boosting can distinguish; the rest share one


def categories(folds: Folds, targets: Any, sparse: bool) -> OrdinalEncoder:
    """Return the unfitted transformer (`Encoding.categories`)."""
    return OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=MOST
    )


ENCODERS.add("native", Encoding(categories, codes=True, keeps_missing=True))
