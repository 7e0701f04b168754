"""Check a competition's submission, send it to Kaggle and record its score: `ripen submit`."""

import hashlib
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ripen.competition import index as indexes
from ripen.competition.submission import NUMBERS, form_of, id_column, read_sample
from ripen.competition.tasks import TASKS
from ripen.core.csv_files import read_text
from ripen.core.errors import DataError, SourceError, UsageError
from ripen.core.layout import Layout
from ripen.data.column_types import with_points
from ripen.data.sources import kaggle_client
from ripen.kaggle import history, upload
from ripen.kaggle.history import Submission
from ripen.settings.schema import Competition

FIRST_LINES = 3  # of the file, in the summary
COLUMNS = 5  # a competition of 120 classes has as many columns: the summary shows these


@dataclass(frozen=True)
class Job:
    """A submission to send.

    Attributes
    ----------
    name : str
        The competition's name here.
    competition : Competition
    slug : str
        Kaggle's name for it.
    model : str
        The model whose predictions it holds.
    run : str or None
        The model's MLflow run.
    message : str or None
        Its description on Kaggle; None for the model and the commit.
    """

    name: str
    competition: Competition
    slug: str
    model: str
    run: str | None = None
    message: str | None = None

    @property
    def file(self) -> Path:
        return Layout(self.name).submission

    @property
    def sample(self) -> Path:
        """The sample submission, whose form the file must have."""
        return Layout(self.name).raw / self.competition.files.sample

    @property
    def history(self) -> Path:
        return history.history(self.name)


def target(name: str, competition: Competition) -> tuple[str, str]:
    """Return Kaggle's name for a competition, and the model to submit ("best" or a name).

    Raises
    ------
    UsageError
        If its files do not come from Kaggle, or it has no submission.
    """
    if "kaggle" not in competition.source:
        raise UsageError(
            f"'{name}' cannot be submitted: it is not on Kaggle (its source is "
            f"'{next(iter(competition.source))}')"
        )
    if competition.predict is None:
        raise UsageError(f"'{name}' cannot be submitted: its setting predict is null")
    # An address may name one file of the competition too: slug/file.
    return str(competition.source["kaggle"]).partition("/")[0], competition.predict.model


# --- The form ------------------------------------------------------------------------------------


def check(
    file: Path, sample: Path, competition: Competition, classes: Sequence[str] = ()
) -> pd.DataFrame:
    """Make sure that a submission has the sample's form.

    Parameters
    ----------
    file, sample : Path
    competition : Competition
        Its task and `submission` say what a column may hold.
    classes : sequence of str
        The classes' values, for a column of labels.

    Returns
    -------
    DataFrame
        Ids and labels as text, numbers as float64.

    Raises
    ------
    DataError
        If the columns or ids, or the order of either, differ from the sample's, or a value is not
        allowed.
    """
    csv = competition.csv
    form = read_sample(sample, competition.id, csv)
    rows = read_text(file, csv.separator)
    columns = [str(name) for name in form.columns]
    needed = ", ".join(columns)
    if missing := [name for name in columns if name not in rows]:
        raise DataError(f"{file}: column '{missing[0]}' is missing. Needed: {needed}")
    if list(rows.columns) != columns:
        raise DataError(f"{file}: the columns are {', '.join(rows.columns)}. Needed: {needed}")
    ids = id_column(form, competition.id)
    _check_ids(file, rows[ids], sample, form[ids])
    others = [name for name in columns if name != ids]
    if holds_labels(competition, others):
        several = competition.submission == "labels"
        by_number = form_of(form[others[0]], competition, classes).numbers
        allowed = sorted(NUMBERS) if by_number else classes
        _check_labels(file, rows[others[0]], allowed, several=several)
        return rows
    low, high = (0.0, 1.0) if TASKS[competition.task].probabilities else (-np.inf, np.inf)
    numbers = {
        name: _checked_numbers(file, with_points(rows[name], csv.decimal), low, high)
        for name in others
    }
    return rows.assign(**numbers)


def holds_labels(competition: Competition, columns: Sequence[str]) -> bool:
    """Whether the columns beside the ids hold classes, and not probabilities or values."""
    # The same rule that `ripen.competition.submission.columns` writes by: several columns of a
    # classification are always probabilities.
    if len(columns) > 1:
        return False
    classifies = TASKS[competition.task].classifies
    return competition.submission == "labels" or (competition.submission == "label" and classifies)


def _check_ids(file: Path, ids: "pd.Series[str]", sample: Path, known: "pd.Series[str]") -> None:
    if len(ids) != len(known):
        raise DataError(f"{file}: has {len(ids)} rows, and {sample} has {len(known)}")
    other = ids.to_numpy() != known.to_numpy()
    if other.any():
        row = int(other.argmax())
        raise DataError(
            f"{file}: row {row + 1}, column '{ids.name}': {ids.iloc[row]!r} is not "
            f"{known.iloc[row]!r}, the id in that row of {sample}"
        )


def _check_labels(
    file: Path, labels: "pd.Series[str]", classes: Sequence[str], *, several: bool
) -> None:
    known = labels.isin(list(classes))
    if several:  # with blanks between
        known |= labels.str.split().map(lambda each: bool(each) and set(each) <= set(classes))
    wrong = ~known.to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        shown = ", ".join(classes[:20])
        raise DataError(
            f"{file}: row {row + 1}, column '{labels.name}': {labels.iloc[row]!r} is not a class: "
            f"{shown}"
        )


def _checked_numbers(
    file: Path, values: "pd.Series[str]", low: float, high: float
) -> NDArray[np.float64]:
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(np.float64)
    wrong = ~(np.isfinite(numbers) & (numbers >= low) & (numbers <= high))
    if wrong.any():
        row = int(wrong.argmax())
        allowed = f" from {low:g} to {high:g}" if np.isfinite(high) else ""
        raise DataError(
            f"{file}: row {row + 1}, column '{values.name}': {values.iloc[row]!r} is not a number"
            f"{allowed}"
        )
    return numbers


# --- Sending -------------------------------------------------------------------------------------


def run(job: Job, *, dry_run: bool, force: bool) -> None:
    """Check, show and send a submission, then wait for its score; print each step.

    Parameters
    ----------
    job : Job
    dry_run : bool
        Stop before anything is sent.
    force : bool
        Send the file even if the same bytes were sent before.

    Raises
    ------
    DataError
        If the file does not have the sample's form.
    UsageError
        If it was sent before.
    SourceError
        If Kaggle refuses it, is unreachable, or cannot score it.
    """
    entry = _entry(job, check(job.file, job.sample, job.competition, _classes(job)))
    earlier = _sent_before(job, entry.sha256)
    if dry_run:
        print("dry run: nothing is sent" + (f" ({_described(earlier)})" if earlier else ""))
        return
    if earlier and not force:
        if earlier.status != "pending":
            raise UsageError(f"{job.file}: {_described(earlier)}. To send it again: --force")
        print(f"{_described(earlier)}; requesting its score", flush=True)
        _follow(job, kaggle_client.connect(), earlier)
        return
    api = kaggle_client.connect()
    ref = upload.send(api, job.slug, job.file, entry.message)
    entry = replace(entry, ref=ref)
    # Recorded before the wait: if that is interrupted, the next call requests the score.
    history.record(job.history, entry)
    print(f"sent as submission {ref}; waiting for its score", flush=True)
    _follow(job, api, entry)


def _classes(job: Job) -> Sequence[str]:
    """Return the classes' values if the submission is a column of labels, else nothing."""
    if job.competition.submission not in ("label", "labels"):
        return ()  # so that a submission of probabilities can be sent without the prepared files
    return indexes.read(Layout(job.name), job.competition).classes


def _follow(job: Job, api: object, entry: Submission) -> None:
    """Wait for the score, print it and record it."""
    verdict = upload.wait(api, entry.ref)
    entry = replace(entry, status=verdict.status, score=verdict.score, error=verdict.error)
    history.record(job.history, entry)
    if verdict.status == "error":
        why = verdict.error or "no reason given"
        raise SourceError(f"Kaggle could not score submission {entry.ref}: {why}")
    if verdict.score is None:
        print("not scored yet. Run the same command again later")
        return
    print(f"public score {verdict.score}")
    try:
        place = upload.standing(api, job.slug, verdict.score)
    except SourceError as error:  # the score is recorded, so this is no failure of the command
        print(f"its place is not known: {error.reason}")
        return
    if place is not None:
        entry = replace(entry, place=place[0], teams=place[1])
        history.record(job.history, entry)
        print(f"place {place[0]} of {place[1]} on the public leaderboard")


def _entry(job: Job, rows: pd.DataFrame) -> Submission:
    """Return the submission's entry in the history, and print it."""
    commit, dirty = _commit()
    short = "no commit" if commit is None else commit[:8] + (" with changes" if dirty else "")
    message = job.message or f"{job.model}, {short}"
    content = job.file.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    ids = id_column(rows, job.competition.id)
    facts = [
        ("competition", f"{job.slug} ({kaggle_client.SITE}/c/{job.slug})"),
        ("file", f"{job.file}, {len(rows)} rows, {len(content)} bytes"),
        ("sha256", sha256),
        *_summaries(rows.drop(columns=ids)),
        *(("", line) for line in content.decode().splitlines()[: 1 + FIRST_LINES]),
        ("model", f"{job.model}, MLflow run {job.run or 'unknown'}"),
        ("commit", short),
        ("message", message),
    ]
    width = max(len(name) for name, _ in facts)
    print("\n".join(f"{name:<{width}}  {value}" for name, value in facts), flush=True)
    return Submission(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        competition=job.slug,
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


def _summaries(values: pd.DataFrame) -> list[tuple[str, str]]:
    """Describe each column in a line, so that a swapped or constant one stands out."""
    found = [(str(name), _summary(values[name])) for name in values.columns[:COLUMNS]]
    more = len(values.columns) - COLUMNS
    return [*found, ("", f"… and {more} more columns")] if more > 0 else found


def _summary(values: "pd.Series[Any]") -> str:
    if pd.api.types.is_numeric_dtype(values):
        return f"mean {values.mean():.4f}, from {values.min():g} to {values.max():g}"
    shares = values.value_counts(normalize=True)
    shown = ", ".join(f"{name} {share:.1%}" for name, share in shares.head(COLUMNS).items())
    return shown + (f", and {len(shares) - COLUMNS} more" if len(shares) > COLUMNS else "")


def _sent_before(job: Job, sha256: str) -> Submission | None:
    """Return the last submission of the same bytes, except those that Kaggle could not score."""
    for entry in reversed(history.read(job.history)):
        same = entry.sha256 == sha256 and entry.competition == job.slug
        if same and entry.status != "error":
            return entry
    return None


def _described(entry: Submission) -> str:
    score = "no score yet" if entry.score is None else f"public score {entry.score}"
    return f"the same bytes were sent on {entry.time} as submission {entry.ref}, {score}"


def _commit() -> tuple[str | None, bool]:
    """Return the commit, and whether tracked files other than the history have changed since."""
    here = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    if here.returncode != 0:
        return None, False
    # The history changes with every submission, so it says nothing about what made the file.
    command = ["git", "status", "--porcelain", "--untracked-files=no", "--", ".", ":!submissions"]
    changed = subprocess.run(command, capture_output=True, text=True, check=False)
    return here.stdout.strip(), bool(changed.stdout.strip())
