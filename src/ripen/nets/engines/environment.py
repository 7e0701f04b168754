"""Where the engine `real` finds real Caffe 1.0: `caffe.real` looks for it and installs it."""

from pathlib import Path

from caffe import real
from caffe.errors import RealCaffeUnavailable
from caffe.real import VARIABLE
from ripen.core.errors import EngineUnavailable

__all__ = ["SCRIPT", "VARIABLE", "interpreter"]

SCRIPT = Path(__file__).with_name("pycaffe.py")


def interpreter() -> Path:
    """Return a Python that can import real Caffe; create its environment on first use.

    Raises
    ------
    EngineUnavailable
        If there is no CPython 3.9, or the wheels cannot be installed.
    """
    try:
        return real.interpreter()
    except RealCaffeUnavailable as reason:
        raise EngineUnavailable(f"{reason}; engine=torch runs without it") from None
