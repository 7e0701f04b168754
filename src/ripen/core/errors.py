"""Errors that a user can cause. Each prints as one line on standard error and sets an exit code."""

import os

LONGEST = 200  # characters of a name in an error


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
