"""Shared by the three upgrade commands: arguments, log lines and exit status."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message

from caffe.errors import FormatError, naming
from caffe.glog import logger
from caffe.tools.flags import Flags

M = TypeVar("M", bound=Message)


@dataclass
class Upgrade(Generic[M]):
    """One command.

    Attributes
    ----------
    command, arguments : str
        Its name, and its names for the two files.
    form, kind : str
        The form of its files, text or binary, and their message.
    read : callable
        Takes a path, and whether to refuse fields and types of forks.
    needed, upgrade, left_out, write : callable
        `left_out` returns messages about settings that are lost.
    """

    command: str
    arguments: str
    form: str
    kind: str
    read: Callable[[str, bool], M]
    needed: Callable[[M], bool]
    upgrade: Callable[[M], M]
    left_out: Callable[[M], list[str]]
    write: Callable[[str, M], None]

    def main(self, argv: Sequence[str]) -> int:
        """Upgrade a file; return 0, 1 if some settings were lost, 2 if it cannot be read."""
        flags = Flags(self.command, f"Upgrade a {self.kind} in a {self.form} file.")
        if self.form == "text":  # in binary files real Caffe skips fields of forks
            flags.add("strict", False, "refuse fields and types of forks")
        flags.add_argument("files", nargs="*", metavar="file", help=self.arguments)
        found = flags.parse(argv)
        if len(found.files) != 2:
            logger.error("Usage: %s %s", self.command, self.arguments)
            return 1
        source, target = found.files
        try:
            message = self.read(source, getattr(found, "strict", False))
        except FormatError as error:
            what = f"input {self.form} file as {self.kind}"
            logger.error("Failed to parse %s: %s", what, error)
            return 2
        lost = self.left_out(message)
        if self.needed(message):
            with naming(source):
                message = self.upgrade(message)
        else:
            logger.error("File already in latest proto format: %s", source)
        if lost:
            logger.error(
                "Encountered error(s) while upgrading %s; see details above.",
                "prototxt" if self.form == "text" else "proto",
            )
        self.write(target, message)
        logger.info("Wrote upgraded %s %s proto to %s", self.kind, self.form, target)
        return 1 if lost else 0
