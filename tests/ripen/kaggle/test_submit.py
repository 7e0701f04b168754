"""Submitting through Kaggle's own client to a stand-in on this machine."""

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ripen import cli
from ripen.core.errors import DataError, SourceError, UsageError
from ripen.data.sources import download
from ripen.kaggle import kaggle_submission, submissions
from ripen.kaggle.submit import Job, check, run
from ripen.settings.schema import Config
from ripen.track import tracking
from tests.ripen.http_server import Answer, Request, Server, running
from tests.ripen.kaggle_server import COMPETITION, Kaggle, as_json, sign_in

ROOT = Path(__file__).parents[3]
SAMPLE = "id,label\n" + "".join(f"{i},0\n" for i in range(1, 13))
GOOD = "id,label\n" + "".join(f"{i},{i / 20}\n" for i in range(1, 13))
SHA256 = hashlib.sha256(GOOD.encode()).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    monkeypatch.setattr(download, "WAITS", (0.0, 0.0, 0.0))
    monkeypatch.setattr(kaggle_submission, "POLL", 0.0)
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


@pytest.fixture
def job(tmp_path: Path) -> Job:
    raw = tmp_path / "data/cats_vs_dogs/raw"
    raw.mkdir(parents=True)
    (raw / "sample_submission.csv").write_text(SAMPLE)
    file = raw.parent / "submission.csv"
    file.write_text(GOOD)
    return Job(
        COMPETITION,
        Path("data/cats_vs_dogs/submission.csv"),
        Path("data/cats_vs_dogs/raw/sample_submission.csv"),
        submissions.history("cats_vs_dogs"),
        model="net",
        run="f" * 32,
        message="crust no. 1",
    )


def test_sent_followed_and_kept(
    stand_in: Kaggle, job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    run(job, dry_run=False, force=False)
    assert stand_in.calls == [
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
    (kept,) = submissions.read(job.history)
    assert (kept.ref, kept.status, kept.score) == (1001, "complete", "0.98114")
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
        "commit       no commit",
        "message      crust no. 1",
        "sent as submission 1001; waiting for its score",
        "public score 0.98114",
        "place 3 of 5 on the public leaderboard",
    ]


def test_a_dry_run_sends_nothing(
    stand_in: Kaggle, job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    run(job, dry_run=True, force=False)
    assert stand_in.server.requests == []
    assert not job.history.exists()
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
    assert [entry.ref for entry in submissions.read(job.history)] == [1001, 1002]
    job.file.write_text(GOOD.replace("0.05", "0.06"))
    run(job, dry_run=False, force=False)
    assert [entry.ref for entry in submissions.read(job.history)] == [1001, 1002, 1003]


def test_another_competition_has_not_seen_them(stand_in: Kaggle, job: Job) -> None:
    run(job, dry_run=False, force=False)
    with pytest.raises(SourceError, match=r"^Kaggle says 404 Not found\. Is there a competition"):
        run(replace(job, competition="other"), dry_run=False, force=False)


def test_what_is_still_pending_is_asked_for_and_not_sent_again(
    stand_in: Kaggle,
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(kaggle_submission, "PATIENCE", 0.0)
    stand_in.verdicts = [{"status": "PENDING"}, {"status": "COMPLETE", "publicScore": "0.6"}]
    run(job, dry_run=False, force=False)
    assert capsys.readouterr().out.splitlines()[-1].startswith("not scored yet")
    assert submissions.read(job.history)[0].status == "pending"
    run(job, dry_run=False, force=False)
    assert len(stand_in.submissions) == 1
    (kept,) = submissions.read(job.history)
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


def test_an_upload_that_expired_begins_anew(stand_in: Kaggle, job: Job) -> None:
    stand_in.instead["blob0"] = [Answer(status=503), Answer(status=404)]
    run(job, dry_run=False, force=False)
    assert stand_in.uploads == {"blob0": b"", "blob1": GOOD.encode()}
    assert stand_in.submissions[0]["blobFileTokens"] == "blob1"


@pytest.mark.parametrize(
    ("statuses", "message"),
    [
        ([400], r"^Kaggle does not take the upload of \S+submission\.csv\. Try again later$"),
        (
            [503, 308] * 4,
            r"^the upload of \S+submission\.csv was cut each time\. Try again in a few minutes$",
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
    assert not job.history.exists()


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
        (
            "CreateSubmission",
            as_json({"message": "Slow down"}, 429, **{"Retry-After": "20"}),
            r"^Kaggle says 429 Slow down\. Try again in 20 seconds\. Before you do, look at http",
        ),
        (
            "CreateSubmission",
            as_json({"message": "Not today"}),
            r"^Kaggle did not take it: Not today$",
        ),
        (
            "CreateSubmission",
            Answer(b"", headers={"Content-Length": "90", "Content-Type": "text/plain"}, cut=0),
            r"^Kaggle: the connection was lost\. Run it again.* it may have arrived$",
        ),
    ],
)
def test_refusals(stand_in: Kaggle, job: Job, endpoint: str, answer: Answer, message: str) -> None:
    stand_in.instead[endpoint] = [answer]
    with pytest.raises(SourceError, match=message):
        run(job, dry_run=False, force=False)
    assert stand_in.calls.count(endpoint) == 1
    assert not job.history.exists()


def test_with_a_wrong_key(
    stand_in: Kaggle, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(monkeypatch, stand_in.server, tmp_path / "home", "wrong key")
    with pytest.raises(SourceError, match=r"^Kaggle says 401 Unauthorized access\. The token or"):
        run(job, dry_run=False, force=False)


def test_a_busy_kaggle_is_asked_again_for_the_score(stand_in: Kaggle, job: Job) -> None:
    score = as_json({"ref": 1001, "status": "COMPLETE", "publicScore": "0.99"})
    busy = Answer(status=429, headers={"Retry-After": "0"})
    stand_in.instead["GetSubmission"] = [busy, Answer(status=502), score]
    run(job, dry_run=False, force=False)
    assert submissions.read(job.history)[0].place == 1


def test_a_file_that_kaggle_cannot_score(stand_in: Kaggle, job: Job) -> None:
    wrong = "Evaluation Exception:\n ERROR: must have 12500 rows"
    stand_in.verdicts = [{"status": "ERROR", "errorDescription": wrong}]
    said = "Evaluation Exception: ERROR: must have 12500 rows"
    with pytest.raises(SourceError, match=f"^Kaggle could not score submission 1001: {said}$"):
        run(job, dry_run=False, force=False)
    (kept,) = submissions.read(job.history)
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
    (kept,) = submissions.read(job.history)
    assert (kept.place, kept.teams) == place


def test_a_leaderboard_that_cannot_be_had_is_no_failure(
    stand_in: Kaggle, job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in.instead["GetLeaderboard"] = [as_json({"code": 403, "message": "Hidden"}, 403)]
    run(job, dry_run=False, force=False)
    assert submissions.read(job.history)[0].score == "0.98114"
    assert capsys.readouterr().out.endswith("its place is not known: Kaggle says 403 Hidden\n")


Rewrite = Callable[[str], str]


@pytest.mark.parametrize(
    ("rewrite", "message"),
    [
        (lambda text: text.replace("label", "dog"), r"column 'label' is missing\. Needed: id, lab"),
        (
            lambda text: "".join(f"{a},{b}\n" for b, a in (r.split(",") for r in text.split())),
            r"the columns are label, id\. Needed: id, label",
        ),
        (lambda text: text.replace("\n3,", "\n33,"), r"row 3, column 'id': '33' is not '3', which"),
        (lambda text: text + "13,0.5\n", r"has 13 rows, and \S+sample_submission\.csv has 12"),
        (
            lambda text: text.replace("0.15", "1.5"),
            r"row 3, column 'label': '1\.5' is not a number",
        ),
        (lambda text: text.replace("0.15", "nan"), r"row 3, column 'label': 'nan' is not a number"),
        (lambda text: text.replace("0.15", "-0.1"), r"'-0\.1' is not a number from 0 to 1"),
        (lambda text: text.replace("0.15", "dog"), r"'dog' is not a number from 0 to 1"),
        (lambda text: text.replace("0.15", ""), r"'' is not a number from 0 to 1"),
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
    monkey = tmp_path / "data/cats_vs_dogs/raw/sample_submission.csv"
    with pytest.raises(DataError, match=r"row 2, column 'id': '10' is not '2', which \S+ has ther"):
        check(tmp_path / "sorted.csv", monkey)


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
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n  baselines: {matrix: {}, cmd: b, deps: []}\n"
        "  train: {matrix: {}, cmd: t, deps: []}\n"
    )
    (tmp_path / "metrics").mkdir()
    scores = '{"validation": {"log_loss": 0.05, "accuracy": 0.98}}'
    (tmp_path / "metrics/cats_vs_dogs.json").write_text(
        f'{{"models": {{"net": {scores}}}, "best": "net", "best_by": "validation/log_loss"}}'
    )
    assert cli.main(["compose"]) == 0
    (tmp_path / ".gitignore").write_text("/data/\n/home/\n/mlflow.db*\n/mlruns/\n/.mlflow.lock\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_the_command(
    repository: Path,
    stand_in: Kaggle,
    make_config: Callable[..., Config],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with (
        tracking.Tracker(make_config(), "cats_vs_dogs", "train") as tracker,
        tracker.model("net") as net,
    ):
        net.log_metrics({"training_seconds": 2.0})
    assert cli.main(["submit", "cats_vs_dogs", "-m", "crust [1]"]) == 0
    history = repository / "submissions/cats_vs_dogs.jsonl"
    (kept,) = submissions.read(history)
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
    assert submissions.read(history)[1].dirty

    capsys.readouterr()
    assert cli.main(["leaderboard", "cats_vs_dogs"]) == 0
    rows = [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("│")
    ]
    assert rows[0] == ["net (best)", "0.0500", "0.9800", "2.00 s", ""]
    assert rows[1][1:] == [
        "0.98114",
        "3 of 5",
        "net",
        kept.commit[:8],
        net.run_id[:8],
        SHA256[:8],
        "crust [1]",
    ]
    assert rows[2][4].endswith("with changes")


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
            "ripen: 'avocado' is no competition on Kaggle, so there is nowhere to submit it. "
            "Kaggle has: cats_vs_dogs, cats_vs_dogs_redux\n",
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
            "competitions=[cats_vs_dogs]\n",
        ),
    ],
)
def test_what_the_command_refuses(
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
