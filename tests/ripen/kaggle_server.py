"""A stand-in for Kaggle that speaks the endpoints of its own client, for one user and one key."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.ripen.http_server import Answer, Request, Server, ranged

USER, KEY, TOKEN = "cook", "hunter2hunter2", "KGAT_hunter3hunter3"
COMPETITION = "dogs-vs-cats"
API = "/v1/competitions.CompetitionApiService/"


def as_json(value: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(
        json.dumps(value).encode(), status, {"Content-Type": "application/json", **headers}
    )


@dataclass
class Kaggle:
    """What Kaggle knows; `instead` answers an endpoint otherwise, in turn.

    Of `a_day` submissions none counts before today. All were made at `sent_at`, by default now.
    """

    server: Server
    files: dict[str, bytes] = field(default_factory=dict)
    submissions: list[dict[str, Any]] = field(default_factory=list)
    uploads: dict[str, bytes] = field(default_factory=dict)
    leaderboard: list[str] = field(default_factory=list)
    verdicts: list[dict[str, Any]] = field(default_factory=lambda: [{"status": "COMPLETE"}])
    instead: dict[str, list[Answer]] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)
    a_day: int = 5
    sent_at: datetime | None = None

    def __post_init__(self) -> None:
        self.server.answer = self._answer

    @property
    def calls(self) -> list[str]:
        """The endpoints that were asked, in order."""
        return [Path(urlsplit(request.path).path).name for request in self.server.requests]

    def _answer(self, request: Request) -> Answer:
        path = urlsplit(request.path).path
        endpoint = Path(path).name
        if waiting := self.instead.get(endpoint):
            return waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if path.startswith("/storage/"):
            cut = self.cuts.pop(0) if self.cuts else None
            return ranged(self.files[endpoint], request, cut)
        if path.startswith("/upload/"):
            return self._upload(endpoint, request)
        asked = json.loads(request.body)
        if endpoint == "IntrospectToken":
            known = asked["token"] == TOKEN
            return as_json({"active": known, "username": USER} if known else {"active": False})
        if not _signed_in(request):
            return as_json({"code": 401, "message": "Unauthorized access"}, 401)
        answerers: dict[str, Callable[[dict[str, Any]], Answer]] = {
            "DownloadDataFile": lambda asked: self._file(asked["fileName"]),
            "DownloadDataFiles": lambda asked: self._file(f"{asked['competitionName']}.zip"),
            "StartSubmissionUpload": self._start_upload,
            "CreateSubmission": self._create,
            "GetSubmission": self._submission,
            "ListSubmissions": self._submissions,
            "GetSubmissionLimits": lambda asked: as_json(
                {
                    "numToday": len(self.submissions),
                    "numTotal": len(self.submissions),
                    "numAllowedNow": max(self.a_day - len(self.submissions), 0),
                }
            ),
            "GetCompetition": lambda asked: as_json(
                {"teamCount": len(self.leaderboard), **self.facts}
            ),
            "ListCompetitionPages": lambda asked: as_json(
                {"pages": [{"name": name, "content": text} for name, text in self.pages.items()]}
            ),
            "ListDataFiles": lambda asked: as_json({"files": [{"name": n} for n in self.files]}),
            "GetLeaderboard": self._leaderboard,
        }
        if not path.startswith(API) or asked.get("competitionName", COMPETITION) != COMPETITION:
            return as_json({"code": 404, "message": "Not found"}, 404)
        return answerers[endpoint](asked)

    def _file(self, name: str) -> Answer:
        for stored in (name, f"{name}.zip"):
            if stored in self.files:
                where = f"{self.server.url}/storage/{stored}?Signature=hunter4hunter4"
                return Answer(status=302, headers={"Location": where})
        return as_json({"code": 404, "message": "Not found"}, 404)

    def _start_upload(self, asked: dict[str, Any]) -> Answer:
        token = f"blob{len(self.uploads)}"
        self.uploads[token] = b""
        return as_json({"token": token, "createUrl": f"{self.server.url}/upload/{token}"})

    def _upload(self, token: str, request: Request) -> Answer:
        """As Google's resumable uploads: 308 with how much is there, until all of it is."""
        span = request.headers.get("content-range", "")
        if not span.startswith("bytes */"):
            self.uploads[token] += request.body
            return Answer(status=201)
        whole, here = int(span.rpartition("/")[2]), len(self.uploads[token])
        if here == whole:
            return Answer(status=200)
        return Answer(status=308, headers={"Range": f"bytes=0-{here - 1}"} if here else {})

    def _create(self, asked: dict[str, Any]) -> Answer:
        self.submissions.append(asked)
        return as_json({"message": "Successfully submitted", "ref": 1000 + len(self.submissions)})

    def _submission(self, asked: dict[str, Any]) -> Answer:
        verdict = self.verdicts.pop(0) if len(self.verdicts) > 1 else self.verdicts[0]
        return as_json({"ref": asked["ref"], "date": "2016-05-30T12:00:00Z", **verdict})

    def _submissions(self, asked: dict[str, Any]) -> Answer:
        date = (self.sent_at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        listed = [
            {"ref": ref, "date": date, "description": one["submissionDescription"]}
            | self.verdicts[-1]
            for ref, one in enumerate(self.submissions, 1001)
        ]
        return as_json({"submissions": listed[::-1]})

    def _leaderboard(self, asked: dict[str, Any]) -> Answer:
        start, size = int(asked.get("pageToken", 0)), asked["pageSize"]
        page = self.leaderboard[start : start + size]
        date = datetime(2014, 1, 1).isoformat() + "Z"
        rows = [{"teamId": i, "score": s, "submissionDate": date} for i, s in enumerate(page)]
        more = {"nextPageToken": str(start + size)} if start + size < len(self.leaderboard) else {}
        return as_json({"submissions": rows, **more})


def sign_in(monkeypatch: pytest.MonkeyPatch, server: Server, home: Path, how: str = "key") -> None:
    """Point Kaggle's client at the stand-in, with the credentials of a user, or none."""
    from kagglesdk import kaggle_env

    monkeypatch.setenv("HOME", str(home))
    for name in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN", "KAGGLE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, server.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    from kaggle.api.kaggle_api_extended import KaggleApi

    folder = home / ".kaggle"
    folder.mkdir(exist_ok=True)
    monkeypatch.setattr(KaggleApi, "config", str(folder / "kaggle.json"))
    match how:
        case "key":
            monkeypatch.setenv("KAGGLE_USERNAME", USER)
            monkeypatch.setenv("KAGGLE_KEY", KEY)
        case "file":
            file = folder / "kaggle.json"
            file.write_text(json.dumps({"username": USER, "key": KEY}))
            file.chmod(0o600)
        case "token":
            monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
        case "token file":
            (folder / "access_token").write_text(TOKEN + "\n")
        case "old token":
            monkeypatch.setenv("KAGGLE_API_TOKEN", "KGAT_hunter5hunter5")
        case "wrong key":
            monkeypatch.setenv("KAGGLE_USERNAME", USER)
            monkeypatch.setenv("KAGGLE_KEY", "hunter6hunter6")


def _signed_in(request: Request) -> bool:
    basic = base64.b64encode(f"{USER}:{KEY}".encode()).decode()
    return request.headers.get("authorization") in (f"Basic {basic}", f"Bearer {TOKEN}")
