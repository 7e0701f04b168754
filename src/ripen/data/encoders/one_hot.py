"""One column for each of the most frequent levels."""

from typing import Any

from sklearn.preprocessing import OneHotEncoder

from ripen.data.encoders import ENCODERS, LEVELS, Encoding, Folds


def categories(folds: Folds, targets: Any, sparse: bool) -> OneHotEncoder:
    """Return the unfitted transformer (`Encoding.categories`)."""
    return OneHotEncoder(
        handle_unknown="infrequent_if_exist", max_categories=LEVELS, sparse_output=sparse
    )


ENCODERS.add("one_hot", Encoding(categories))
