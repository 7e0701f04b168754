"""Errors that a user can cause: one clear line on standard error and an exit code."""


class RipenError(Exception):
    """What was wrong, where, what is allowed and what to do next, in one line."""

    exit_code = 1


class DataError(RipenError):
    """A file of the competition is not what it should be."""


class StoreError(RipenError):
    """A store of runs or of trials cannot be read or written."""


class TrainingError(RipenError):
    """Training cannot go on: the loss overflowed or is not a number."""


class EngineUnavailable(RipenError):
    """Real Caffe cannot be had here; the message says how to get it."""


class EngineRefused(RipenError):
    """A Caffe refuses what it was given; the message is its last fatal line."""


class UsageError(RipenError):
    """The command line asks for something that does not exist."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting is unknown, of the wrong type or out of range, or conf/ and params.yaml differ."""


class SourceError(RipenError):
    """A source does not have, or does not give, what is asked of it.

    Parameters
    ----------
    reason : str
        What happened, with no full stop at the end.
    advice : str
        What the user can do about it, where there is something.
    """

    def __init__(self, reason: str, advice: str = "") -> None:
        super().__init__(f"{reason}. {advice}" if advice else reason)
        self.reason = reason
        self.advice = advice
