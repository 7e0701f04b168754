"""The commands' registry, and the arguments that several commands share."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ripen.core.errors import UsageError
from ripen.core.registry import Registry, nearest
from ripen.settings import compose as config

Run = Callable[[argparse.Namespace], int]
Arguments = Callable[[argparse.ArgumentParser, Path], None]
INTERRUPTED = 130  # the exit code after Ctrl-C, as shells have it


@dataclass(frozen=True)
class Command:
    """A command of `ripen`.

    Attributes
    ----------
    run : callable
        Runs it on its parsed arguments, and returns the exit code. The docstring is its help.
    arguments : callable
        Adds its arguments to a parser. The second argument is the folder where the command was
        typed, from the repository's root. Commands run in the root.
    examples : sequence of str
        Command lines, without the leading `ripen`.
    anywhere : bool
        Whether it also runs outside a clone.
    """

    run: Run
    arguments: Arguments
    examples: Sequence[str]
    anywhere: bool


COMMANDS: Registry[Command] = Registry("command", "ripen.cli")


def none(parser: argparse.ArgumentParser, here: Path) -> None:
    """Add no arguments."""


def command(
    name: str, *examples: str, arguments: Arguments = none, anywhere: bool = False
) -> Callable[[Run], Run]:
    """Return a decorator that registers a function as a command. See `Command`."""

    def registered(run: Run) -> Run:
        COMMANDS.add(name, Command(run, arguments, examples, anywhere))
        return run

    return registered


def one_competition(parser: argparse.ArgumentParser, here: Path) -> None:
    """Add the name of a competition."""
    parser.add_argument("competition", metavar="COMPETITION", help="a name from conf/competition/")


def overrides(parser: argparse.ArgumentParser, here: Path) -> None:
    """Add Hydra's overrides."""
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="settings that differ from conf/, e.g. solver.base_lr=0.1",
    )


def count(text: str) -> int:
    """Read a number of 1 or more."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r}. Allowed: 1 or more")
    return int(text)


def port(text: str) -> int:
    """Read the number of a port."""
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r}. Allowed: 1 to 65535")
    return int(text)


def known(competition: str) -> str:
    """Return the name of a competition that has a file in conf/competition/.

    Raises
    ------
    UsageError
        If there is no such file: names the nearest.
    """
    names = config.available()
    if competition not in names:
        raise UsageError(f"unknown competition '{competition}'{nearest(competition, names)}")
    return competition
