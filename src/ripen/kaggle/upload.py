"""Kaggle's side of a submission: its limits, the upload, the score, the place."""

import contextlib
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from ripen.core.errors import SourceError
from ripen.data.sources import download, kaggle_client
from ripen.data.sources.download import Interrupted
from ripen.data.sources.kaggle_client import (
    KAGGLE,
    SITE,
    Answer,
    Score,
    StrangeAnswer,
    Text,
    ask,
    explained,
    retried,
)
from ripen.kaggle.ledger import Status, Submission

POLL = 5.0
"""Seconds between two requests for the score."""
PATIENCE = 600.0
"""Seconds after which waiting for the score ends."""
PAGE = 200  # teams of the leaderboard, or submissions, in one answer
PAGES = 100  # a leaderboard has at most a few thousand teams: more pages would be a loop
SKEW = timedelta(minutes=10)  # between this machine's clock and Kaggle's
STATUS: dict[str, Status] = {"PENDING": "sent", "COMPLETE": "scored", "ERROR": "error"}


class Unsure(SourceError):
    """It is unknown whether the submission arrived."""


# --- What we read of Kaggle's answers, by Kaggle's own names -------------------------------------


class Rules(Answer):
    """Whether and how a competition takes submissions."""

    is_kernels_submissions_only: bool
    submissions_disabled: bool


class Limits(Answer):
    """How many submissions the team sent today, and how many more it may."""

    num_today: int
    num_allowed_now: int
    limited_by_total: bool


class Verdict(Answer):
    """A submission's state on Kaggle, with its scores or the reason for an error."""

    ref: int
    status: Annotated[Status, BeforeValidator(lambda known: STATUS[known.name])]
    public_score: Score = None
    private_score: Score = None
    error_description: Text | None = None
    description: str | None = None
    date: datetime | None = None


class _Verdicts(Answer):
    submissions: list[Verdict]


class _Place(Answer):
    token: Annotated[str, Field(min_length=1)]
    create_url: Annotated[str, Field(min_length=1)]


class _Created(Answer):
    ref: int
    message: Text | None = None


class _Team(Answer):
    score: Score


class _Teams(Answer):
    submissions: list[_Team]
    next_page_token: str | None


# --- Before --------------------------------------------------------------------------------------


def allowance(api: Any, name: str, competition: str) -> int | None:
    """Make sure that a competition takes a file now; return how many more today, None if unknown.

    Parameters
    ----------
    api : KaggleApi
        From `kaggle_client.connect`.
    name : str
        The competition's name here.
    competition : str
        Kaggle's name for it.

    Raises
    ------
    SourceError
        If it takes notebooks only, nothing any more, or nothing more today; or if Kaggle refuses,
        or is unreachable.
    """
    request = kaggle_client.request("GetCompetition", competition_name=competition)
    rules = retried(lambda: ask(api, "get_competition", request, Rules, _advice(competition)))
    if rules.is_kernels_submissions_only:
        raise SourceError(
            f"{KAGGLE} takes no file for {competition}, only notebooks",
            f"Run: ripen bundle {name}. Upload the folder that it writes as a dataset, and submit "
            f"its notebook at {SITE}/c/{competition}/code",
        )
    if rules.submissions_disabled:
        raise SourceError(f"{KAGGLE} takes no submissions to {competition} any more")
    limits = limits_of(api, competition)
    if limits is None:
        return None
    if limits.num_allowed_now <= 0 and limits.limited_by_total:
        raise SourceError(f"{KAGGLE} takes no more submissions to {competition} from your team")
    if limits.num_allowed_now <= 0 and limits.num_today:
        raise SourceError(
            f"{KAGGLE} takes no more submissions to {competition} today: {limits.num_today} were "
            "sent",
            f"Its day ends at 00:00 UTC, {_until_midnight()}",
        )
    # Before a team's first submission all numbers are 0.
    return limits.num_allowed_now if limits.num_allowed_now or limits.num_today else None


def limits_of(api: Any, competition: str) -> Limits | None:
    """Return today's limits; None where Kaggle does not say, which prevents no submission."""
    request = kaggle_client.request("GetSubmissionLimits", competition_name=competition)
    with contextlib.suppress(SourceError, Interrupted):
        return ask(api, "get_submission_limits", request, Limits)
    return None


def _until_midnight() -> str:
    now = datetime.now(UTC)
    minutes = 24 * 60 - now.hour * 60 - now.minute
    return f"in {minutes // 60} h {minutes % 60} min"


# --- Sending -------------------------------------------------------------------------------------


def upload(api: Any, competition: str, file: Path) -> str:
    """Upload a file, resuming after a lost connection. It is no submission yet.

    Returns
    -------
    str
        Kaggle's token of the uploaded file, for `create`.

    Raises
    ------
    SourceError
        If Kaggle refuses it, or is unreachable.
    """
    from kaggle.models.kaggle_models_extended import ResumableUploadResult as Result

    request = kaggle_client.request(
        "StartSubmissionUpload",
        competition_name=competition,
        file_name=file.name,
        content_length=file.stat().st_size,
        last_modified_epoch_seconds=int(file.stat().st_mtime),
    )

    def start() -> _Place:
        return ask(api, "start_submission_upload", request, _Place, _advice(competition))

    # The address expires, and the client resumes only an upload that it knows was begun.
    place, begun = retried(start), False
    for pause in (0.0, *download.WAITS):
        time.sleep(pause)
        with explained():
            came = api.upload_complete(str(file), place.create_url, True, resume=begun)
        if came == Result.COMPLETE:
            return place.token
        if came == Result.EXPIRED:
            place = retried(start)
        begun = came == Result.INCOMPLETE
        if came == Result.FAILED:
            raise SourceError(f"{KAGGLE} refuses the upload of {file}", "Try again later")
    raise SourceError(
        f"the connection was lost in every upload of {file}", "Try again in a few minutes"
    )


def create(api: Any, competition: str, token: str, message: str) -> int:
    """Submit an uploaded file: the one request that counts.

    Parameters
    ----------
    api : KaggleApi
    competition : str
        Kaggle's name for it.
    token : str
        From `upload`.
    message : str
        Its description on Kaggle.

    Returns
    -------
    int
        Kaggle's number of the submission.

    Raises
    ------
    SourceError
        If Kaggle refuses it: it does not count.
    Unsure
        If the connection or the answer leaves it unknown whether it counts.
    """
    request = kaggle_client.request(
        "CreateSubmission",
        competition_name=competition,
        blob_file_tokens=token,
        submission_description=message,
    )
    look = (
        f"It may have arrived: see {SITE}/c/{competition}/submissions. The same command looks "
        "there first, and sends it only if it did not"
    )
    # No retry: it may have arrived, and Kaggle limits a team's submissions per day.
    try:
        answer = ask(api, "create_submission", request, _Created, _advice(competition))
    except (Interrupted, StrangeAnswer) as stop:
        raise Unsure(stop.reason, look) from None
    if answer.ref <= 0:
        said = f": {answer.message}" if answer.message else ""
        raise Unsure(f"{KAGGLE}'s answer names no submission{said}", look)
    return answer.ref


def listed(api: Any, competition: str) -> list[Verdict]:
    """Return the team's last submissions on Kaggle.

    Raises
    ------
    SourceError
        If Kaggle refuses, or is unreachable.
    """
    request = kaggle_client.request("ListSubmissions", competition_name=competition, page_size=PAGE)
    found = retried(lambda: ask(api, "list_submissions", request, _Verdicts, _advice(competition)))
    return found.submissions


def arrived(entry: Submission, verdicts: list[Verdict], known: set[int]) -> Verdict | None:
    """Return the submission on Kaggle that an attempt led to, None if it did not arrive.

    Parameters
    ----------
    entry : Submission
        The attempt.
    verdicts : list of Verdict
        From `listed`.
    known : set of int
        The numbers of the ledger's other submissions.
    """
    begun = datetime.fromisoformat(entry.time).replace(tzinfo=None) - SKEW
    found = [
        (one.date, one.ref, one)
        for one in verdicts
        if one.ref not in known
        and one.date is not None
        and one.date.replace(tzinfo=None) >= begun
        and (one.description or "").split() == entry.message.split()
    ]
    return min(found, key=lambda each: each[:2])[2] if found else None


# --- After ---------------------------------------------------------------------------------------


def wait(api: Any, ref: int) -> Verdict:
    """Wait until a submission is scored, or for `PATIENCE` seconds: then it is still "sent".

    Raises
    ------
    SourceError
        If Kaggle is unreachable, or its answer is not understood.
    """
    request = kaggle_client.request("GetSubmission", ref=ref)
    end = time.monotonic() + PATIENCE
    while True:
        verdict = retried(lambda: ask(api, "get_submission", request, Verdict))
        if verdict.status != "sent" or time.monotonic() >= end:
            return verdict
        time.sleep(POLL)


def standing(api: Any, competition: str, score: str) -> tuple[int, int] | None:
    """Return a score's rank on the public leaderboard, and the number of teams on it.

    None if the leaderboard is empty, or all its scores are equal and differ from this one.

    Raises
    ------
    SourceError
        If Kaggle is unreachable.
    """
    others = _leaderboard(api, competition)
    # The direction comes from the leaderboard's own order: Kaggle may score by another metric than
    # the one that the competition's file names.
    if not others or (others[0] == others[-1] != float(score)):
        return None
    sign = 1 if others[0] >= others[-1] else -1
    return 1 + sum(sign * other > sign * float(score) for other in others), len(others)


def _leaderboard(api: Any, competition: str) -> list[float]:
    """Return the teams' public scores, best first."""
    request = kaggle_client.request(
        "GetLeaderboard", competition_name=competition, override_public=True, page_size=PAGE
    )
    scores: list[float] = []
    for _ in range(PAGES):
        found = retried(lambda: ask(api, "get_leaderboard", request, _Teams, _advice(competition)))
        scores += [float(team.score) for team in found.submissions if team.score]
        if not found.next_page_token:
            break
        request.page_token = found.next_page_token
    return scores


def _advice(competition: str) -> dict[int, str]:
    page = f"{SITE}/c/{competition}"
    return kaggle_client.advice(competition) | {
        400: f"See {page}/overview/evaluation for the form, {page}/submissions for the day's limit",
        404: f"Does the competition {page} exist?",
    }
