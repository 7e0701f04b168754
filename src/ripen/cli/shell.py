"""Commands of the machine and the shell: doctor, completion."""

import argparse
from pathlib import Path

from ripen.cli import parser as whole_parser
from ripen.cli.command import command

SHELLS = ("bash", "zsh", "tcsh")
_NAMES = (
    '$(cd "$(git rev-parse --show-toplevel 2>/dev/null)/conf/competition" 2>/dev/null '
    "&& ls | sed -n 's/[.]yaml$//p')"
)
COMPLETE = {
    "bash": f'_ripen_competitions() {{ compgen -W "{_NAMES}" -- "$1"; }}',
    "zsh": f"_ripen_competitions() {{ compadd -- {_NAMES}; }}",
}


@command("doctor", "doctor", anywhere=True)
def doctor(chosen: argparse.Namespace) -> int:
    """Show what works on this machine, what is missing, and how to mend it."""
    from ripen import doctor as machine

    return machine.run()


def _completion_arguments(parser: argparse.ArgumentParser, here: Path) -> None:
    parser.add_argument("shell", choices=SHELLS, help="%(choices)s")


@command(
    "completion",
    "completion bash > ~/.local/share/bash-completion/completions/ripen",
    "completion zsh > ~/.zsh/completions/_ripen",
    arguments=_completion_arguments,
    anywhere=True,
)
def completion(chosen: argparse.Namespace) -> int:
    """Print a script that lets a shell complete ripen's commands."""
    import shtab

    whole = whole_parser()
    # shtab completes argparse's choices; the script lists the competitions' files itself.
    for each in whole._subparsers._group_actions[0].choices.values():  # type: ignore[union-attr]
        for action in each._actions:
            if action.dest == "competition":
                action.complete = dict.fromkeys(COMPLETE, "_ripen_competitions")
    print(shtab.complete(whole, shell=chosen.shell, preamble=COMPLETE.get(chosen.shell, "")))
    return 0
