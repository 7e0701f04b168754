"""What can be wrong with a net, a file or a call: each message says where, what came, what is
allowed.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class CaffeError(Exception):
    """The base of all errors that this package raises."""


class FormatError(CaffeError):
    """A file is not what it should be: truncated, of another format, with an unknown field."""


class NetError(CaffeError):
    """A net is put together wrongly: unknown layer, missing bottom, duplicate top."""


class LayerError(CaffeError):
    """A layer's settings or inputs are not allowed; the message names the layer."""


class ShapeError(CaffeError):
    """Shapes do not fit; the message gives both."""


class SolverError(CaffeError):
    """A solver's settings are not allowed, or its state does not fit its net."""


class InputError(CaffeError, ValueError):
    """An argument is not allowed: an array's shape, the name of an input."""


class RealCaffeUnavailable(CaffeError):
    """Real Caffe 1.0 is not installed and cannot be; the message says how to get it."""


class RealCaffeRefused(CaffeError):
    """Real Caffe 1.0 refused a net, a solver or a call; the message is its last fatal line."""


@contextmanager
def naming(place: object) -> Iterator[None]:
    """Put a place, such as a file, before the message of an error, unless it is there already."""
    try:
        yield
    except CaffeError as error:
        if str(error).startswith(str(place)):
            raise
        raise type(error)(f"{place}: {error}") from error.__cause__


class SpecError(NetError, AttributeError, KeyError, TypeError):
    """A net is written down wrongly in Python: an unknown field or top, a value of another type.

    It is the built-in errors too that pycaffe raises there.
    """

    __str__ = Exception.__str__  # not KeyError's, which quotes it


class MappingError(NetError, AssertionError, RuntimeError):
    """Two tops cannot be mapped to each other's coordinates; the built-in errors are pycaffe's."""
