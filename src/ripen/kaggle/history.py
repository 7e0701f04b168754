"""The history of submissions: `submissions/<competition>.jsonl`, one line each, kept in git.

DVC does not track it: no stage could reproduce it.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from rich.table import Table
from rich.text import Text

from ripen.core.atomic import write_text
from ripen.core.errors import DataError

FOLDER = Path("submissions")
Status = Literal["pending", "complete", "error"]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", strict=True))
class Submission:
    """One submission to Kaggle.

    Attributes
    ----------
    time : str
        UTC, in ISO 8601.
    competition : str
        Kaggle's name for it.
    ref : int
        Kaggle's number of the submission.
    file : str
        Relative to the repository's root.
    rows : int
    sha256 : str
        Of the file.
    message : str
    model : str
    commit : str or None
        None outside a git repository.
    dirty : bool
        Whether tracked files differed from the commit.
    run : str or None
        The model's MLflow run.
    status : "pending", "complete" or "error"
    score : str or None
        Public score, with Kaggle's digits.
    place, teams : int or None
        Rank of the score on the public leaderboard when it was read, and the leaderboard's length.
    error : str or None
        Kaggle's reason for not scoring it.
    """

    time: str
    competition: str
    ref: int
    file: str
    rows: int
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    message: str
    model: str
    commit: str | None
    dirty: bool
    run: str | None
    status: Status = "pending"
    score: str | None = None
    place: int | None = None
    teams: int | None = None
    error: str | None = None


def history(competition: str) -> Path:
    """Return the file with a competition's submissions."""
    return FOLDER / f"{competition}.jsonl"


def read(file: Path) -> list[Submission]:
    """Return the submissions, oldest first; an empty list if the file does not exist.

    Raises
    ------
    DataError
        If a line is not a submission.
    """
    if not file.exists():
        return []
    entry = TypeAdapter(Submission)
    found = []
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        try:
            found.append(entry.validate_json(line))
        except ValidationError as error:
            # A merge conflict in a file that people commit is the likely cause, so name the line.
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the line"
            raise DataError(f"{file}: line {number}: {where}: {first['msg']}") from None
    return found


def record(file: Path, submission: Submission) -> None:
    """Append a submission to the file, or replace the line with the same number."""
    known = read(file)
    refs = [entry.ref for entry in known]
    if submission.ref in refs:
        known[refs.index(submission.ref)] = submission
    else:
        known.append(submission)
    lines = (json.dumps(asdict(entry), ensure_ascii=False) for entry in known)
    write_text(file, "".join(f"{line}\n" for line in lines))


def table(entries: Sequence[Submission], title: str) -> Table:
    """Return submissions as a table for the terminal, the oldest first."""
    shown = Table(title=title)
    for name in ("submitted", "public score", "place", "model", "commit", "MLflow run", "sha256"):
        shown.add_column(name, justify="right" if name in ("public score", "place") else "left")
    shown.add_column("message", overflow="fold")
    for entry in entries:
        commit = (entry.commit or "")[:8] + (" with changes" if entry.dirty else "")
        place = "" if entry.place is None else f"{entry.place} of {entry.teams}"
        score, run = entry.score or entry.status, (entry.run or "")[:8]
        message = Text(entry.message)  # a str would be markup, whose brackets rich interprets
        shown.add_row(entry.time, score, place, entry.model, commit, run, entry.sha256[:8], message)
    return shown
