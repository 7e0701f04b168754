"""Nets that somebody else made: their Python layers run only where the user asks for it."""

import os
from contextlib import nullcontext
from typing import Any

import caffe
from caffe.layers.python import without_python_layers

ALLOWED = "RIPEN_PYTHON_LAYERS"
"""The environment variable that allows Python layers, where it is 1."""
_REMEDY = f"If you trust it, set the environment variable {ALLOWED}=1"


def open_net(definition: Any, phase: int, weights: str | None = None) -> caffe.Net:
    """Return `caffe.Net` of a definition, with Python layers refused unless `ALLOWED` is 1.

    Parameters
    ----------
    definition, phase, weights
        As of `caffe.Net`.

    Raises
    ------
    CaffeError
        If the net has a Python layer; otherwise as `caffe.Net`.
    """
    allowed = os.environ.get(ALLOWED) == "1"
    with nullcontext() if allowed else without_python_layers(_REMEDY):
        return caffe.Net(definition, phase, weights=weights)
