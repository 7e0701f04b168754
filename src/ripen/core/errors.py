"""Errors that a user can cause. Each prints as one line on standard error and sets an exit code."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST = 200  # characters of a name in an error
LONGEST_LINE = 1500  # of an error


def shown(name: str | os.PathLike[str]) -> str:
    """Return a name from outside as errors show it: short, and nothing that a terminal obeys.

    >>> shown("a\\x1b[2Jb.jpg")
    'a\\\\x1b[2Jb.jpg'
    """
    text = os.fspath(name)
    text = text if text.isprintable() else repr(text)[1:-1]
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}…{text[-LONGEST // 2 :]}"


class RipenError(Exception):
    """An error whose message names the place, the problem, the allowed values and the next step."""

    exit_code = 1


class DataError(RipenError):
    """A data file is missing, invalid or damaged, or cannot be written."""


class StoreError(RipenError):
    """A store of runs or trials cannot be read or written."""


class TrainingError(RipenError):
    """Training cannot continue, because the loss is infinite or not a number."""


class DeviceError(RipenError):
    """The device that the settings name is not there, fails, or has too little memory."""


class EngineUnavailable(RipenError):
    """Real Caffe is not installed; the message explains how to install it."""


class EngineRefused(RipenError):
    """Caffe rejected its input; the message is Caffe's last fatal line."""


class UsageError(RipenError):
    """The command line names something that does not exist."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting is unknown, invalid or out of range, or conf/ and params.yaml differ."""


class SourceError(RipenError):
    """A source does not have a file, or refuses to send it.

    Parameters
    ----------
    reason : str
        What happened, without a full stop at the end.
    advice : str
        What the user can do about it; "" for nothing.
    """

    def __init__(self, reason: str, advice: str = "") -> None:
        super().__init__(f"{reason}. {advice}" if advice else reason)
        self.reason = reason
        self.advice = advice


def line(error: BaseException) -> str | None:
    """Return the one line that an error ends a command with; None if the program is at fault.

    It is short, and control characters in names of files are escaped: a terminal would obey them.
    """
    text = _text(error)
    if text is None:
        return None
    text = " ".join(text.split())
    text = text if text.isprintable() else repr(text)[1:-1]
    return text if len(text) <= LONGEST_LINE else f"{text[:400]} … {text[400 - LONGEST_LINE :]}"


def _text(error: BaseException) -> str | None:
    caffe = sys.modules.get("caffe.errors")  # only where a net was made
    if isinstance(error, RipenError) or (caffe and isinstance(error, caffe.CaffeError)):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        named = isinstance(error.filename, str | bytes)  # a file may be a number
        name = f"{os.fsdecode(error.filename)}: " if named else ""
        return f"{name}{error.strerror}"
    if isinstance(error, MemoryError):
        return f"there is not enough memory: {error or 'close other programs, or use less data'}"
    if isinstance(error, ValueError) and "null byte" in str(error):
        return f"a path contains NUL: {error}"
    return None


@contextmanager
def reading(
    path: str | os.PathLike[str], remedy: str = "Make it again: dvc repro"
) -> Iterator[None]:
    """Turn whatever a parser raises on a damaged file into a DataError that names the file.

    Raises
    ------
    DataError
        For every exception in the block but a RipenError and a MemoryError.
    """
    try:
        yield
    except (RipenError, KeyboardInterrupt, MemoryError):
        raise
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)  # PyArrow's names the file alone
        reason = os.strerror(errno.ENOENT) if missing else error.strerror
        reason = reason or " ".join(str(error).split())
        raise DataError(f"{shown(path)}: cannot be read: {reason}. {remedy}") from None
    except Exception as error:  # parsers raise errors of any type on damaged files
        reason = " ".join(str(error).split())[:LONGEST] or type(error).__name__
        raise DataError(
            f"{shown(path)}: is damaged, or another kind of file: {reason}. {remedy}"
        ) from None
