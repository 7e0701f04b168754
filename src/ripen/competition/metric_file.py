"""Kaggle's own metric file, unchanged: `metric: {metric: metric.py, greater_is_better: true}`.

The file lies in the competition's own folder, src/ripen/competitions/<name>/. It is code, and runs
only if the settings name it. Kaggle does not keep a metric's direction in the file, so the settings
state it. The other settings are keyword arguments of the file's `score`, and `solution_columns`:
training columns that the solution has besides the targets, such as weights. A column named by an
argument `…_column_name` is added automatically.
"""

import copy
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from ripen.competition import kaggle_metric_utilities
from ripen.competition.metrics import CLASSES, LABELS, VALUES, Metric, chosen
from ripen.competition.own import FOLDER, PACKAGE
from ripen.core.errors import ConfigError, DataError
from ripen.core.registry import nearest

SUFFIX = ".py"
OURS = ("greater_is_better", "solution_columns")
VISIBLE = ("ParticipantVisibleError", "HostVisibleError")  # by name: a file may define its own


def metric_of(competition: str, settings: str | Mapping[str, Any], where: str = "metric") -> Metric:
    """Return the metric that a competition's settings name: a registered one, or its own file.

    Raises
    ------
    ConfigError
        If there is no such metric, or its settings are invalid.
    DataError
        If the file cannot be run.
    """
    values = {"metric": settings} if isinstance(settings, str) else dict(settings)
    if not str(values.get("metric")).endswith(SUFFIX):
        return chosen(settings, where)
    path = _find(competition, str(values.pop("metric")), where)
    greater, columns = (values.pop(key, None) for key in OURS)
    if not isinstance(greater, bool):
        raise ConfigError(
            f"{where}: state which scores of {path.name} are better: "
            f"{{metric: {path.name}, greater_is_better: true}}, or false"
        )
    if columns is not None and not (
        isinstance(columns, list) and all(isinstance(name, str) for name in columns)
    ):
        raise ConfigError(f"{where}: solution_columns is {columns!r}: a list of columns is needed")
    function = _score_of(_load(path), path)
    _check(function, values, path, where)
    named = [value for key, value in values.items() if key.endswith("_column_name") and value]
    served = dict.fromkeys([*(columns or []), *map(str, named)])
    return Metric(
        title=path.name,
        greater_is_better=greater,
        name=path.stem,
        needs="submission",
        tasks=(*CLASSES, *LABELS, *VALUES),
        score=_called(function, path),
        settings=values,
        columns={name: name for name in served},
    )


def _find(competition: str, name: str, where: str) -> Path:
    """Return a file of the competition's own folder."""
    found = importlib.util.find_spec(f"{PACKAGE}.{competition}")
    folders = list(found.submodule_search_locations or ()) if found else []
    own = FOLDER / competition
    if Path(name).name != name:
        raise ConfigError(f"{where}: '{name}' is a path. Give the name of a file in {own}")
    for folder in folders:
        if (file := Path(folder, name)).is_file():
            here = Path.cwd()
            return file.relative_to(here) if file.is_relative_to(here) else file
    others = [file.name for folder in folders for file in Path(folder).glob(f"*{SUFFIX}")]
    raise ConfigError(f"{where}: there is no {own / name}{nearest(name, others)}")


def _load(path: Path) -> ModuleType:
    """Run a file as a module of its own, which can import `kaggle_metric_utilities`."""
    sys.modules.setdefault("kaggle_metric_utilities", kaggle_metric_utilities)
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Write no __pycache__ into the competition's folder.
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise DataError(_reason(error, path)) from None
    finally:
        sys.dont_write_bytecode = writes
    return module


def _score_of(module: ModuleType, path: Path) -> Callable[..., Any]:
    function = getattr(module, "score", None)
    if not callable(function):
        raise DataError(f"{path}: has no function score(solution, submission, row_id_column_name)")
    return function  # type: ignore[no-any-return]


def _check(function: Callable[..., Any], values: dict[str, Any], path: Path, where: str) -> None:
    """Check that the settings are keyword arguments of the function."""
    parameters = list(inspect.signature(function).parameters.values())
    kinds = {parameter.kind for parameter in parameters}
    takes = [p.name for p in parameters[3:] if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    if len(parameters) < 3 and inspect.Parameter.VAR_POSITIONAL not in kinds:
        raise DataError(
            f"{path}: score takes {len(parameters)} arguments. Needed: solution, submission, "
            "row_id_column_name"
        )
    unknown = [key for key in values if key not in takes]
    missing = [p.name for p in parameters[3:] if p.name in takes and p.default is p.empty]
    missing = [name for name in missing if name not in values]
    if unknown and inspect.Parameter.VAR_KEYWORD not in kinds:
        near = nearest(unknown[0], [*takes, *OURS])
        raise ConfigError(f"{where} '{path.name}': unknown key '{unknown[0]}'{near}")
    if missing:
        raise ConfigError(f"{where} '{path.name}': key '{missing[0]}' is missing")


def _called(function: Callable[..., Any], path: Path) -> Callable[..., float]:
    """Return the function, called on copies of its arguments and with errors of one line."""

    def score(solution: pd.DataFrame, submission: pd.DataFrame, id: str, **settings: Any) -> float:
        try:
            # Kaggle's functions delete and rename columns of their arguments.
            found = function(
                solution.copy(deep=True), submission.copy(deep=True), id, **copy.deepcopy(settings)
            )
        except Exception as error:
            raise DataError(_reason(error, path)) from None
        try:
            value = float(found)
        except (TypeError, ValueError):
            raise DataError(f"{path}: score returned {found!r}, which is not a number") from None
        if not np.isfinite(value):
            raise DataError(f"{path}: score returned {value}, which is not a finite number")
        return value

    return score


def _reason(error: Exception, path: Path) -> str:
    """Return an error as one line: the file, the line in it if it is at fault, the message."""
    text = " ".join(str(error).split())
    if type(error).__name__ in VISIBLE:
        return f"{path}: {text}"
    file = str(path.absolute())
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == file]
    line = lines[-1] if lines else getattr(error, "lineno", None)  # of a syntax error
    place = f": line {line}" if line else ""
    return f"{path}{place}: {type(error).__name__}: {text}"
