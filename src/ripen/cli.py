"""The command `ripen`."""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ripen.core.atomic import write_text
from ripen.core.errors import ConfigError, DataError, RipenError, UsageError
from ripen.core.registry import nearest
from ripen.settings import compose as config


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Returns
    -------
    int
        Exit code: 0, 1 for what is wrong with the data, 2 for what is wrong with the usage.
    """
    chosen = _parser().parse_args(arguments)
    try:
        if not config.CONF.is_dir():
            raise UsageError(f"{Path.cwd()} has no {config.CONF}/. Run ripen in its repository")
        code: int = chosen.command(chosen)
        return code
    except RipenError as error:
        print(f"ripen: {error}", file=sys.stderr)
        return error.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ripen", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
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
    ):
        added = commands.add_parser(name, parents=parents, help=command.__doc__)
        added.set_defaults(command=command)
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
    _add_new(commands.add_parser("new", help=_new.__doc__))
    _add_sweep(commands.add_parser("sweep", help=_sweep.__doc__))
    _add_classify(commands.add_parser("classify", help=_classify.__doc__))
    _add_import(commands.add_parser("import-net", help=_import_net.__doc__))
    _add_submit(commands.add_parser("submit", help=_submit.__doc__))
    return parser


def _add_new(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_new)
    parser.add_argument("name", metavar="NAME", help="what the competition is called here")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--kaggle", metavar="SLUG", help="what Kaggle calls it in its address")
    source.add_argument(
        "--from", dest="files", type=Path, metavar="PATH", help="a folder or zip file of its files"
    )
    parser.add_argument("-y", "--yes", action="store_true", help="ask nothing, take the likeliest")


def _add_sweep(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_sweep)
    parser.add_argument("competition", metavar="C", help="the competition")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="e.g. sweep=nodes")
    parser.add_argument(
        "-m", "--multirun", nargs="*", metavar="KEY=V1,V2", help="sweep these, in Hydra's syntax"
    )
    parser.add_argument("-y", "--yes", action="store_true", help="however many trials there are")


def _add_classify(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_classify)
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="file, folder, or - to read one")
    parser.add_argument("--net", default="squeezenet", help="a folder of models/ (%(default)s)")
    parser.add_argument(
        "--top", type=_count, default=5, help="number of classes to print (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_import_net)
    parser.add_argument("net", metavar="NAME", help="a folder of models/; with --arch a new one")
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="a local file, .pth or .safetensors"
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
    return code or _show(config.load_run().competitions)


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
