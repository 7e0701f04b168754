"""A competition's own code, where it has any: the package `ripen.competitions.<name>`.

It may define any of these functions. The stages call them by name and know nothing else of it.

`generate(settings, seed, folder)`
    Writes the raw files, for `source: {generate: {…}}`.
`bayes(competition, layout)`
    Returns scores of the best possible rule, for `metrics/<competition>.json`: `test`, a mapping of
    metrics, and `expected`, the same over the whole distribution; None if it is unknown.
`draw(competition, layout, folder)`
    Writes figures into the evaluation's folder, which has a subfolder for each drawn model.

Its module `features` makes features of a table. It may define:

`features(frame)`
    Returns a table with new columns, each row computed from that row alone. Stage `prepare` calls
    it.
`transformers()`
    Returns scikit-learn transformers from table to table, which are fitted on the training rows of
    each fold.
"""

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from ripen.core.errors import DataError

PACKAGE = "ripen.competitions"
FOLDER = Path("src", *PACKAGE.split("."))
EMPTY = FOLDER / "__init__.py"
"""A file without code, on which stages depend for a competition that has none of its own."""
FEATURES = "features"


def code(name: str) -> Path:
    """Return the folder of a competition's own code, from the repository's root, or `EMPTY`."""
    own = FOLDER / name
    return own if own.is_dir() else EMPTY


def features_code(name: str) -> Path:
    """Return the file of a competition's own features, from the repository's root, or `EMPTY`."""
    own = FOLDER / name / f"{FEATURES}.py"
    return own if own.is_file() else EMPTY


def hook(name: str, function: str) -> Callable[..., Any] | None:
    """Return one of a competition's own functions, None if it does not define it."""
    return _function(f"{PACKAGE}.{name}", function)


def is_own(name: str) -> bool:
    """Whether a type's full name is of a competition that has code of its own here.

    >>> is_own("ripen.competitions.avocado.features.Firmness")
    True
    >>> is_own("ripen.competitions.pineapple.features.Firmness")
    False
    """
    package, _, rest = name.removeprefix(f"{PACKAGE}.").partition(".")
    if not name.startswith(f"{PACKAGE}.") or not rest:
        return False
    return importlib.util.find_spec(f"{PACKAGE}.{package}") is not None


def features(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the features that the competition's `features` computes.

    Raises
    ------
    DataError
        If the result is not a table of the same rows, or a row's features depend on other rows.
    """
    function = _of_features(name, "features")
    if function is None:
        return table
    file, found = features_code(name), function(table.copy())
    if not isinstance(found, pd.DataFrame) or len(found) != len(table):
        raise DataError(f"{file}: features must return a table of the {len(table)} rows given")
    found = found.reset_index(drop=True)
    some = slice(0, (len(table) + 1) // 2)
    alone = function(table.iloc[some].copy()).reset_index(drop=True)
    if list(alone) == list(found):
        different = [name for name in found if not _alike(alone[name], found[name].iloc[some])]
    else:
        different = [str(name) for name in {*alone} ^ {*found}]
    if different:
        raise DataError(
            f"{file}: column '{different[0]}' of a row depends on other rows. What is learnt from "
            "rows belongs in transformers(), which are fitted inside the fold"
        )
    return found


def transformers(name: str) -> list[Any]:
    """Return a competition's own unfitted transformers of its table."""
    function = _of_features(name, "transformers")
    return [] if function is None else list(function())


def _of_features(name: str, function: str) -> Callable[..., Any] | None:
    package = f"{PACKAGE}.{name}"
    if importlib.util.find_spec(package) is None:  # below it, to look would be an error
        return None
    return _function(f"{package}.{FEATURES}", function)


def _function(module: str, function: str) -> Callable[..., Any] | None:
    if importlib.util.find_spec(module) is None:
        return None
    found: Callable[..., Any] | None = getattr(importlib.import_module(module), function, None)
    return found


def _alike(some: "pd.Series[Any]", others: "pd.Series[Any]") -> bool:
    same = (some == others) | (some.isna() & others.isna())
    return bool(same.all())
