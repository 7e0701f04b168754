"""The command `ripen`. Each module beside this one holds some of its commands."""

import argparse
import os
import re
import sys
import textwrap
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from ripen.cli.command import COMMANDS, INTERRUPTED
from ripen.core.errors import RipenError, UsageError, line
from ripen.core.registry import nearest
from ripen.settings import compose as config

DISTRIBUTION = "ripen-pipeline"
WIDTH = 78  # of help that argparse does not wrap
_NO_COMMAND = re.compile("argument COMMAND: invalid choice: '(.*)' \\(choose from")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Returns
    -------
    int
        Exit code: 0, 1 for what is wrong with the data, 2 for what is wrong with the usage, 130
        after Ctrl-C.
    """
    folder = Path.cwd()
    root = _root(folder)
    chosen = parser(folder.relative_to(root) if root else Path()).parse_args(arguments)
    try:
        if chosen.anywhere:
            root = root or folder
        elif root is None:
            raise UsageError(f"{folder} has no {config.CONF}/. Run ripen in its repository")
        os.chdir(root)
        code: int = chosen.run(chosen)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("\nripen: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader, `head` for one, has enough. Python would print a traceback as it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if (text := line(error)) is None:
            raise
        print(f"ripen: {text}", file=sys.stderr)
        return getattr(error, "exit_code", RipenError.exit_code)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as every error of ripen is."""

    def error(self, message: str) -> NoReturn:
        if wrong := _NO_COMMAND.match(message):
            message = f"unknown command '{wrong[1]}'{nearest(wrong[1], COMMANDS)}"
        super().error(line(UsageError(message)) or "")


def _root(folder: Path) -> Path | None:
    """Return the clone that a folder is in, None where it is in none."""
    found = (f for f in (folder, *folder.parents) if (f / config.CONF / "config.yaml").is_file())
    return next(found, None)


def parser(here: Path = Path()) -> argparse.ArgumentParser:
    """Return the parser of the command line.

    Parameters
    ----------
    here : Path
        Where the command was typed, from the repository's root.
    """
    parser = _Parser(
        prog="ripen",
        description="From a competition's files to a submission, the same bytes every time.",
        epilog="Begin with `ripen run`, which needs no download, or enter your own competition: "
        "`ripen new NAME --from FILES`. Each command explains itself: `ripen run --help`.",
    )
    parser.add_argument("--version", action="version", version=f"ripen {version(DISTRIBUTION)}")
    parser.set_defaults(run=lambda chosen: _list_commands(parser), anywhere=True)
    commands = parser.add_subparsers(metavar="COMMAND")
    for name, command in COMMANDS.items():
        added = commands.add_parser(
            name,
            help=command.run.__doc__,
            description=textwrap.fill(command.run.__doc__ or "", WIDTH),
            epilog="\n  ".join(["examples:", *(f"ripen {words}" for words in command.examples)]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(run=command.run, anywhere=command.anywhere)
        command.arguments(added, here)
    return parser


def _list_commands(parser: argparse.ArgumentParser) -> int:
    parser.print_help()
    return UsageError.exit_code
