"""What was submitted: `submissions/<competition>.jsonl`, one line a submission, kept in git.

DVC has no part in it: it is the user's history, and nothing is made from it again.
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
    """One submission: when and where, which file, what made it, and what Kaggle said.

    `ref` is Kaggle's number of it. `score` and `place` are on the public leaderboard, `place` being
    where that score stands among its `teams`.
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
    """Return the file of a competition's submissions."""
    return FOLDER / f"{competition}.jsonl"


def read(file: Path) -> list[Submission]:
    """Return the submissions, the oldest first; none where there is no such file.

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
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the line"
            raise DataError(f"{file}: line {number}: {where}: {first['msg']}") from None
    return found


def record(file: Path, submission: Submission) -> None:
    """Add a submission to the file, or put it in the place of the one with the same number."""
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
