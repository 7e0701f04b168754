"""The log in glog's format, so that tools for real Caffe's logs work on ours.

    I1124 20:00:01.123456 12345 solver.cpp:239] Iteration 0, loss = 2.3

Lines go to the Python logger `caffe`, which prints them on standard error from `import caffe` on,
as real Caffe does; each names the source line of real Caffe that writes it. The variable
`GLOG_minloglevel` or `caffe.init_log(level)` says from which severity on: 0 info, 1 warning,
2 error, 3 none.
"""

import getpass
import logging
import os
import re
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from google.protobuf.message import Message

from caffe.errors import FormatError
from caffe.formats import to_text

logger = logging.getLogger("caffe")

# glog's severities. FATAL is raised as an error instead; as a level it silences the log.
INFO, WARNING, ERROR, FATAL = range(4)
_LEVELS = (logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL + 1)


class GlogFormatter(logging.Formatter):
    """Formats a record as a line of glog."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.localtime(record.created)
        clock = time.strftime("%m%d %H:%M:%S", moment)
        where = getattr(record, "where", f"{record.filename}:{record.lineno}")
        micro = int(record.created % 1 * 1e6)
        letter = record.levelname[0].replace("C", "F").replace("D", "I")
        thread, text = threading.get_native_id(), record.getMessage().removesuffix("\n")
        return f"{letter}{clock}.{micro:06d} {thread:5d} {where}] {text}"


class _ToStandardError(logging.Handler):
    """Writes to the current `sys.stderr`, even if that was replaced after set-up."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(self.format(record) + "\n")
        sys.stderr.flush()


def info(where: str, message: str, *arguments: object) -> None:
    """Log a line; `where` is its place in real Caffe's source, such as solver.cpp:239."""
    logger.info(message, *arguments, extra={"where": where})


def warning(where: str, message: str, *arguments: object) -> None:
    """Log a warning."""
    logger.warning(message, *arguments, extra={"where": where})


def error(where: str, message: str, *arguments: object) -> None:
    """Log an error; the program goes on."""
    logger.error(message, *arguments, extra={"where": where})


def text(message: Message) -> str:
    """Return a message as prototxt with numbers as C++ writes them: 1, not 1.0."""
    return re.sub(r"(: -?\d+)\.0$", r"\1", to_text(message), flags=re.MULTILINE)


def enabled() -> bool:
    """Return whether lines are shown at all; check it before formatting an expensive one."""
    return logger.isEnabledFor(logging.INFO)


def init_log(level: int = INFO) -> None:
    """Print the log on standard error from this severity on: 0 info, 1 warning, 2 error, 3 none."""
    logger.setLevel(_LEVELS[min(max(level, INFO), FATAL)])
    if not any(isinstance(handler, _ToStandardError) for handler in logger.handlers):
        handler = _ToStandardError()
        handler.setFormatter(GlogFormatter())
        logger.addHandler(handler)


def log(message: str) -> None:
    """Write a script's own line to the log, as pycaffe's `caffe.log`."""
    info("_caffe.cpp:55", "%s", message)


class _ToFile(logging.FileHandler):
    """Writes the log to a file as long as that is possible: no training ends for its log."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Say once why there is no more of the log in the file."""
        logger.removeHandler(self)
        why = sys.exc_info()[1]
        with suppress(OSError):  # what is in its buffer does not fit either
            self.close()
        warning(
            "logging.cc:1017",
            "%s: cannot be written: %s. The log goes on on standard error alone",
            self.baseFilename,
            getattr(why, "strerror", why),
        )


def log_to_folder(folder: str | os.PathLike[str], program: str) -> Path:
    """Write the log to a file as well, named as glog names it; return its path.

    Raises
    ------
    FormatError
        If it cannot be written.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S")
    name = f"{program}.{socket.gethostname()}.{getpass.getuser()}.log.INFO.{stamp}.{os.getpid()}"
    path = Path(folder) / name
    try:
        handler = _ToFile(path, encoding="utf-8")
    except OSError as error:
        raise FormatError(f"{path}: cannot be written: {error.strerror}") from None
    handler.setFormatter(GlogFormatter())
    logger.addHandler(handler)
    _link(path.with_name(f"{program}.INFO"), path.name)
    return path


def _link(link: Path, target: str) -> None:
    """Let the link that scripts read, such as `caffe.INFO`, name the newest log."""
    with suppress(OSError):  # as glog: a file system without links has none
        link.unlink(missing_ok=True)
        link.symlink_to(target)


def level_of_environment() -> int:
    """Return the severity in GLOG_minloglevel; INFO if it is not set."""
    given = os.environ.get("GLOG_minloglevel", "")  # noqa: SIM112 - its name
    return int(given) if re.fullmatch("[0-9]", given) else INFO
