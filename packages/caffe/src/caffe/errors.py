"""The errors of this package. Each message says where, what was found, and what is allowed."""

from collections.abc import Iterator
from contextlib import contextmanager


class CaffeError(Exception):
    """The base of all errors that this package raises."""


class FormatError(CaffeError):
    """A file is invalid: truncated, of another format, or with an unknown field."""


class UnreadableError(FormatError, OSError, RuntimeError):
    """A file cannot be opened, or is no image; scripts catch it as pycaffe's built-in errors do.

    That is an OSError from `caffe.io.load_image` and a RuntimeError from `caffe.Net`.
    """


class MissingFile(UnreadableError, FileNotFoundError):
    """There is no such file."""


class ValuesError(FormatError, ValueError):
    """Stored values do not fit their shape: numpy's ValueError in pycaffe."""


class NetError(CaffeError):
    """A net is invalid: unknown layer, missing bottom, duplicate top."""


class LayerError(CaffeError):
    """A layer's settings or inputs are invalid; the message names the layer."""


class ShapeError(CaffeError, ValueError):
    """Shapes do not fit; the message gives both."""


class MemoryExceeded(CaffeError):
    """A net exceeds the device's memory.

    Attributes
    ----------
    fits : int
        A batch that would fit.
    """

    def __init__(self, message: str, fits: int) -> None:
        super().__init__(message)
        self.fits = fits


class ArraysError(LayerError, RuntimeError):
    """Arrays for a MemoryData layer are invalid; a RuntimeError in pycaffe."""


class ModuleError(LayerError, ImportError):
    """A Python layer's module is missing: an ImportError in pycaffe."""

    __str__ = Exception.__str__


class ClassMissing(LayerError, AttributeError):
    """A Python layer's module lacks its class, or that a method: an AttributeError in pycaffe."""


class LookupFailed(NetError, ValueError, KeyError):
    """A net has no layer or blob of this name: in pycaffe a ValueError or a KeyError."""

    __str__ = Exception.__str__  # not KeyError's, which quotes it


class AssignmentError(NetError, TypeError):
    """A value other than a blob was assigned to a list of blobs."""


class CallError(NetError, TypeError):
    """A net was made with invalid arguments."""


class CopyError(NetError, RuntimeError):
    """A net or a solver cannot be copied or pickled: a RuntimeError in pycaffe."""


class ReadOnlyError(NetError, AttributeError):
    """An attribute that no script may replace, such as a net's `params`."""


class SolverError(CaffeError):
    """A solver's settings are invalid, or its state does not fit its net."""


class InputError(CaffeError, ValueError, IndexError, RuntimeError):
    """An argument is invalid: an array's shape, the name of an input.

    It is also each of the built-in errors that numpy and scipy raise in pycaffe for such arguments.
    """


class ArrayNeeded(InputError, AttributeError):
    """Something else than an array was given: in pycaffe it lacks the attribute `shape`."""


class SeedError(InputError, OverflowError):
    """A negative seed, or one of more than 32 bits: an OverflowError in pycaffe."""


class BatchError(NetError, ValueError, RuntimeError):
    """Arrays for `forward_all` are missing or differ in length."""


class KeywordsError(NetError, TypeError, RuntimeError):
    """`Blob.reshape` was given keywords."""


class NotInstalled(CaffeError, AttributeError):
    """A name needs a package that is not installed; the message has the command to install it."""


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


def first_line(error: Exception) -> str:
    """Return the first line of another library's error, or its kind if it has no text."""
    return str(error).partition("\n")[0] or type(error).__name__


class SpecError(NetError, AttributeError, KeyError, TypeError, ValueError):
    """A NetSpec is invalid: an unknown field or top, a value of the wrong type.

    It is also each of the built-in errors that pycaffe raises in such cases.
    """

    __str__ = Exception.__str__  # not KeyError's, which quotes it


class MappingError(NetError, AssertionError, AttributeError, KeyError, RuntimeError):
    """Two tops cannot be mapped to each other's coordinates; the built-in errors are pycaffe's."""

    __str__ = Exception.__str__  # not KeyError's, which quotes it
