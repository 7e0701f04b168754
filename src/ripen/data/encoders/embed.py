"""Codes of levels from 1, 0 where unknown, for the Embed layers of a net."""

from typing import Any

from sklearn.preprocessing import OrdinalEncoder

from ripen.data.encoders import ENCODERS, Encoding, Folds

LEAST = 3  # rows of a level that gets a vector of its own: others would be learnt by heart


def categories(folds: Folds, targets: Any, sparse: bool) -> OrdinalEncoder:
    """Return the unfitted transformer (`Encoding.categories`)."""
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, min_frequency=LEAST)


ENCODERS.register("embed")(Encoding(categories, codes=True, first=1))
