"""The rank of a level in sorted order, for trees; -1 for levels that the training rows lack."""

from typing import Any

from sklearn.preprocessing import OrdinalEncoder

from ripen.data.encoders import ENCODERS, Encoding, Folds


def categories(folds: Folds, targets: Any, sparse: bool) -> OrdinalEncoder:
    """Return the unfitted transformer (`Encoding.categories`)."""
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)


ENCODERS.add("ordinal", Encoding(categories))
