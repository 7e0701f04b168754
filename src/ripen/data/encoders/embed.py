"""Codes of levels from 1, 0 if unknown, for the Embed layers of a net."""

from typing import Any

from sklearn.preprocessing import OrdinalEncoder

from ripen.data.encoders import ENCODERS, Encoding, Folds

LEAST = 3  # rows of a level with a vector of its own: that of a rarer one would overfit


def categories(folds: Folds, targets: Any, sparse: bool) -> OrdinalEncoder:
    """Return the unfitted transformer (`Encoding.categories`)."""
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, min_frequency=LEAST)


ENCODERS.add("embed", Encoding(categories, codes=True, first=1))
