import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ripen.core.errors import DataError
from ripen.kaggle import ledger
from ripen.kaggle.ledger import Submission, read, record

ENTRY = Submission(
    time="2016-05-30T12:00:00+00:00",
    competition="dogs-vs-cats",
    ref=7,
    file="data/cats_vs_dogs/submission.csv",
    rows=3,
    sha256="0" * 64,
    message="first",
    model="net",
    commit="1" * 40,
    dirty=False,
    run=None,
)


SECOND = replace(ENTRY, ref=8, time="2016-05-30T12:00:01+00:00")


def test_each_submission_is_a_line_and_its_score_replaces_it(tmp_path: Path) -> None:
    file = tmp_path / ledger.path("cats_vs_dogs")
    assert read(file) == []
    record(file, ENTRY)
    record(file, SECOND)
    scored = replace(ENTRY, status="scored", score="0.98914", place=2, teams=215)
    record(file, scored)
    assert read(file) == [scored, SECOND]
    assert len(file.read_text().splitlines()) == 2
    assert file.relative_to(tmp_path).as_posix() == "submissions/cats_vs_dogs.jsonl"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "line 2: the line: Invalid JSON"),
        ("{}", "line 2: time: Field required"),
        ("<<<<<<< HEAD", "line 2: the line: Invalid JSON"),
    ],
)
def test_a_line_that_is_not_a_submission(tmp_path: Path, line: str, problem: str) -> None:
    file = tmp_path / "c.jsonl"
    record(file, ENTRY)
    file.write_text(file.read_text() + line + "\n")
    with pytest.raises(DataError, match=rf"c\.jsonl: {problem}"):
        read(file)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(message=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_message_is_read_back(tmp_path: Path, message: str) -> None:
    file = tmp_path / "c.jsonl"
    file.unlink(missing_ok=True)
    record(file, replace(ENTRY, message=message))
    assert read(file) == [replace(ENTRY, message=message)]


def scored(cv: float | None, public: str | None) -> Submission:
    """Return a submission with these scores, of a file of its own."""
    digest = hashlib.sha256(f"{cv} {public}".encode()).hexdigest()
    return replace(ENTRY, cv=cv, score=public, sha256=digest, metric="log_loss")


@pytest.mark.parametrize(
    ("entries", "correlation", "n"),
    [
        ([], None, 0),
        ([scored(0.5, "0.6"), scored(0.4, "0.5")], None, 2),
        ([scored(0.5, "0.6"), scored(0.4, "0.5"), scored(0.3, "0.1")], 1.0, 3),
        # Ranks of CV 3 2 1 4, of the leaderboard 3 1 2 4: 1 - 6 · 2 / (4 · 15).
        ([scored(0.5, "0.6"), scored(0.4, "0.1"), scored(0.3, "0.5"), scored(0.6, "0.7")], 0.8, 4),
        ([scored(0.1, "0.9"), scored(0.2, "0.8"), scored(0.3, "0.7")], -1.0, 3),
        ([scored(0.1, "0.9"), scored(0.2, "0.9"), scored(0.3, "0.9")], None, 3),
        ([scored(0.1, "0.9"), scored(0.1, "0.9"), scored(0.2, None), scored(None, "0.7")], None, 1),
    ],
)
def test_cross_validation_beside_the_leaderboard(
    entries: list[Submission], correlation: float | None, n: int
) -> None:
    found = ledger.agreement(entries)
    assert found.correlation == pytest.approx(correlation)
    assert len(found.points) == n
    assert found.text.startswith("CV and public score: ")


def test_scores_of_another_metric_do_not_compare() -> None:
    old, new = (
        replace(scored(0.9, "0.8"), metric="accuracy"),
        replace(scored(0.3, "0.4"), cv_error=0.1),
    )
    points = ledger.agreement([old, new]).points
    assert points.to_dict("list") == {
        "model": ["net"],
        "cv": [0.3],
        "cv_error": [0.1],
        "public": [0.4],
    }


def test_what_is_left_is_known_for_the_day_of_a_submission() -> None:
    entries = [replace(ENTRY, left=4), replace(SECOND, left=3), replace(SECOND, left=None)]
    assert ledger.left_today(entries, datetime(2016, 5, 30, 23, 59, tzinfo=UTC)) == 3
    assert ledger.left_today(entries, datetime(2016, 5, 31, 0, 1, tzinfo=UTC)) is None


def test_a_ledger_of_the_first_release_is_read(tmp_path: Path) -> None:
    file = tmp_path / "c.jsonl"
    record(file, replace(ENTRY, status="scored"))
    file.write_text(file.read_text().replace('"scored"', '"complete"'))
    assert [entry.status for entry in read(file)] == ["scored"]


def test_a_folder_in_place_of_the_ledger(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r": cannot be read: Is a directory$"):
        read(tmp_path)
