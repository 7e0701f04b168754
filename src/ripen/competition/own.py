"""A competition's own code, where it has any: the package `ripen.competitions.<name>`.

It may define any of these functions; the stages call them by name and know nothing else of it.

`generate(settings, seed, folder)`
    Writes the raw files, for `source: {generate: {…}}`.
`bayes(competition, layout)`
    Returns scores of the best possible rule, for `metrics/<competition>.json`: `test`, a mapping of
    metrics, and `expected`, the same over the whole distribution; None where it is unknown.
`draw(competition, layout, folder)`
    Writes figures into the evaluation's folder, which has a folder for each model that is drawn.
"""

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

PACKAGE = "ripen.competitions"
HOOKS = ("generate", "bayes", "draw")


def code(name: str) -> Path:
    """Return the folder of a competition's own code; the empty package's file where it has none.

    A dependency of its stages, relative to the repository's root.
    """
    folder = Path("src", *PACKAGE.split("."))
    own = folder / name
    return own if own.is_dir() else folder / "__init__.py"


def hook(name: str, function: str) -> Callable[..., Any] | None:
    """Return one of a competition's own functions, None where it has none of that name."""
    if importlib.util.find_spec(f"{PACKAGE}.{name}") is None:
        return None
    found: Callable[..., Any] | None = getattr(
        importlib.import_module(f"{PACKAGE}.{name}"), function, None
    )
    return found
