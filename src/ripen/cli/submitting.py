"""Command submit, and the submissions below the leaderboard."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ripen.cli.command import command, known, one_competition
from ripen.core.atomic import write_bytes, write_text
from ripen.core.layout import Layout
from ripen.settings import compose as config
from ripen.settings import yaml_files

if TYPE_CHECKING:
    from ripen.kaggle.job import Job
    from ripen.kaggle.ledger import Submission

COPIES = Path(".ripen/experiments")
"""Copies of what experiments hold, by their commit. Git ignores them."""


def _submit_arguments(parser: argparse.ArgumentParser, here: Path) -> None:
    one_competition(parser, here)
    parser.add_argument("-m", "--message", help="the description that Kaggle shows")
    parser.add_argument("--experiment", metavar="X", help="a DVC experiment: send its submission")
    parser.add_argument(
        "--dry-run", action="store_true", help="check and show the submission; send nothing"
    )
    parser.add_argument(
        "--force", action="store_true", help="send a file again that was sent before"
    )


@command(
    "submit",
    "submit titanic --dry-run",
    "submit titanic -m 'five folds'",
    "submit titanic --experiment gusty-hoke",
    arguments=_submit_arguments,
)
def submit(chosen: argparse.Namespace) -> int:
    """Send a competition's submission.csv to Kaggle, and show its score."""
    # Importing pandas and MLflow takes a second, which the other commands need not wait.
    from ripen.kaggle import ledger
    from ripen.kaggle import submit as sending

    name, message = known(chosen.competition), chosen.message
    if chosen.experiment is None:
        job = _present(name, message)
    else:
        job = _of_experiment(name, message, chosen.experiment)
    sending.run(job, dry_run=chosen.dry_run, force=chosen.force)
    if not chosen.dry_run:
        _write_page(name, ledger.read(ledger.path(name)))
    return 0


def _present(name: str, message: str | None) -> "Job":
    """Return the submission of the working tree."""
    from ripen.judge.leaderboard import read_metrics
    from ripen.kaggle import job
    from ripen.track import experiments

    competition, layout = config.load_competition(name), Layout(name)
    slug, model = job.target(name, competition)
    model, score = job.model_and_score(read_metrics(name), model, str(layout.metrics))
    run = experiments.model_run(config.load_run(), name, model)
    return job.Job(
        name, competition, slug, model, layout.submission, job.origin(), score, run, message
    )


def _of_experiment(name: str, message: str | None, experiment: str) -> "Job":
    """Return the submission of a DVC experiment, from copies of its files."""
    from ripen.kaggle import dvc_experiment, job
    from ripen.track import experiments

    found, layout = dvc_experiment.find(experiment), Layout(name)
    folder = COPIES / found.commit[:12]
    params, file = folder / config.PARAMS, folder / layout.submission
    write_bytes(params, found.read(config.PARAMS))
    competition = config.load_competition(name, params)
    slug, model = job.target(name, competition)
    where = f"{layout.metrics} of experiment '{experiment}'"
    model, score = job.model_and_score(found.json(layout.metrics), model, where)
    write_bytes(file, found.read(layout.submission))
    settings = config.load_run()
    tracked = experiments.all_experiments(settings).get(name)
    runs = [
        run.info.run_id
        for run in experiments.find(settings, experiment)
        if tracked is not None and run.info.experiment_id == tracked.experiment_id
    ]
    made, run = job.Origin(found.commit, experiment=experiment), next(iter(runs), None)
    return job.Job(name, competition, slug, model, file, made, score, run, message)


def refresh(competitions: Sequence[str], *, every: bool) -> None:
    """Ask Kaggle for the scores of the ledgers' submissions, and how many are left today.

    Parameters
    ----------
    competitions : sequence of str
    every : bool
        Whether these are all chosen competitions. Those not on Kaggle are then skipped.
    """
    from ripen.kaggle import submit as sending

    for name in competitions:
        competition = config.load_competition(name)
        if every and "kaggle" not in competition.source:
            continue
        left = sending.refresh(name, competition)
        if left is not None:
            print(f"{name}: Kaggle takes {left} more today")


def show_submissions(name: str) -> None:
    """Print a competition's ledger, and how well cross-validation and leaderboard agree."""
    from ripen.judge import terminal
    from ripen.kaggle import ledger

    entries = ledger.read(ledger.path(name))
    if entries:
        printed = terminal.console()
        printed.print(ledger.table(entries, f"{name}: submissions", printed.width))
        print(ledger.agreement(entries).text)
        left = ledger.left_today(entries)
        asked = "unknown (--refresh asks Kaggle)"
        print(f"submissions left today: {asked if left is None else left}")
    # One that params.yaml does not hold is an earlier run's, whose scores are shown all the same.
    settings = yaml_files.read(config.PARAMS)["competition"].get(name, {"source": ()})
    if entries or "kaggle" in settings["source"]:
        print(f"submissions: {_write_page(name, entries)}")


def _write_page(name: str, entries: "Sequence[Submission]") -> Path:
    """Write the page that the report links to; return its file."""
    from ripen.judge import submissions
    from ripen.kaggle import ledger

    found, file = ledger.agreement(entries), Layout(name).submissions
    nothing = f"Nothing was submitted yet. To submit: ripen submit {name}"
    page = submissions.Submissions(
        name,
        found.text if entries else nothing,
        found.facts,
        ledger.headings(entries),
        ledger.rows(entries),
        found.points,
    )
    write_text(file, submissions.html(page))
    return file
