"""Upload a submission through Kaggle's own client, wait for its score, and rank it."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ripen.core.errors import SourceError
from ripen.data.sources import download, kaggle_client
from ripen.data.sources.download import Interrupted
from ripen.data.sources.kaggle_client import KAGGLE, SITE, explained, retried
from ripen.kaggle.history import Status

POLL = 5.0
"""Seconds between two requests for the score."""
PATIENCE = 600.0
"""Seconds after which waiting for the score ends."""
PAGE = 200  # teams of the leaderboard in one answer
PAGES = 100  # a leaderboard has at most a few thousand teams: more pages would be a loop


@dataclass(frozen=True)
class Verdict:
    """A submission's state on Kaggle, with its public score or the reason for an error."""

    status: Status
    score: str | None = None
    error: str | None = None


def send(api: Any, competition: str, file: Path, message: str) -> int:
    """Upload a file, resuming after a lost connection, and submit it.

    Parameters
    ----------
    api : KaggleApi
        From `kaggle_client.connect`.
    competition : str
        Kaggle's name for it.
    file : Path
    message : str
        Its description on Kaggle.

    Returns
    -------
    int
        Kaggle's number of the submission.

    Raises
    ------
    SourceError
        If Kaggle refuses it, or is unreachable.
    """
    token = _upload(api, competition, file)
    from kagglesdk.competitions.types import competition_api_service as types

    request = types.ApiCreateSubmissionRequest()
    request.competition_name, request.blob_file_tokens = competition, token
    request.submission_description = message
    try:
        with explained(_advice(competition)), api.build_kaggle_client() as client:
            answer = client.competitions.competition_api_client.create_submission(request)
    except Interrupted as stop:
        # No retry: it may have arrived, and Kaggle limits a team's submissions per day.
        advice = f"Before you do, look at {SITE}/c/{competition}/submissions: it may have arrived"
        raise SourceError(stop.reason, f"{stop.advice}. {advice}") from None
    if not answer.ref:
        raise SourceError(f"{KAGGLE} did not accept it: {answer.message}")
    return int(answer.ref)


def wait(api: Any, ref: int) -> Verdict:
    """Wait until a submission is scored, or for `PATIENCE` seconds: then it is still pending.

    Raises
    ------
    SourceError
        If Kaggle is unreachable.
    """
    end = time.monotonic() + PATIENCE
    while True:
        verdict = retried(lambda: _verdict(api, ref))
        if verdict.status != "pending" or time.monotonic() >= end:
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


def _upload(api: Any, competition: str, file: Path) -> str:
    from kaggle.models.kaggle_models_extended import ResumableUploadResult as Result
    from kagglesdk.competitions.types import competition_api_service as types

    request = types.ApiStartSubmissionUploadRequest()
    request.competition_name, request.file_name = competition, file.name
    request.content_length = file.stat().st_size
    request.last_modified_epoch_seconds = int(file.stat().st_mtime)

    def start() -> Any:
        with explained(_advice(competition)), api.build_kaggle_client() as client:
            return client.competitions.competition_api_client.start_submission_upload(request)

    # The address expires, and the client resumes only an upload that it knows was begun.
    place, begun = retried(start), False
    for pause in (0.0, *download.WAITS):
        time.sleep(pause)
        with explained():
            came = api.upload_complete(str(file), place.create_url, True, resume=begun)
        if came == Result.COMPLETE:
            return str(place.token)
        if came == Result.EXPIRED:
            place = retried(start)
        begun = came == Result.INCOMPLETE
        if came == Result.FAILED:
            raise SourceError(f"{KAGGLE} refuses the upload of {file}", "Try again later")
    raise SourceError(
        f"the connection was lost in every upload of {file}", "Try again in a few minutes"
    )


def _verdict(api: Any, ref: int) -> Verdict:
    from kagglesdk.competitions.types import competition_api_service as types

    request = types.ApiGetSubmissionRequest()
    request.ref = ref
    with explained(), api.build_kaggle_client() as client:
        found = client.competitions.competition_api_client.get_submission(request)
    error = " ".join((found.error_description or "").split())
    status: Status = found.status.name.lower()
    return Verdict(status, found.public_score or None, error or None)


def _leaderboard(api: Any, competition: str) -> list[float]:
    """Return the teams' public scores, best first."""
    from kagglesdk.competitions.types import competition_api_service as types

    request = types.ApiGetLeaderboardRequest()
    request.competition_name, request.override_public = competition, True
    request.page_size = PAGE

    def page() -> Any:
        with explained(_advice(competition)), api.build_kaggle_client() as client:
            return client.competitions.competition_api_client.get_leaderboard(request)

    scores: list[float] = []
    for _ in range(PAGES):
        found = retried(page)
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
