"""The errors of this package. Each message says where, what was found, and what is allowed."""

from collections.abc import Iterator
from contextlib import contextmanager


class CaffeError(Exception):
    """The base of all errors that this package raises."""


class FormatError(CaffeError):
    """A file is invalid: truncated, of another format, or with an unknown field."""


class NetError(CaffeError):
    """A net is invalid: unknown layer, missing bottom, duplicate top."""


class LayerError(CaffeError):
    """A layer's settings or inputs are invalid; the message names the layer."""


class ShapeError(CaffeError):
    """Shapes do not fit; the message gives both."""


class SolverError(CaffeError):
    """A solver's settings are invalid, or its state does not fit its net."""


class InputError(CaffeError, ValueError):
    """An argument is invalid: an array's shape, the name of an input."""


class RealCaffeUnavailable(CaffeError):
    """Real Caffe 1.0 is not installed and cannot be; the message says how to get it."""


class RealCaffeRefused(CaffeError):
    """Real Caffe 1.0 refused a net, a solver or a call; the message is its last fatal line."""


@contextmanager
def naming(place: object) -> Iterator[None]:
    """Prefix errors with a location, such as a file, unless they begin with it already."""
    try:
        yield
    except CaffeError as error:
        if str(error).startswith(str(place)):
            raise
        raise type(error)(f"{place}: {error}") from error.__cause__


class SpecError(NetError, AttributeError, KeyError, TypeError):
    """A NetSpec is invalid: an unknown field or top, a value of the wrong type.

    It is also each of the built-in errors that pycaffe raises in such cases.
    """

    __str__ = Exception.__str__  # not KeyError's, which quotes it


class MappingError(NetError, AssertionError, RuntimeError):
    """Two tops cannot be mapped to each other's coordinates; the built-in errors are pycaffe's."""
