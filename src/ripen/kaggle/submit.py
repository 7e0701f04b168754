"""Check a competition's submission, send it to Kaggle and record its scores: `ripen submit`."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from ripen.competition import index as indexes
from ripen.competition.submission import id_column
from ripen.core.errors import SourceError, UsageError
from ripen.core.layout import Layout
from ripen.data.sources import kaggle_client
from ripen.kaggle import ledger, upload
from ripen.kaggle.form import check
from ripen.kaggle.job import Job, Score, slug_of
from ripen.kaggle.ledger import Submission
from ripen.kaggle.upload import Verdict
from ripen.settings.schema import Competition

FIRST_LINES = 3  # of the file, in the summary
COLUMNS = 5  # a competition of 120 classes has as many columns: the summary shows these
LONGEST_LINE = 100  # characters of a line in the summary: there may be hundreds of columns


# --- Sending -------------------------------------------------------------------------------------


def run(job: Job, *, dry_run: bool, force: bool) -> None:
    """Check, show and send a submission, then wait for its score; print each step.

    It is recorded as "sending" before the one request that counts. If that request's answer is
    lost, the next call looks among Kaggle's submissions first.

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
        If the file does not have the sample's form, or the ledger cannot be read or written.
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
    if earlier and earlier.status == "scored" and not force:
        raise UsageError(f"{job.file}: {_described(earlier)}. To send it again: --force")
    with ledger.locked(job.name):
        api = kaggle_client.connect()
        # Once more, now that no other process sends.
        earlier = None if force else _sent_before(job, entry.sha256)
        if earlier and earlier.ref is None:
            print(f"{_described(earlier)}; looking for it on Kaggle", flush=True)
            earlier = _found(job, api, earlier)
        if earlier:
            print(f"{_described(earlier)}; requesting its score", flush=True)
            _follow(job, api, earlier)
        else:
            _follow(job, api, _send(job, api, entry))


def _send(job: Job, api: Any, entry: Submission) -> Submission:
    """Send a submission; return its entry, recorded."""
    left = upload.allowance(api, job.name, job.slug)
    token = upload.upload(api, job.slug, job.file)
    # Before the request: if anything interrupts it, this line says that it may have arrived.
    ledger.record(job.ledger, entry)
    try:
        ref = upload.create(api, job.slug, token, entry.message)
    except upload.Unsure:
        raise
    except SourceError:  # a clear refusal
        ledger.withdraw(job.ledger, entry)
        raise
    left = None if left is None else max(left - 1, 0)
    sent = replace(entry, ref=ref, status="sent", left=left)
    ledger.record(job.ledger, sent)
    more = "" if left is None else f" ({left} more today)"
    print(f"sent as submission {ref}{more}; waiting for its score", flush=True)
    return sent


def _found(job: Job, api: Any, entry: Submission) -> Submission | None:
    """Return the entry of an attempt, if it arrived, with its number; else drop it."""
    known = {one.ref for one in ledger.read(job.ledger) if one.ref is not None}
    verdict = upload.arrived(entry, upload.listed(api, job.slug), known)
    if verdict is None:
        ledger.withdraw(job.ledger, entry)
        print("it did not arrive: sending it now")
        return None
    entry = replace(entry, ref=verdict.ref, status="sent")
    ledger.record(job.ledger, entry)
    return entry


def _classes(job: Job) -> Sequence[str]:
    """Return the classes' values if the submission is a column of labels, else nothing."""
    if job.competition.submission not in ("label", "labels"):
        return ()  # so that a submission of probabilities can be sent without the prepared files
    return indexes.read(Layout(job.name), job.competition).classes


def _follow(job: Job, api: Any, entry: Submission) -> None:
    """Wait for the score, print it and record it."""
    assert entry.ref is not None  # Kaggle has answered
    try:
        entry = _judged(entry, upload.wait(api, entry.ref))
    except SourceError as error:
        later = f"Submission {entry.ref} is recorded: the same command asks for its score again"
        raise SourceError(error.reason, later) from None
    ledger.record(job.ledger, entry)
    if entry.status == "error":
        why = entry.error or "no reason given"
        raise SourceError(f"Kaggle could not score submission {entry.ref}: {why}")
    if entry.status == "sent":
        print("not scored yet. Run the same command again later")
        return
    private = "" if entry.private is None else f", private score {entry.private}"
    cv = "" if entry.cv is None else f", cross-validated {entry.cv:.5f}"
    print(f"public score {entry.score or 'not shown'}{private}{cv}")
    if entry.score is None:
        return
    try:
        place = upload.standing(api, job.slug, entry.score)
    except SourceError as error:  # the score is recorded, so this is no failure of the command
        print(f"its place is not known: {error.reason}")
        return
    if place is not None:
        ledger.record(job.ledger, replace(entry, place=place[0], teams=place[1]))
        print(f"place {place[0]} of {place[1]} on the public leaderboard")


def _judged(entry: Submission, verdict: Verdict) -> Submission:
    """Return the entry with its status and scores on Kaggle."""
    return replace(
        entry,
        ref=verdict.ref or entry.ref,
        status=verdict.status,
        score=verdict.public_score,
        private=verdict.private_score,
        error=verdict.error_description or None,
    )


def refresh(name: str, competition: Competition) -> int | None:
    """Bring a ledger's scores up to date; return how many submissions are left today, if known.

    Scores that came after the wait, private ones after the deadline, and the fate of attempts
    whose answer was lost.

    Raises
    ------
    UsageError
        If the competition is not on Kaggle.
    SourceError
        If Kaggle refuses, or is unreachable.
    DataError
        If the ledger cannot be read or written.
    """
    slug, file = slug_of(name, competition), ledger.path(name)
    with ledger.locked(name):
        entries = ledger.read(file)
        api = kaggle_client.connect()
        verdicts = upload.listed(api, slug)
        by_ref = {verdict.ref: verdict for verdict in verdicts}
        known = {one.ref for one in entries if one.ref is not None}
        for entry in entries:
            verdict = by_ref.get(entry.ref) if entry.ref else None
            if entry.ref is None:
                verdict = upload.arrived(entry, verdicts, known)
                known |= {verdict.ref} if verdict else set()
            if verdict and entry.competition == slug and _judged(entry, verdict) != entry:
                ledger.record(file, _judged(entry, verdict))
    limits = upload.limits_of(api, slug)
    return None if limits is None else limits.num_allowed_now


# --- What is sent --------------------------------------------------------------------------------


def _entry(job: Job, rows: pd.DataFrame) -> Submission:
    """Return the submission's entry in the ledger, and print it."""
    message = job.message or f"{job.model}, {job.origin.text}"
    content = job.file.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    ids = id_column(rows, job.competition.id)
    lines = content.decode(errors="replace").splitlines()[: 1 + FIRST_LINES]
    of = f"experiment {job.origin.experiment}, " if job.origin.experiment else ""
    facts = [
        ("competition", f"{job.slug} ({kaggle_client.SITE}/c/{job.slug})"),
        ("file", f"{Layout(job.name).submission}, {of}{len(rows)} rows, {len(content)} bytes"),
        ("sha256", sha256),
        *_summaries(rows.drop(columns=ids)),
        *(("", _short(line)) for line in lines),
        ("model", f"{job.model}, MLflow run {job.run or 'unknown'}"),
        *_cross_validated(job.score),
        ("commit", job.origin.text),
        ("message", message),
    ]
    width = max(len(name) for name, _ in facts)
    print("\n".join(f"{name:<{width}}  {value}" for name, value in facts), flush=True)
    return Submission(
        time=datetime.now(UTC).isoformat(timespec="milliseconds"),
        competition=job.slug,
        file=Layout(job.name).submission.as_posix(),
        rows=len(rows),
        sha256=sha256,
        md5=hashlib.md5(content, usedforsecurity=False).hexdigest(),
        message=message,
        model=job.model,
        members=dict(job.score.members),
        metric=job.score.metric,
        cv=job.score.cv,
        cv_error=job.score.error,
        commit=job.origin.commit,
        dirty=job.origin.dirty,
        experiment=job.origin.experiment,
        run=job.run,
    )


def _cross_validated(score: Score) -> list[tuple[str, str]]:
    if score.cv is None:
        return []
    error = "" if score.error is None else f" ± {score.error:.5f}"
    members = ", ".join(f"{name} {weight:.2g}" for name, weight in score.members.items())
    return [
        ("validated", f"{score.metric} {score.cv:.5f}{error}"),
        *([("members", members)] if members else []),
    ]


def _short(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}…"


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
    for entry in reversed(ledger.read(job.ledger)):
        same = entry.sha256 == sha256 and entry.competition == job.slug
        if same and entry.status != "error":
            return entry
    return None


def _described(entry: Submission) -> str:
    if entry.ref is None:
        return f"the same bytes were sent on {entry.time}, and no answer came"
    score = "no score yet" if entry.score is None else f"public score {entry.score}"
    return f"the same bytes were sent on {entry.time} as submission {entry.ref}, {score}"
