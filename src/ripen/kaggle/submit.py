"""Send a competition's submission to Kaggle and keep what came of it: `ripen submit`."""

import hashlib
import subprocess
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from ripen.competition.datasets import PHOTOS
from ripen.competition.datasets.tabular import read_columns, read_text
from ripen.core.errors import DataError, SourceError, UsageError
from ripen.data.sources import kaggle_client
from ripen.kaggle import kaggle_submission, submissions
from ripen.kaggle.submissions import Submission

KAGGLE = {name: photos.kaggle for name, photos in PHOTOS.items() if photos.kaggle}
"""Which of Kaggle's competitions one of ours is."""
FIRST_LINES = 3


@dataclass(frozen=True)
class Job:
    """What is to be sent, where, and what made it.

    Parameters
    ----------
    competition : str
        Kaggle's name of it.
    file, sample : Path
        The submission, and the sample whose form it must have.
    history : Path
        Where submissions are kept.
    model : str
        The model whose probabilities they are.
    run : str or None
        Its MLflow run.
    message : str or None
        What Kaggle keeps as the description.
    """

    competition: str
    file: Path
    sample: Path
    history: Path
    model: str
    run: str | None = None
    message: str | None = None


def kaggle_name(competition: str) -> str:
    """Return Kaggle's name of a competition of ours.

    Raises
    ------
    UsageError
        If it is not one of Kaggle's.
    """
    if competition not in KAGGLE:
        raise UsageError(
            f"'{competition}' is no competition on Kaggle, so there is nowhere to submit it. "
            f"Kaggle has: {', '.join(KAGGLE)}"
        )
    return KAGGLE[competition]


def check(file: Path, sample: Path, low: float = 0.0, high: float = 1.0) -> pd.DataFrame:
    """Make sure that a submission has the form of the sample.

    Parameters
    ----------
    file, sample : Path
        CSV files whose first column is the sample's id.
    low, high : float
        What the other columns' numbers may be, ends included.

    Returns
    -------
    DataFrame
        The ids as text, the other columns float64.

    Raises
    ------
    DataError
        If the columns, their order, the ids or their order are not the sample's, or a value is not
        a number in the range.
    """
    form = read_text(sample)
    known = ", ".join(form.columns)
    rows = read_columns(file, dict.fromkeys(form.columns, ""))
    if list(rows.columns) != list(form.columns):
        raise DataError(f"{file}: the columns are {', '.join(rows.columns)}. Needed: {known}")
    _check_ids(file, rows[form.columns[0]], sample, form[form.columns[0]])
    for name in form.columns[1:]:
        numbers = pd.to_numeric(rows[name], errors="coerce").to_numpy(np.float64)
        wrong = ~((numbers >= low) & (numbers <= high))
        if wrong.any():
            row = int(wrong.argmax())
            raise DataError(
                f"{file}: row {row + 1}, column '{name}': {rows[name].iloc[row]!r} is not a number "
                f"from {low:g} to {high:g}"
            )
        rows[name] = numbers
    return rows


def run(job: Job, *, dry_run: bool, force: bool) -> None:
    """Check, show, send and follow a submission; print each step.

    Parameters
    ----------
    job : Job
    dry_run : bool
        Stop before anything is sent.
    force : bool
        Send it though the same bytes were sent before.

    Raises
    ------
    DataError
        If the file has not the form of the sample.
    UsageError
        If it was sent before.
    SourceError
        If Kaggle says no, cannot be reached, or cannot score it.
    """
    entry = _entry(job, check(job.file, job.sample))
    earlier = _sent_before(job, entry.sha256)
    if dry_run:
        print("dry run: nothing is sent" + (f" ({_told(earlier)})" if earlier else ""))
        return
    if earlier and not force:
        if earlier.status != "pending":
            raise UsageError(f"{job.file}: {_told(earlier)}. To send it again: --force")
        print(f"{_told(earlier)}; asking for its score", flush=True)
        _follow(job, kaggle_client.connect(), earlier)
        return
    api = kaggle_client.connect()
    ref = kaggle_submission.send(api, job.competition, job.file, entry.message)
    entry = replace(entry, ref=ref)
    submissions.record(job.history, entry)
    print(f"sent as submission {ref}; waiting for its score", flush=True)
    _follow(job, api, entry)


def _follow(job: Job, api: object, entry: Submission) -> None:
    """Wait for the score, print it and keep it."""
    verdict = kaggle_submission.wait(api, entry.ref)
    entry = replace(entry, status=verdict.status, score=verdict.score, error=verdict.error)
    submissions.record(job.history, entry)
    if verdict.status == "error":
        why = verdict.error or "it does not say why"
        raise SourceError(f"Kaggle could not score submission {entry.ref}: {why}")
    if verdict.score is None:
        print("not scored yet. Ask again later with the same command")
        return
    print(f"public score {verdict.score}")
    try:
        place = kaggle_submission.standing(api, job.competition, verdict.score)
    except SourceError as error:
        print(f"its place is not known: {error.reason}")
        return
    if place is not None:
        entry = replace(entry, place=place[0], teams=place[1])
        submissions.record(job.history, entry)
        print(f"place {place[0]} of {place[1]} on the public leaderboard")


def _entry(job: Job, rows: pd.DataFrame) -> Submission:
    """Return what will be kept of the submission, and print it."""
    commit, dirty = _commit()
    short = "no commit" if commit is None else commit[:8] + (" with changes" if dirty else "")
    message = job.message or f"{job.model}, {short}"
    content = job.file.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    facts = [
        ("competition", f"{job.competition} ({kaggle_client.SITE}/c/{job.competition})"),
        ("file", f"{job.file}, {len(rows)} rows, {len(content)} bytes"),
        ("sha256", sha256),
        *((name, _summary(rows[name])) for name in rows.columns[1:]),
        *(("", line) for line in content.decode().splitlines()[: 1 + FIRST_LINES]),
        ("model", f"{job.model}, MLflow run {job.run or 'unknown'}"),
        ("commit", short),
        ("message", message),
    ]
    width = max(len(name) for name, _ in facts)
    print("\n".join(f"{name:<{width}}  {value}" for name, value in facts), flush=True)
    return Submission(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        competition=job.competition,
        ref=0,
        file=job.file.as_posix(),
        rows=len(rows),
        sha256=sha256,
        message=message,
        model=job.model,
        commit=commit,
        dirty=dirty,
        run=job.run,
    )


def _summary(values: pd.Series) -> str:
    return f"mean {values.mean():.4f}, from {values.min():g} to {values.max():g}"


def _sent_before(job: Job, sha256: str) -> Submission | None:
    """Return the last submission of the same bytes that Kaggle did not find wrong."""
    for entry in reversed(submissions.read(job.history)):
        same = entry.sha256 == sha256 and entry.competition == job.competition
        if same and entry.status != "error":
            return entry
    return None


def _told(entry: Submission) -> str:
    score = "no score yet" if entry.score is None else f"public score {entry.score}"
    return f"the same bytes were sent on {entry.time} as submission {entry.ref}, {score}"


def _check_ids(file: Path, ids: pd.Series, sample: Path, known: pd.Series) -> None:
    if len(ids) != len(known):
        raise DataError(f"{file}: has {len(ids)} rows, and {sample} has {len(known)}")
    other = ids.to_numpy() != known.to_numpy()
    if other.any():
        row = int(other.argmax())
        raise DataError(
            f"{file}: row {row + 1}, column '{ids.name}': {ids.iloc[row]!r} is not "
            f"{known.iloc[row]!r}, which {sample} has there"
        )


def _commit() -> tuple[str | None, bool]:
    """Return the commit, and whether tracked files beside the history have changed since."""
    here = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    if here.returncode != 0:
        return None, False
    command = ["git", "status", "--porcelain", "--untracked-files=no", "--", ".", ":!submissions"]
    changed = subprocess.run(command, capture_output=True, text=True, check=False)
    return here.stdout.strip(), bool(changed.stdout.strip())
