from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ripen.core.errors import DataError
from ripen.kaggle.history import Submission, history, read, record

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


def test_each_submission_is_a_line_and_its_score_replaces_it(tmp_path: Path) -> None:
    file = tmp_path / history("cats_vs_dogs")
    assert read(file) == []
    record(file, ENTRY)
    record(file, replace(ENTRY, ref=8))
    scored = replace(ENTRY, status="complete", score="0.98914", place=2, teams=215)
    record(file, scored)
    assert read(file) == [scored, replace(ENTRY, ref=8)]
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
