"""Commands of one competition: new, check, bundle."""

import argparse
from pathlib import Path

from ripen.cli.command import command, known, one_competition
from ripen.settings import compose as config


def _new_arguments(parser: argparse.ArgumentParser, here: Path) -> None:
    parser.add_argument(
        "name", metavar="NAME", help="your name for it: small letters, digits and _"
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--kaggle", metavar="SLUG", help="the end of its page's address on Kaggle: titanic"
    )
    source.add_argument(
        "--from",
        dest="files",
        type=here.joinpath,
        metavar="PATH",
        help="a folder or a zip with its files",
    )
    parser.add_argument("--metric", metavar="M", help="the metric, if you know it: rmse")
    parser.add_argument(
        "--drop-unlabelled",
        action="store_true",
        help="leave out training rows without a target, which are an error otherwise",
    )
    parser.add_argument(
        "-y", "--yes", action="store_true", help="do not ask: take the likeliest answers"
    )


@command(
    "new",
    "new my_titanic --kaggle titanic",
    "new shop --from ~/downloads/shop.zip --yes",
    arguments=_new_arguments,
)
def new(chosen: argparse.Namespace) -> int:
    """Enter a competition: read its files, write its settings to conf/competition/NAME.yaml."""
    # Importing pandas takes a second, which the other commands need not wait.
    from ripen.entry.new import new as enter

    enter(
        chosen.name,
        chosen.kaggle,
        chosen.files,
        chosen.yes,
        chosen.metric,
        chosen.drop_unlabelled,
    )
    return 0


@command("check", "check titanic", arguments=one_competition)
def check(chosen: argparse.Namespace) -> int:
    """Report problems in the data: leaks, train unlike test, missing values, groups, time."""
    # Importing pandas takes a second, which the other commands need not wait.
    from ripen.entry.check import check as examine

    examine(known(chosen.competition))
    return 0


def _bundle_arguments(parser: argparse.ArgumentParser, here: Path) -> None:
    one_competition(parser, here)
    parser.add_argument(
        "--to", type=here.joinpath, metavar="FOLDER", help="default: data/COMPETITION/bundle"
    )


@command(
    "bundle", "bundle titanic", "bundle titanic --to ~/titanic-bundle", arguments=_bundle_arguments
)
def bundle(chosen: argparse.Namespace) -> int:
    """Write what a notebook without internet needs to submit: models, wheels, the notebook."""
    from ripen.core import reproducibility

    name = known(chosen.competition)
    competition = config.load_competition(name)
    reproducibility.hold(competition.reproducibility, competition.threads)
    # Only now: numpy and torch read their environment once.
    from ripen.bundle import assemble

    folder = assemble.bundle(name, chosen.to)
    print(f"{folder}: {assemble.check_size(folder) / 1e6:.0f} MB")
    print(assemble.advice(name, folder))
    return 0
