"""The module `kaggle_metric_utilities` that Kaggle's metric files import.

It has the five names of Kaggle's own module, written from their behaviour
(https://www.kaggle.com/code/metric/kaggle-metric-utilities). Kaggle hides errors that may reveal
the solution from participants. Here all errors are shown, but a metric file may rely on an error's
class.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


class ParticipantVisibleError(Exception):
    """The submission is at fault."""


class HostVisibleError(Exception):
    """The metric or the solution is at fault."""


def treat_as_participant_error(
    error_message: str, solution: pd.DataFrame | pd.Series | NDArray[Any]
) -> bool:
    """Return whether an error's message cannot reveal a value of the solution.

    It cannot if the solution holds only numbers and booleans, and the message has no digit and,
    with booleans, neither "true" nor "false".
    """
    kinds = pd.DataFrame(solution).dtypes
    if not all(pd.api.types.is_numeric_dtype(kind) for kind in kinds):
        return False
    words = ("true", "false") if any(map(pd.api.types.is_bool_dtype, kinds)) else ()
    text = error_message.lower()
    return not any(letter.isnumeric() for letter in text) and not any(w in text for w in words)


def safe_call_score(
    metric_function: Callable[..., Any], solution: Any, submission: Any, **metric_func_kwargs: Any
) -> Any:
    """Call a metric, and raise its errors as the participant's or the host's.

    Raises
    ------
    ParticipantVisibleError
        For an error of that name, or one whose message cannot reveal a value of the solution.
    HostVisibleError
        For an error of that name. Any other error is raised unchanged.
    """
    try:
        return metric_function(solution, submission, **metric_func_kwargs)
    except Exception as error:
        kinds = {kind.__name__: kind for kind in (ParticipantVisibleError, HostVisibleError)}
        if known := kinds.get(type(error).__name__):
            raise known(str(error)) from error
        if treat_as_participant_error(str(error), solution):
            raise ParticipantVisibleError(str(error)) from error
        raise


def verify_valid_probabilities(df: pd.DataFrame, df_name: str) -> None:
    """Check that a table of target columns holds probabilities whose rows sum to 1.

    Raises
    ------
    ParticipantVisibleError
        If it does not.
    """
    faults = {
        "must be numeric": not all(map(pd.api.types.is_numeric_dtype, df.dtypes)),
    }
    if not any(faults.values()):  # the other checks need numbers
        faults |= {
            "must be at least zero": bool((df < 0).any(axis=None)),
            "must be no greater than one": bool((df > 1).any(axis=None)),
            "must sum to one in each row": not np.allclose(df.sum(axis=1), 1),
        }
    for words, found in faults.items():
        if found:
            raise ParticipantVisibleError(f"All target values in {df_name} {words}")
