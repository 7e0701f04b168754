"""The command `ripen`."""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from ripen.core.atomic import write_text
from ripen.core.errors import ConfigError, DataError, RipenError, UsageError
from ripen.core.registry import nearest
from ripen.settings import compose as config

DISTRIBUTION = "ripen-pipeline"
SHELLS = ("bash", "zsh", "tcsh")
_NAMES = (
    '$(cd "$(git rev-parse --show-toplevel 2>/dev/null)/conf/competition" 2>/dev/null '
    "&& ls | sed -n 's/[.]yaml$//p')"
)
COMPLETE = {
    "bash": f'_ripen_competitions() {{ compgen -W "{_NAMES}" -- "$1"; }}',
    "zsh": f"_ripen_competitions() {{ compadd -- {_NAMES}; }}",
}
WRITTEN = ("params.yaml", "dvc.lock", "metrics")  # by a run, and tracked by git
EXAMPLES = {
    "compose": ["compose", "compose solver.base_lr=0.05", "compose 'competitions=[digits]'"],
    "run": [
        "run",
        "run 'competitions=[avocado]' solver.base_lr=0.01",
        "run competition.digits.solver.max_iter=60",
    ],
    "new": ["new titanic --kaggle titanic", "new shop --from ~/downloads/shop.zip --yes"],
    "check": ["check titanic"],
    "leaderboard": ["leaderboard", "leaderboard avocado"],
    "find": ["find pappy-good"],
    "ui": ["ui", "ui --port 5001 --no-browser"],
    "doctor": ["doctor"],
    "completion": ["completion bash > ~/.local/share/bash-completion/completions/ripen"],
    "sweep": [
        "sweep avocado",
        "sweep avocado sweep=nodes",
        "sweep avocado -m solver.base_lr=0.01,0.1 'net.hidden_layers=[4],[8,8]'",
    ],
    "classify": ["classify cat.jpg", "classify --net efficientnet_lite0 --top 3 images/"],
    "import-net": [
        "import-net efficientnet_lite0",
        "import-net my_resnet --arch torchvision:resnet18 --weights resnet18.pth",
    ],
    "submit": ["submit titanic --dry-run", "submit titanic -m 'five folds'"],
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Returns
    -------
    int
        Exit code: 0, 1 for what is wrong with the data, 2 for what is wrong with the usage.
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
        code: int = chosen.command(chosen)
        return code
    except RipenError as error:
        print(f"ripen: {error}", file=sys.stderr)
        return error.exit_code


def _root(folder: Path) -> Path | None:
    """Return the clone that a folder is in, None where it is in none."""
    found = (f for f in (folder, *folder.parents) if (f / config.CONF / "config.yaml").is_file())
    return next(found, None)


def parser(here: Path = Path()) -> argparse.ArgumentParser:
    """Return the parser of the command line.

    Parameters
    ----------
    here : Path
        Where the command was typed, from the repository's root: paths among its arguments are
        relative to it, and the commands run in the root.
    """
    parser = argparse.ArgumentParser(prog="ripen", description="Experiments that run again.")
    parser.add_argument("--version", action="version", version=f"ripen {version(DISTRIBUTION)}")
    parser.set_defaults(command=lambda chosen: _list_commands(parser), anywhere=True)
    commands = parser.add_subparsers(metavar="COMMAND")
    overrides = argparse.ArgumentParser(add_help=False)
    overrides.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="Hydra overrides, e.g. solver.base_lr=0.1"
    )
    for name, command, parents in (
        ("compose", _compose, [overrides]),
        ("run", _run, [overrides]),
        ("leaderboard", _leaderboard, []),
        ("find", _find, []),
        ("ui", _ui, []),
        ("check", _check, []),
        ("doctor", _doctor, []),
        ("completion", _completion, []),
    ):
        added = commands.add_parser(name, parents=parents, help=command.__doc__)
        added.set_defaults(command=command)
        if command is _completion:
            added.add_argument("shell", choices=SHELLS, help="%(choices)s")
        if command is _leaderboard:
            added.add_argument("competition", nargs="?", metavar="C", help="default: all chosen")
        if command is _check:
            added.add_argument("competition", metavar="NAME", help="the competition")
        if command is _find:
            added.add_argument("name", help="a DVC experiment, or an MLflow run's id")
        if command is _ui:
            added.add_argument(
                "--port", type=_port, default=5000, help="of the server (%(default)s)"
            )
            added.add_argument(
                "--no-browser",
                dest="browser",
                action="store_false",
                help="print the addresses only",
            )
    _add_new(commands.add_parser("new", help=_new.__doc__), here)
    _add_sweep(commands.add_parser("sweep", help=_sweep.__doc__))
    _add_classify(commands.add_parser("classify", help=_classify.__doc__), here)
    _add_import(commands.add_parser("import-net", help=_import_net.__doc__), here)
    _add_submit(commands.add_parser("submit", help=_submit.__doc__))
    for name, added in commands.choices.items():
        command = added.get_default("command")
        added.set_defaults(anywhere=command in (_doctor, _completion))
        added.description = command.__doc__
        added.formatter_class = argparse.RawDescriptionHelpFormatter
        examples = [f"ripen {line}" for line in EXAMPLES.get(name, ())]
        added.epilog = "\n  ".join(["examples:", *examples]) if examples else None
    return parser


def _add_new(parser: argparse.ArgumentParser, here: Path) -> None:
    parser.set_defaults(command=_new)
    parser.add_argument("name", metavar="NAME", help="what the competition is called here")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--kaggle", metavar="SLUG", help="what Kaggle calls it in its address")
    source.add_argument(
        "--from",
        dest="files",
        type=here.joinpath,
        metavar="PATH",
        help="a folder or zip file of its files",
    )
    parser.add_argument("-y", "--yes", action="store_true", help="ask nothing, take the likeliest")


def _list_commands(parser: argparse.ArgumentParser) -> int:
    parser.print_help()
    return UsageError.exit_code


def _add_sweep(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_sweep)
    parser.add_argument("competition", metavar="C", help="the competition")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="e.g. sweep=nodes")
    parser.add_argument(
        "-m", "--multirun", nargs="*", metavar="KEY=V1,V2", help="sweep these, in Hydra's syntax"
    )
    parser.add_argument("-y", "--yes", action="store_true", help="however many trials there are")


def _add_classify(parser: argparse.ArgumentParser, here: Path) -> None:
    parser.set_defaults(command=_classify)
    parser.add_argument(
        "images",
        nargs="+",
        type=lambda text: text if text == "-" else str(here / text),
        metavar="IMAGE",
        help="file, folder, or - to read one",
    )
    parser.add_argument("--net", default="squeezenet", help="a folder of models/ (%(default)s)")
    parser.add_argument(
        "--top", type=_count, default=5, help="number of classes to print (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_import(parser: argparse.ArgumentParser, here: Path) -> None:
    parser.set_defaults(command=_import_net)
    parser.add_argument("net", metavar="NAME", help="a folder of models/; with --arch a new one")
    parser.add_argument(
        "--weights", type=here.joinpath, metavar="FILE", help="a local file, .pth or .safetensors"
    )
    parser.add_argument("--arch", help="a PyTorch network: torchvision:NAME or timm:NAME")
    parser.add_argument("--outputs", type=_count, help="number of classes, if not 1000")
    parser.add_argument(
        "--size", type=_count, help="height and width of the input, if not the default"
    )


def _add_submit(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_submit)
    parser.add_argument("competition", metavar="C", help="the competition")
    parser.add_argument("-m", "--message", help="its description on Kaggle")
    parser.add_argument("--dry-run", action="store_true", help="check and show it, send nothing")
    parser.add_argument("--force", action="store_true", help="send a file that was sent before")


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r}. Allowed: 1 or more")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r}. Allowed: 1 to 65535")
    return int(text)


def _compose(chosen: argparse.Namespace) -> int:
    """Write params.yaml from conf/."""
    # Importing pandas takes a second, which the other commands need not wait.
    from ripen.stages import settings

    values, notes = settings.compose(chosen.overrides)
    write_text(config.PARAMS, config.dump(values))
    for note in notes:
        print(f"note: {note}")
    return 0


def _new(chosen: argparse.Namespace) -> int:
    """Enter a competition: look at its files and write its settings."""
    # Importing pandas takes a second, which the other commands need not wait.
    from ripen.entry.new import new

    new(chosen.name, chosen.kaggle, chosen.files, chosen.yes)
    return 0


def _check(chosen: argparse.Namespace) -> int:
    """Report on a competition's data: leaks, train against test, gaps, groups, time."""
    # Importing pandas takes a second, which the other commands need not wait.
    from ripen.entry.check import check

    check(chosen.competition)
    return 0


def _run(chosen: argparse.Namespace) -> int:
    """Compose, run `dvc repro`, and show the results."""
    _compose(chosen)
    _drop_broken_lock(Path("dvc.lock"))
    code = subprocess.run([sys.executable, "-m", "dvc", "repro"], env=_environment()).returncode
    if not code:
        code = _show(config.load_run().competitions)
    if changed := _changed():
        print(f"These files that git tracks differ from the last commit: {' '.join(changed)}")
        print(f"To go back: git checkout {' '.join(changed)} && .venv/bin/dvc checkout")
        print("To keep the settings: write them into conf/, then ripen compose, and commit")
    return code


def _changed() -> list[str]:
    """Return the tracked files that a run writes and that differ from the last commit."""
    command = ["git", "status", "--porcelain", "--untracked-files=no", "--", *WRITTEN]
    done = subprocess.run(command, capture_output=True, text=True)
    return [] if done.returncode else [line[3:] for line in (done.stdout or "").splitlines()]


def _leaderboard(chosen: argparse.Namespace) -> int:
    """Show a competition's models, best first, and its submissions."""
    one = chosen.competition
    return _show([_known(one)] if one else config.load_run().competitions)


def _known(competition: str) -> str:
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


def _show(competitions: Sequence[str]) -> int:
    # Importing MLflow takes a second, which `ripen compose` need not wait.
    from ripen.judge import terminal
    from ripen.kaggle import history
    from ripen.track import experiments

    run = config.load_run()
    for competition in competitions:
        terminal.show(competition, experiments.training_seconds(run, competition))
        if entries := history.read(history.history(competition)):
            terminal.console().print(history.table(entries, f"{competition}: submissions"))
    print("browse the runs: .venv/bin/ripen ui")
    return 0


def _find(chosen: argparse.Namespace) -> int:
    """Find the MLflow runs of a DVC experiment, or the experiments of a run."""
    from ripen.track import experiments

    run = config.load_run()
    found = experiments.find(run, chosen.name)
    if not found:
        raise DataError(
            f"'{chosen.name}' is neither a DVC experiment with a run in MLflow nor a run's id. "
            "See: dvc exp list, ripen ui"
        )
    for one in found:
        names = " ".join(experiments.experiments_of(run, one)) or "none (dvc repro)"
        print(f"run {one.info.run_id}  {one.info.run_name}  DVC experiments: {names}")
    return 0


def _ui(chosen: argparse.Namespace) -> int:
    """Open MLflow's pages on the runs."""
    # Importing MLflow takes a second, which the other commands need not wait.
    from ripen.track import ui

    return ui.run(config.load_run(), chosen.port, browser=chosen.browser)


def _doctor(chosen: argparse.Namespace) -> int:
    """Show what of this machine works, what is missing, and how to mend it."""
    from ripen import doctor

    return doctor.run()


def _completion(chosen: argparse.Namespace) -> int:
    """Print a script with which a shell completes ripen's commands."""
    import shtab

    whole = parser()
    # shtab completes argparse's choices; the script lists the competitions' files itself.
    for command in whole._subparsers._group_actions[0].choices.values():  # type: ignore[union-attr]
        for action in command._actions:
            if action.dest == "competition":
                action.complete = dict.fromkeys(COMPLETE, "_ripen_competitions")
    print(shtab.complete(whole, shell=chosen.shell, preamble=COMPLETE.get(chosen.shell, "")))
    return 0


def _sweep(chosen: argparse.Namespace) -> int:
    """Train a competition's net with many settings, and show which are best."""
    from ripen.core import reproducibility
    from ripen.learn.sweeps import space

    name = chosen.competition
    run, competition = space.compose(name, chosen.overrides, chosen.multirun)
    reproducibility.hold(competition["reproducibility"], competition["threads"])
    # Only now: the stage imports numpy and torch, which read their environment once.
    from ripen.stages import sweep

    sweep.show(name, run, competition, (lambda trials: True) if chosen.yes else _confirmed)
    return 0


def _confirmed(trials: int) -> bool:
    """Ask whether so many trials may begin; on no terminal the answer is no."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    return input(f"{trials:,} trials. Train them all? [y/N] ").strip().lower() == "y"


def _classify(chosen: argparse.Namespace) -> int:
    """Classify images with a net of the zoo."""
    # Importing PyTorch takes a second, which the other commands need not wait.
    from ripen.nets import classify

    return classify.classify(chosen.images, chosen.net, chosen.top, chosen.json)


def _import_net(chosen: argparse.Namespace) -> int:
    """Import published weights or a PyTorch network as a net for Caffe."""
    # Importing PyTorch takes a second, which the other commands need not wait.
    from ripen.nets.importing.import_net import import_net

    return import_net(chosen.net, chosen.weights, chosen.arch, chosen.outputs, chosen.size)


def _submit(chosen: argparse.Namespace) -> int:
    """Send a competition's submission.csv to Kaggle, and show its score."""
    # Importing pandas and MLflow takes a second, which the other commands need not wait.
    from ripen.judge.scoring import read_metrics
    from ripen.kaggle import submit
    from ripen.track import experiments

    name = _known(chosen.competition)
    competition = config.load_competition(name)
    slug, model = submit.target(name, competition)
    if model == "best":
        model = read_metrics(name)["best"]
    run = experiments.model_run(config.load_run(), name, model)
    job = submit.Job(name, competition, slug, model, run, chosen.message)
    submit.run(job, dry_run=chosen.dry_run, force=chosen.force)
    return 0


def _drop_broken_lock(lock: Path) -> None:
    """Remove a lock file that a killed DVC left truncated; DVC's run cache restores its entries."""
    try:
        whole = not lock.exists() or "schema" in config.read(lock)
    except ConfigError:
        whole = False
    if not whole:
        lock.unlink()
        print(f"{lock} was truncated and is written anew")


def _environment() -> dict[str, str]:
    """Return an environment whose `python` is this one, as the stages' commands expect."""
    here = Path(sys.executable).parent
    return os.environ | {"PATH": f"{here}{os.pathsep}{os.environ.get('PATH', '')}"}


if __name__ == "__main__":
    sys.exit(main())
