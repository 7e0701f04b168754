"""Submitting through Kaggle's own client to a stand-in on this machine."""

import functools
import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from dvc.repo import Repo
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ripen import cli
from ripen.core.errors import DataError, SourceError, UsageError
from ripen.data.sources import download, kaggle_client
from ripen.kaggle import ledger, upload
from ripen.kaggle.form import check
from ripen.kaggle.job import Job, Score, target
from ripen.kaggle.submit import refresh, run
from ripen.learn.complete import complete
from ripen.settings.schema import Competition
from ripen.stages.settings import compose
from ripen.track.tracker import Tracker
from tests.ripen.http_server import Answer, Request, Server, running
from tests.ripen.kaggle_server import COMPETITION, Kaggle, as_json, sign_in

ROOT = Path(__file__).parents[3]
FACTS = """
source: {kaggle: dogs-vs-cats}
target: label
classes: [cat, dog]
task: binary
models: {svm: null, random_forest: null, k_nearest_neighbors: null, gaussian_nb: null}
"""
"""In place of the competition's own file: a table needs no nets of the zoo."""
SAMPLE = "id,label\n" + "".join(f"{i},0\n" for i in range(1, 13))
GOOD = "id,label\n" + "".join(f"{i},{i / 20}\n" for i in range(1, 13))
NAMES = st.sampled_from(
    ["code", "message", "ref", "status", "publicScore", "date", "token", "createUrl", "submissions"]
    + ["score", "nextPageToken", "numAllowedNow", "submissionsDisabled", "errorDescription"]
)
ENDPOINTS = ["GetCompetition", "GetSubmissionLimits", "StartSubmissionUpload", "CreateSubmission"]
ENDPOINTS += ["GetSubmission", "GetLeaderboard", "IntrospectToken", "blob0"]
SHA256 = hashlib.sha256(GOOD.encode()).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    monkeypatch.setattr(download, "WAITS", (0.0, 0.0, 0.0))
    monkeypatch.setattr(upload, "POLL", 0.0)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    with running() as server:
        sign_in(monkeypatch, server, tmp_path / "home")
        yield server


@pytest.fixture
def stand_in(server: Server) -> Kaggle:
    return Kaggle(
        server,
        verdicts=[{}, {}, {"status": "COMPLETE", "publicScore": "0.98114"}],
        leaderboard=["0.98914", "0.98308", "0.98114", "0.98001", "0.5"],
    )


def write_conf(folder: Path) -> Path:
    """Copy conf/ into a folder, with another file of `cats_vs_dogs`."""
    shutil.copytree(ROOT / "conf", folder / "conf")
    (folder / "conf/competition/cats_vs_dogs.yaml").write_text(FACTS)
    return folder / "conf"


@functools.cache
def competition_of(*overrides: str) -> Competition:
    """Return the settings of that `cats_vs_dogs`."""
    with tempfile.TemporaryDirectory() as folder:
        conf = write_conf(Path(folder))
        values, _ = compose(["competitions=[cats_vs_dogs]", *overrides], conf)
    return complete("cats_vs_dogs", values["competition"]["cats_vs_dogs"], "test")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    raw = tmp_path / "data/cats_vs_dogs/raw"
    raw.mkdir(parents=True)
    (raw / "sample_submission.csv").write_text(SAMPLE)
    file = raw.parent / "submission.csv"
    file.write_text(GOOD)
    return Job(
        "cats_vs_dogs",
        competition_of(),
        COMPETITION,
        model="net",
        file=Path("data/cats_vs_dogs/submission.csv"),
        score=Score("log_loss", 0.05, 0.002, {"svm": 0.75, "head": 0.25}),
        run="f" * 32,
        message="crust no. 1",
    )


def test_a_submission_is_sent_scored_and_recorded(
    stand_in: Kaggle, job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    run(job, dry_run=False, force=False)
    assert stand_in.calls == [
        "GetCompetition",
        "GetSubmissionLimits",
        "StartSubmissionUpload",
        "blob0",
        "CreateSubmission",
        *["GetSubmission"] * 3,
        "GetLeaderboard",
    ]
    assert stand_in.uploads == {"blob0": GOOD.encode()}
    assert stand_in.submissions == [
        {
            "competitionName": COMPETITION,
            "blobFileTokens": "blob0",
            "submissionDescription": "crust no. 1",
        }
    ]
    (kept,) = ledger.read(job.ledger)
    assert (kept.ref, kept.status, kept.score) == (1001, "scored", "0.98114")
    assert (kept.metric, kept.cv, kept.cv_error, kept.private) == ("log_loss", 0.05, 0.002, None)
    assert (kept.members, kept.left) == ({"svm": 0.75, "head": 0.25}, 4)
    assert kept.md5 == hashlib.md5(GOOD.encode()).hexdigest()
    assert (kept.place, kept.teams, kept.rows, kept.sha256) == (3, 5, 12, SHA256)
    assert (kept.run, kept.model, kept.commit, kept.dirty) == ("f" * 32, "net", None, False)
    assert capsys.readouterr().out.splitlines() == [
        "competition  dogs-vs-cats (https://www.kaggle.com/c/dogs-vs-cats)",
        f"file         data/cats_vs_dogs/submission.csv, 12 rows, {len(GOOD)} bytes",
        f"sha256       {SHA256}",
        "label        mean 0.3250, from 0.05 to 0.6",
        "             id,label",
        "             1,0.05",
        "             2,0.1",
        "             3,0.15",
        f"model        net, MLflow run {'f' * 32}",
        "validated    log_loss 0.05000 ± 0.00200",
        "members      svm 0.75, head 0.25",
        "commit       no commit",
        "message      crust no. 1",
        "sent as submission 1001 (4 more today); waiting for its score",
        "public score 0.98114, cross-validated 0.05000",
        "place 3 of 5 on the public leaderboard",
    ]


def test_a_dry_run_sends_nothing(
    stand_in: Kaggle, job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    run(job, dry_run=True, force=False)
    assert stand_in.server.requests == []
    assert not job.ledger.exists()
    assert capsys.readouterr().out.splitlines()[-1] == "dry run: nothing is sent"


def test_the_same_bytes_are_sent_twice_only_by_force(stand_in: Kaggle, job: Job) -> None:
    run(job, dry_run=False, force=False)
    asked = len(stand_in.server.requests)
    with pytest.raises(
        UsageError,
        match=r"^data/cats_vs_dogs/submission\.csv: the same bytes were sent on \S+ as submission "
        r"1001, public score 0\.98114\. To send it again: --force$",
    ):
        run(job, dry_run=False, force=False)
    assert len(stand_in.server.requests) == asked
    run(job, dry_run=False, force=True)
    assert [entry.ref for entry in ledger.read(job.ledger)] == [1001, 1002]
    job.file.write_text(GOOD.replace("0.05", "0.06"))
    run(job, dry_run=False, force=False)
    assert [entry.ref for entry in ledger.read(job.ledger)] == [1001, 1002, 1003]


def test_the_same_bytes_may_be_sent_to_another_competition(stand_in: Kaggle, job: Job) -> None:
    run(job, dry_run=False, force=False)
    with pytest.raises(SourceError, match=r"^Kaggle says 404 Not found\. Does the competition"):
        run(replace(job, slug="other"), dry_run=False, force=False)


def test_a_pending_score_is_requested_and_the_file_not_sent_again(
    stand_in: Kaggle,
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(upload, "PATIENCE", 0.0)
    stand_in.verdicts = [{"status": "PENDING"}, {"status": "COMPLETE", "publicScore": "0.6"}]
    run(job, dry_run=False, force=False)
    assert capsys.readouterr().out.splitlines()[-1].startswith("not scored yet")
    assert ledger.read(job.ledger)[0].status == "sent"
    run(job, dry_run=False, force=False)
    assert len(stand_in.submissions) == 1
    (kept,) = ledger.read(job.ledger)
    assert (kept.score, kept.place, kept.teams) == ("0.6", 5, 5)


def test_an_upload_in_parts(stand_in: Kaggle, job: Job) -> None:
    """The server takes the first 40 bytes, is busy, and says at the next call what it has."""

    def first_part(request: Request) -> Answer:
        stand_in.uploads["blob0"] = request.body[:40]
        stand_in.server.answer = stand_in._answer
        return Answer(status=503)

    def until_then(request: Request) -> Answer:
        return (first_part if request.method == "PUT" else stand_in._answer)(request)

    stand_in.server.answer = until_then
    run(job, dry_run=False, force=False)
    assert stand_in.uploads == {"blob0": GOOD.encode()}
    spans = [r.headers.get("content-range") for r in stand_in.server.requests if r.method == "PUT"]
    whole = len(GOOD)
    assert spans == [None, f"bytes */{whole}", f"bytes 40-{whole - 1}/{whole}"]


def test_an_expired_upload_starts_again(stand_in: Kaggle, job: Job) -> None:
    stand_in.instead["blob0"] = [Answer(status=503), Answer(status=404)]
    run(job, dry_run=False, force=False)
    assert stand_in.uploads == {"blob0": b"", "blob1": GOOD.encode()}
    assert stand_in.submissions[0]["blobFileTokens"] == "blob1"


@pytest.mark.parametrize(
    ("statuses", "message"),
    [
        ([400], r"^Kaggle refuses the upload of \S+submission\.csv\. Try again later$"),
        (
            [503, 308] * 4,
            r"^the connection was lost in every upload of \S+submission\.csv\. Try again in a few "
            r"minutes$",
        ),
    ],
)
def test_an_upload_that_fails(
    stand_in: Kaggle, job: Job, statuses: list[int], message: str
) -> None:
    stand_in.instead["blob0"] = [Answer(status=status) for status in statuses]
    with pytest.raises(SourceError, match=message):
        run(job, dry_run=False, force=False)
    assert stand_in.submissions == []
    assert not job.ledger.exists()


@pytest.mark.parametrize(
    ("endpoint", "answer", "message"),
    [
        (
            "StartSubmissionUpload",
            as_json({"code": 403, "message": "You must accept the rules"}, 403),
            r"^Kaggle says 403 You must accept the rules\. Accept the rules at https://www\.kaggle"
            r"\.com/c/dogs-vs-cats/rules",
        ),
        (
            "CreateSubmission",
            as_json({"code": 400, "message": "Submission not allowed: daily limit"}, 400),
            r"^Kaggle says 400 Submission not allowed: daily limit\. See https://www\.kaggle\.com/c"
            r"/dogs-vs-cats/overview/evaluation for the form",
        ),
    ],
)
def test_refusals(stand_in: Kaggle, job: Job, endpoint: str, answer: Answer, message: str) -> None:
    stand_in.instead[endpoint] = [answer]
    with pytest.raises(SourceError, match=message):
        run(job, dry_run=False, force=False)
    assert stand_in.calls.count(endpoint) == 1
    assert not job.ledger.exists()


def test_with_a_wrong_key(
    stand_in: Kaggle, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(monkeypatch, stand_in.server, tmp_path / "home", "wrong key")
    with pytest.raises(SourceError, match=r"^Kaggle says 401 Unauthorized access\. The token or"):
        run(job, dry_run=False, force=False)


def test_the_request_for_the_score_is_repeated_while_kaggle_is_busy(
    stand_in: Kaggle, job: Job
) -> None:
    score = as_json({"ref": 1001, "status": "COMPLETE", "publicScore": "0.99"})
    busy = Answer(status=429, headers={"Retry-After": "0"})
    stand_in.instead["GetSubmission"] = [busy, Answer(status=502), score]
    run(job, dry_run=False, force=False)
    assert ledger.read(job.ledger)[0].place == 1


def test_a_file_that_kaggle_cannot_score(stand_in: Kaggle, job: Job) -> None:
    wrong = "Evaluation Exception:\n ERROR: must have 12500 rows"
    stand_in.verdicts = [{"status": "ERROR", "errorDescription": wrong}]
    said = "Evaluation Exception: ERROR: must have 12500 rows"
    with pytest.raises(SourceError, match=f"^Kaggle could not score submission 1001: {said}$"):
        run(job, dry_run=False, force=False)
    (kept,) = ledger.read(job.ledger)
    assert (kept.status, kept.error) == ("error", said)
    stand_in.verdicts = [{"status": "COMPLETE", "publicScore": "0.6"}]
    run(job, dry_run=False, force=False)  # what was in error may be sent again
    assert len(stand_in.submissions) == 2


@pytest.mark.parametrize(
    ("leaderboard", "place"),
    [
        (["0.02", "0.05", "0.98", "1.5"], (4, 4)),  # log loss: little is good
        (["0.99", "0.5"], (2, 2)),
        (["0.98114"], (1, 1)),
        (["0.5", "0.5"], (None, None)),
        ([], (None, None)),
        ([f"{1 - i / 1000:.4f}" for i in range(500)], (20, 500)),
    ],
)
def test_the_place_of_a_score(
    stand_in: Kaggle, job: Job, leaderboard: list[str], place: tuple[int | None, int | None]
) -> None:
    stand_in.leaderboard = leaderboard
    run(job, dry_run=False, force=False)
    (kept,) = ledger.read(job.ledger)
    assert (kept.place, kept.teams) == place


def test_a_hidden_leaderboard_is_no_failure(
    stand_in: Kaggle, job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in.instead["GetLeaderboard"] = [as_json({"code": 403, "message": "Hidden"}, 403)]
    run(job, dry_run=False, force=False)
    assert ledger.read(job.ledger)[0].score == "0.98114"
    assert capsys.readouterr().out.endswith("its place is not known: Kaggle says 403 Hidden\n")


LOST = Answer(b"", headers={"Content-Length": "90", "Content-Type": "text/plain"}, cut=0)
PORTAL = Answer(b"<html>Sign in", headers={"Content-Type": "text/html"})
BRACKETS = Answer(b"[" * 100_000, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (LOST, r"Kaggle: the connection was lost"),
        (as_json({"message": "Slow down"}, 429), r"Kaggle says 429 Slow down"),
        (as_json({"code": 502, "message": "Bad gateway"}), r"Kaggle says 502 Bad gateway"),
        (as_json({"message": "Thanks"}), r"Kaggle's answer names no submission: Thanks"),
        (as_json({"ref": "many"}), r"Kaggle's answer is not understood: ref: input should be .*"),
        (as_json({"code": "OK", "ref": 7}), r"Kaggle's answer is not understood \(TypeError: .*\)"),
        (as_json([]), r"Kaggle's answer is not understood \(.*\)|Kaggle's answer names no .*"),
        (PORTAL, r"Kaggle's answer is not JSON"),
        (BRACKETS, r"Kaggle's answer is not understood \(RecursionError: .*\)"),
    ],
)
@pytest.mark.parametrize("arrived", [True, False], ids=["arrived", "lost"])
def test_an_answer_that_does_not_say_whether_it_counts(
    stand_in: Kaggle, job: Job, answer: Answer, reason: str, arrived: bool
) -> None:
    stand_in.instead["CreateSubmission"] = [answer]
    with pytest.raises(
        SourceError,
        match=rf"^({reason})\. It may have arrived: see https://www\.kaggle\.com/c/dogs-vs-cats/"
        r"submissions\. The same command looks there first",
    ) as caught:
        run(job, dry_run=False, force=False)
    assert "\n" not in str(caught.value)
    assert stand_in.calls.count("CreateSubmission") == 1
    (kept,) = ledger.read(job.ledger)
    assert (kept.status, kept.ref, kept.sha256) == ("sending", None, SHA256)

    del stand_in.instead["CreateSubmission"]
    if arrived:
        stand_in.submissions.append({"submissionDescription": "crust no. 1"})
    run(job, dry_run=False, force=False)
    (kept,) = ledger.read(job.ledger)
    assert (kept.status, kept.ref, kept.score) == ("scored", 1001, "0.98114")
    assert len(stand_in.submissions) == 1


def test_an_attempt_is_not_taken_for_an_older_or_another_submission(
    stand_in: Kaggle, job: Job
) -> None:
    stand_in.instead["CreateSubmission"] = [LOST]
    with pytest.raises(SourceError, match="may have arrived"):
        run(job, dry_run=False, force=False)
    (kept,) = ledger.read(job.ledger)
    now = datetime.fromisoformat(kept.time)
    stand_in.submissions = [{"submissionDescription": "crust no. 1"}]
    same, other = as_verdicts(stand_in, now), as_verdicts(stand_in, now - timedelta(hours=1))
    assert upload.arrived(kept, same, set()) == same[0]
    assert upload.arrived(kept, same, {1001}) is None
    assert upload.arrived(kept, other, set()) is None
    assert upload.arrived(replace(kept, message="crust"), same, set()) is None


def as_verdicts(stand_in: Kaggle, when: datetime) -> list[upload.Verdict]:
    """Return the submissions on Kaggle, had they been made then."""
    stand_in.sent_at = when
    return upload.listed(kaggle_client.connect(), COMPETITION)


@pytest.mark.parametrize(
    ("facts", "sent", "message"),
    [
        (
            {"isKernelsSubmissionsOnly": True},
            0,
            r"^Kaggle takes no file for dogs-vs-cats, only notebooks\. Run: ripen bundle "
            r"cats_vs_dogs\. Upload the folder",
        ),
        ({"submissionsDisabled": True}, 0, r"^Kaggle takes no submissions to dogs-vs-cats any mor"),
        (
            {},
            5,
            r"^Kaggle takes no more submissions to dogs-vs-cats today: 5 were sent\. Its day ends "
            r"at 00:00 UTC, in \d+ h \d+ min$",
        ),
        ({"submissionsDisabled": "soon"}, 0, r"^Kaggle's answer is not understood: submissions_d"),
    ],
)
def test_nothing_is_uploaded_where_kaggle_takes_none(
    stand_in: Kaggle, job: Job, facts: dict[str, object], sent: int, message: str
) -> None:
    stand_in.facts = facts
    stand_in.submissions = [{"submissionDescription": "other"}] * sent
    with pytest.raises(SourceError, match=message):
        run(job, dry_run=False, force=False)
    assert stand_in.uploads == {}
    assert not job.ledger.exists()


def test_an_unknown_status_leaves_the_submission_recorded(stand_in: Kaggle, job: Job) -> None:
    stand_in.verdicts = [{"status": "HELD"}]
    with pytest.raises(
        SourceError,
        match=r"^Kaggle's answer is not understood \(KeyError: 'HELD'\)\. Submission 1001 is "
        r"recorded: the same command asks for its score again$",
    ):
        run(job, dry_run=False, force=False)
    assert [(one.ref, one.status) for one in ledger.read(job.ledger)] == [(1001, "sent")]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25
)
@given(
    endpoint=st.sampled_from(ENDPOINTS),
    status=st.sampled_from([200, 200, 204, 302, 400, 403, 429, 500]),
    answer=st.dictionaries(NAMES, JSON, max_size=5) | JSON | st.binary(max_size=20),
)
def test_no_answer_of_kaggles_is_a_traceback(
    stand_in: Kaggle, job: Job, endpoint: str, status: int, answer: object
) -> None:
    job.ledger.unlink(missing_ok=True)
    stand_in.submissions.clear()
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    stand_in.instead = {endpoint: [Answer(body, status, {"Content-Type": "application/json"})]}
    said = ""
    try:
        run(job, dry_run=False, force=False)
    except SourceError as error:
        said = str(error)
    assert said.isprintable()
    assert "hunter" not in said
    # What arrived is in the ledger, whatever Kaggle answered.
    assert len(ledger.read(job.ledger)) >= len(stand_in.submissions)


def test_a_ledger_that_another_process_holds(stand_in: Kaggle, job: Job) -> None:
    with (
        ledger.locked(job.name),
        pytest.raises(DataError, match=r"^another ripen submits 'cats_vs_dogs' or reads its sc"),
    ):
        run(job, dry_run=False, force=False)
    assert stand_in.server.requests == []


def test_nothing_is_sent_where_the_ledger_cannot_be_written(stand_in: Kaggle, job: Job) -> None:
    job.ledger.parent.write_text("")
    with pytest.raises(DataError, match=r"^submissions/cats_vs_dogs\.jsonl: cannot be"):
        run(job, dry_run=False, force=False)
    assert stand_in.submissions == []


def test_scores_are_refreshed(stand_in: Kaggle, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """A private score comes after the deadline, and a lost answer's submission is found."""
    run(job, dry_run=False, force=False)
    job.file.write_text(GOOD.replace("0.05", "0.06"))
    stand_in.instead["CreateSubmission"] = [LOST]
    with pytest.raises(SourceError, match="may have arrived"):
        run(replace(job, message="second"), dry_run=False, force=False)
    stand_in.submissions.append({"submissionDescription": "second"})
    stand_in.verdicts = [{"status": "COMPLETE", "publicScore": "0.9", "privateScore": "0.8"}]
    assert refresh(job.name, job.competition) == 3
    found = [(one.ref, one.status, one.score, one.private) for one in ledger.read(job.ledger)]
    assert found == [(1001, "scored", "0.9", "0.8"), (1002, "scored", "0.9", "0.8")]


Rewrite = Callable[[str], str]


@pytest.mark.parametrize(
    ("rewrite", "message"),
    [
        (lambda text: text.replace("label", "dog"), r"column 'label' is missing\. Needed: id, lab"),
        (
            lambda text: "".join(f"{a},{b}\n" for b, a in (r.split(",") for r in text.split())),
            r"the columns are label, id\. Needed: id, label",
        ),
        (lambda text: text.replace("\n3,", "\n33,"), r"row 3, column 'id': '33' is not '3', the"),
        (lambda text: text + "13,0.5\n", r"has 13 rows, and \S+sample_submission\.csv has 12"),
        (
            lambda text: text.replace("0.15", "1.5"),
            r"row 3, column 'label': '1\.5' is not a number",
        ),
        (lambda text: text.replace("0.15", "nan"), r"row 3, column 'label': the value is missing$"),
        (lambda text: text.replace("0.15", "-0.1"), r"'-0\.1' is not a number from 0 to 1"),
        (lambda text: text.replace("0.15", "dog"), r"'dog' is not a number from 0 to 1"),
        (
            lambda text: text.replace("0.15", "").replace("0.25", "NA"),
            r"row 3, column 'label': the value is missing, and 1 more in this column$",
        ),
        (lambda text: text.replace("\n3,", "\n2,"), r"row 3, .* '2' is there twice$"),
        (lambda text: "", r"the file is empty"),
    ],
)
def test_a_wrong_file_is_not_sent(
    stand_in: Kaggle, job: Job, rewrite: Rewrite, message: str
) -> None:
    job.file.write_text(rewrite(GOOD))
    with pytest.raises(DataError, match=message) as caught:
        run(job, dry_run=False, force=False)
    assert str(caught.value).startswith("data/cats_vs_dogs/submission.csv: ")
    assert stand_in.server.requests == []


def test_the_order_of_the_ids_is_the_samples(job: Job, tmp_path: Path) -> None:
    lines = GOOD.splitlines()
    (tmp_path / "sorted.csv").write_text("\n".join([lines[0], *sorted(lines[1:])]))
    with pytest.raises(
        DataError,
        match=r"row 2, column 'id': '10' is not '2', the id in that row of .*, in another order$",
    ):
        check(tmp_path / "sorted.csv", tmp_path / job.sample, job.competition)


def git(folder: Path, *arguments: str) -> str:
    """Run git on the repository in `folder`, and on no other, wherever the test stands."""
    identity = ("-c", "user.name=cook", "-c", "user.email=cook@example.org")
    where = (f"--git-dir={folder / '.git'}", f"--work-tree={folder}")
    command = ["git", *where, *identity, *arguments]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of which `cats_vs_dogs` has been run; the test stands in it."""
    monkeypatch.chdir(tmp_path)
    write_conf(tmp_path)
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n"
        "  fit:\n    foreach: ${graph.fit}\n    do: {cmd: 'fit ${key}', deps: []}\n"
        "  blend:\n    foreach: ${graph.blend}\n    do: {cmd: 'blend ${key}', deps: []}\n"
    )
    (tmp_path / "metrics").mkdir()
    scores = '{"validation": {"log_loss": 0.05, "accuracy": 0.98}}'
    (tmp_path / "metrics/cats_vs_dogs.json").write_text(
        f'{{"models": {{"net": {scores}}}, "best": "net", "best_by": "validation/log_loss"}}'
    )
    assert cli.main(["compose", "competitions=[avocado,cats_vs_dogs]"]) == 0
    (tmp_path / ".gitignore").write_text("/data/\n/home/\n/mlflow.db*\n/mlruns/\n/.mlflow.lock\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


@pytest.mark.slow
def test_the_command(
    repository: Path,
    stand_in: Kaggle,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with (
        Tracker("cats_vs_dogs", "fit", "cats_vs_dogs.net") as tracker,
        tracker.model("net") as net,
    ):
        net.log_metrics({"training_seconds": 2.0})
    assert cli.main(["submit", "cats_vs_dogs", "-m", "crust [1]"]) == 0
    file = repository / "submissions/cats_vs_dogs.jsonl"
    (kept,) = ledger.read(file)
    assert (kept.commit, kept.dirty) == (git(repository, "rev-parse", "HEAD"), False)
    assert (kept.run, kept.message) == (net.run_id, "crust [1]")
    git(repository, "add", "submissions")
    git(repository, "commit", "-qm", "history")

    capsys.readouterr()
    assert cli.main(["submit", "cats_vs_dogs"]) == 2
    out, err = capsys.readouterr()
    assert err.count("\n") == 1
    assert err.startswith("ripen: data/cats_vs_dogs/submission.csv: the same bytes were sent on ")
    assert "message      net, " in out

    (repository / "params.yaml").write_text(
        (repository / "params.yaml").read_text() + "# changed\n"
    )
    assert cli.main(["submit", "cats_vs_dogs", "--force"]) == 0
    assert ledger.read(file)[1].dirty

    capsys.readouterr()
    assert cli.main(["leaderboard", "cats_vs_dogs"]) == 0
    printed = capsys.readouterr().out
    rows = [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in printed.splitlines()
        if line.startswith("│")
    ]
    assert (
        "CV and public score: ranks are compared from 3 submissions on (1 scored so far)\n"
        "submissions left today: 3\n"
        "submissions: reports/cats_vs_dogs-submissions.html\n"
    ) in printed
    page = (repository / "reports/cats_vs_dogs-submissions.html").read_text()
    assert "<td>net: CV 0.05000, public 0.98114</td>" in page
    assert "<td>crust [1]</td>" in page
    assert rows[0] == ["net (best)", "0.0500", "0.9800", "2.00 s"]
    assert rows[1][1:] == [
        "0.05000",
        "0.98114",
        "3 of 5",
        "net",
        str(kept.commit)[:8],
        net.run_id[:8],
        "crust [1]",
    ]  # without the hash: "with changes" in the next row takes its place
    assert "with" in rows[2][5]

    # Of a commit, whatever the working tree holds.
    with Repo.init(str(repository)):
        git(repository, "add", "-f", ".dvc", "data/cats_vs_dogs/submission.csv")
    git(repository, "commit", "-qm", "kept")
    git(repository, "branch", "gusty-hoke")
    (repository / "data/cats_vs_dogs/submission.csv").write_text("changed")
    (repository / "metrics/cats_vs_dogs.json").unlink()
    assert cli.main(["submit", "cats_vs_dogs", "--experiment", "gusty-hoke", "--force"]) == 0
    last = ledger.read(file)[2]
    assert (last.experiment, last.sha256, last.cv) == ("gusty-hoke", SHA256, 0.05)
    assert stand_in.uploads["blob2"] == GOOD.encode()
    assert "commit       experiment gusty-hoke\n" in capsys.readouterr().out


def test_the_command_sends_nothing_in_a_dry_run(repository: Path, stand_in: Kaggle) -> None:
    assert cli.main(["submit", "cats_vs_dogs", "--dry-run"]) == 0
    assert stand_in.server.requests == []
    assert not (repository / "submissions").exists()


@pytest.mark.parametrize(
    ("name", "break_it", "code", "message"),
    [
        (
            "avocado",
            lambda here: None,
            2,
            "ripen: 'avocado' cannot be submitted: it is not on Kaggle (its source is "
            "'generate')\n",
        ),
        (
            "cats_vs_dogs",
            lambda here: (here / "data/cats_vs_dogs/submission.csv").unlink(),
            1,
            "ripen: data/cats_vs_dogs/submission.csv: no such file. Run: dvc repro\n",
        ),
        (
            "cats_vs_dogs",
            lambda here: shutil.rmtree(here / "metrics"),
            1,
            "ripen: metrics/cats_vs_dogs.json: no such file. Run: ripen run "
            "'competitions=[cats_vs_dogs]'\n",
        ),
    ],
)
def test_refusals_of_the_command(
    repository: Path,
    stand_in: Kaggle,
    capsys: pytest.CaptureFixture[str],
    name: str,
    break_it: Callable[[Path], None],
    code: int,
    message: str,
) -> None:
    break_it(repository)
    assert cli.main(["submit", name]) == code
    assert capsys.readouterr().err == message
    assert stand_in.server.requests == []


# --- The form ------------------------------------------------------------------------------------

FORMS = {
    "label": ("id,species", ["cat", "dog"], ["a,dog", "b,cat"]),
    "probability": ("id,dog", ["0.5"], ["a,0.25", "b,1"]),
    "value": ("id,price", ["0"], ["a,-3.5", "b,1e6"]),
    "columns": ("id,dog,cat", ["0.5,0.5"], ["a,0.2,0.8", "b,1,0"]),
}
TASKS = {
    "label": ("submission=label",),
    "probability": (),
    "value": ("task=regression", "metric=rmse", "models.logistic_regression=null"),
    "columns": ("submission=label",),  # of several columns each holds probabilities all the same
}


def files(folder: Path, form: str, *rows: str) -> tuple[Path, Path]:
    """Write a submission of these rows, and the sample; return their paths."""
    header, sample, _ = FORMS[form]
    given, known = folder / "submission.csv", folder / "sample.csv"
    given.write_text("\n".join([header, *rows]) + "\n")
    known.write_text("\n".join([header, f"a,{sample[0]}", f"b,{sample[-1]}"]) + "\n")
    return given, known


@pytest.mark.parametrize(
    ("form", "first"),
    [("label", "dog"), ("probability", 0.25), ("value", -3.5), ("columns", 0.2)],
)
def test_each_form_of_a_submission_is_accepted(
    tmp_path: Path, form: str, first: str | float
) -> None:
    given, sample = files(tmp_path, form, *FORMS[form][2])
    rows = check(given, sample, competition_of(*TASKS[form]), ["cat", "dog"])
    assert rows["id"].tolist() == ["a", "b"]
    assert rows.iloc[0, 1] == first
    assert len(rows.columns) == len(FORMS[form][0].split(","))


@pytest.mark.parametrize(
    ("form", "row", "message"),
    [
        ("label", "b,Cat", r"row 2, column 'species': 'Cat' is not a class: cat, dog$"),
        ("label", "b,", r"row 2, column 'species': '' is not a class: cat, dog$"),
        ("probability", "b,1.1", r"row 2, column 'dog': '1\.1' is not a number from 0 to 1$"),
        ("value", "b,nan", r"row 2, column 'price': the value is missing$"),
        ("value", "b,inf", r"row 2, column 'price': 'inf' is not a number$"),
        ("value", "b,dear", r"row 2, column 'price': 'dear' is not a number$"),
        ("columns", "b,0.2,-0.1", r"row 2, column 'cat': '-0\.1' is not a number from 0 to 1$"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, form: str, row: str, message: str) -> None:
    given, sample = files(tmp_path, form, FORMS[form][2][0], row)
    with pytest.raises(DataError, match=message):
        check(given, sample, competition_of(*TASKS[form]), ["cat", "dog"])


def test_the_column_of_ids_need_not_be_the_first(tmp_path: Path) -> None:
    for name in ("submission", "sample"):
        (tmp_path / f"{name}.csv").write_text("label,id\n0.5,a\n0.25,b\n")
    paths = tmp_path / "submission.csv", tmp_path / "sample.csv"
    rows = check(*paths, competition_of())
    assert rows["label"].tolist() == [0.5, 0.25]
    paths[0].write_text("label,id\n0.5,b\n0.25,a\n")
    with pytest.raises(DataError, match=r"row 1, column 'id': 'b' is not 'a', the id in that row"):
        check(*paths, competition_of())


def test_labels_and_many_columns_are_summarised(
    stand_in: Kaggle, job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared = tmp_path / "data/cats_vs_dogs/inputs/prepared"
    prepared.mkdir(parents=True)
    (prepared / "classes.json").write_text('{"cat": "cat", "dog": "dog"}')
    (prepared / "index.csv").write_text("id,part,target,group,fold,problem\n1,test,,,-1,\n")
    # Images are named cat and dog, and the sample holds numbers.
    labels = [("0", "1")[i % 3 == 0] for i in range(1, 13)]
    job.file.write_text("id,label\n" + "".join(f"{i + 1},{n}\n" for i, n in enumerate(labels)))
    competition = competition_of("submission=label")
    run(replace(job, competition=competition), dry_run=True, force=False)
    assert "label        0 66.7%, 1 33.3%\n" in capsys.readouterr().out

    many = [f"c{k}" for k in range(7)]
    for file, value in ((job.sample, "0"), (job.file, "0.1")):
        rows = "".join(f"{i},{','.join([value] * 7)}\n" for i in range(1, 13))
        file.write_text(f"id,{','.join(many)}\n{rows}")
    run(job, dry_run=True, force=False)
    out = capsys.readouterr().out
    assert "c4           mean 0.1000, from 0.1 to 0.1\n" in out
    assert "             … and 2 more columns\n" in out


def test_the_source_names_kaggles_competition() -> None:
    assert target("cats_vs_dogs", competition_of()) == (COMPETITION, "best")
    named = competition_of("predict.model=net")
    assert target("cats_vs_dogs", named) == (COMPETITION, "net")
    message = r"^'cats_vs_dogs' cannot be submitted: its setting predict is null$"
    with pytest.raises(UsageError, match=message):
        target("cats_vs_dogs", competition_of("predict=null"))
