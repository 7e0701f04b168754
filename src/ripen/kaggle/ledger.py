"""The ledger: every submission, in `submissions/<competition>.jsonl`, a line each, kept in git.

DVC does not track it: no stage could reproduce it.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
import pydantic
from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from rich.table import Table
from rich.text import Text

from ripen.competition.metrics import METRICS
from ripen.core.atomic import write_text
from ripen.core.errors import DataError
from ripen.core.locks import hold

FOLDER = Path("submissions")
LOCKS = Path(".ripen")
Status = Literal["sending", "sent", "scored", "error"]
_FORMER = {"pending": "sent", "complete": "scored"}  # the words of ripen's first release
FEWEST = 3  # submissions whose ranks are compared
_AGREES, _DISAGREES = 0.8, 0.4  # rank correlations


@pydantic.dataclasses.dataclass(
    frozen=True, kw_only=True, config=ConfigDict(extra="forbid", strict=True)
)
class Submission:
    """One submission to Kaggle.

    Attributes
    ----------
    time : str
        UTC, in ISO 8601. No two submissions of a ledger have the same.
    competition : str
        Kaggle's name for it.
    ref : int or None
        Kaggle's number of the submission; None while it is unknown whether it arrived.
    file : str
        Relative to the repository's root.
    rows : int
    sha256 : str
        Of the file.
    md5 : str or None
        Of the file: the name of the same content in `dvc.lock` and in DVC's cache.
    message : str
    model : str
    members : dict of str to float
        The weights of a blend's members.
    metric : str or None
        What `cv` measures.
    cv, cv_error : float or None
        The model's cross-validated score and its standard error.
    commit : str or None
        None outside a git repository.
    dirty : bool
        Whether tracked files differed from the commit.
    experiment : str or None
        The DVC experiment that the file comes from; None for the working tree.
    run : str or None
        The model's MLflow run.
    status : "sending", "sent", "scored" or "error"
        Before Kaggle answered, after it did, and what became of it.
    score, private : str or None
        Public and private score, with Kaggle's digits.
    place, teams : int or None
        Rank of the score on the public leaderboard when it was read, and the leaderboard's length.
    left : int or None
        How many more submissions Kaggle allowed on that day.
    error : str or None
        Kaggle's reason for not scoring it.
    """

    time: str
    competition: str
    ref: int | None = None
    file: str
    rows: int
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    message: str
    model: str
    members: dict[str, float] = Field(default_factory=dict)
    metric: str | None = None
    cv: float | None = None
    cv_error: float | None = None
    commit: str | None
    dirty: bool
    experiment: str | None = None
    run: str | None
    status: Annotated[Status, BeforeValidator(lambda word: _FORMER.get(word, word))] = "sending"
    score: str | None = None
    private: str | None = None
    place: int | None = None
    teams: int | None = None
    left: int | None = None
    error: str | None = None


# --- The file ------------------------------------------------------------------------------------


def path(competition: str) -> Path:
    """Return the file with a competition's submissions."""
    return FOLDER / f"{competition}.jsonl"


@contextmanager
def locked(competition: str) -> Iterator[None]:
    """Hold a competition's ledger, so that of two terminals only one sends.

    Raises
    ------
    DataError
        If another process holds it, or the lock cannot be made.
    """
    busy = DataError(
        f"another ripen submits '{competition}' or reads its scores at this moment. Wait for it"
    )
    with hold(LOCKS / f"{competition}.submissions.lock", busy):
        yield


def read(file: Path) -> list[Submission]:
    """Return the submissions, oldest first; an empty list if the file does not exist.

    Raises
    ------
    DataError
        If the file cannot be read, or a line is not a submission.
    """
    try:
        lines = file.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from None
    entry = TypeAdapter(Submission)
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(entry.validate_json(line))
        except ValidationError as error:
            # A merge conflict in a file that people commit is the likely cause, so name the line.
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "the line"
            raise DataError(
                f"{file}: line {number}: {where}: {first['msg']}. Correct it, or go back to the "
                f"last commit's: git checkout {file}"
            ) from None
    return found


def record(file: Path, submission: Submission) -> None:
    """Append a submission to the file, or replace the line of the same time.

    Raises
    ------
    DataError
        If the file cannot be read or written.
    """
    known = {entry.time: entry for entry in read(file)}
    _write(file, (known | {submission.time: submission}).values())


def withdraw(file: Path, submission: Submission) -> None:
    """Remove a submission that Kaggle refused: it was none."""
    _write(file, [entry for entry in read(file) if entry.time != submission.time])


def _write(file: Path, entries: Iterable[Submission]) -> None:
    lines = [json.dumps(asdict(entry), ensure_ascii=False) for entry in entries]
    try:
        if lines:
            write_text(file, "".join(f"{line}\n" for line in lines))
        else:
            file.unlink()
    except OSError as error:
        raise DataError(f"{file}: cannot be written: {error.strerror}") from None


# --- Cross-validation beside the leaderboard -----------------------------------------------------


@dataclass(frozen=True)
class Agreement:
    """How well cross-validation and the public leaderboard rank the same submissions.

    Attributes
    ----------
    points : DataFrame
        A row for each scored file: model, cv, cv_error (NaN if unknown), public.
    correlation : float or None
        Spearman's rank correlation; None of fewer than three, or where all scores of either are
        equal.
    metric : str or None
        What the cross-validated scores measure.
    """

    points: pd.DataFrame
    correlation: float | None
    metric: str | None = None

    @property
    def facts(self) -> dict[str, str]:
        """The best submission by each of both scores; empty if a metric of one's own decides."""
        if self.metric is None or self.metric not in METRICS or not len(self.points):
            return {}
        found = {}
        for name, column in (("best by CV", "cv"), ("best on the leaderboard", "public")):
            scores = {str(place): float(score) for place, score in self.points[column].items()}
            best = self.points.loc[int(METRICS[self.metric].best(scores))]
            found[name] = f"{best.model}: CV {best.cv:.5f}, public {best.public:.5f}"
        return found

    @property
    def text(self) -> str:
        """What it means, in a line."""
        n = len(self.points)
        if self.correlation is None:
            why = f"{n} scored so far" if n < FEWEST else "all scores of one are equal"
            return f"CV and public score: ranks are compared from {FEWEST} submissions on ({why})"
        if self.correlation >= _AGREES:
            meaning = "the leaderboard confirms CV"
        elif self.correlation >= _DISAGREES:
            meaning = "they agree in part. Compare gaps with the standard errors"
        else:
            meaning = "they disagree. Do train and test differ (ripen check), or leak the folds?"
        return (
            f"CV and public score: Spearman's rank correlation {self.correlation:.2f} over {n} "
            f"submissions: {meaning}"
        )


def agreement(entries: Iterable[Submission]) -> Agreement:
    """Compare cross-validated and public scores. A file that was sent twice counts once.

    Only those by the metric of the last submission count: others do not compare.
    """
    scored = [one for one in entries if one.cv is not None and one.score is not None]
    of_one_metric = [one for one in scored if one.metric == scored[-1].metric]
    points = pd.DataFrame(
        [
            (one.model, one.cv, math.nan if one.cv_error is None else one.cv_error, one.score)
            for one in {each.sha256: each for each in of_one_metric}.values()
        ],
        columns=["model", "cv", "cv_error", "public"],
    ).astype({"cv": float, "cv_error": float, "public": float})
    varied = len(points) >= FEWEST and min(points["cv"].nunique(), points["public"].nunique()) > 1
    found = float(points["cv"].corr(points["public"], "spearman")) if varied else None
    return Agreement(points, found, scored[-1].metric if scored else None)


def left_today(entries: Sequence[Submission], today: datetime | None = None) -> int | None:
    """Return how many more submissions Kaggle allowed today when it was last asked, None if never.

    Its days are those of UTC. On a new day the number is unknown until the next submission.
    """
    day = (today or datetime.now(UTC)).date().isoformat()
    known = [one.left for one in entries if one.time.startswith(day) and one.left is not None]
    return known[-1] if known else None


WORDS = 22  # letters in a line of a model's members, and of a message
HEADINGS = ("submitted", "CV", "public", "private", "place", "model", "commit", "run", "sha256",
            "message")  # fmt: skip


def rows(entries: Sequence[Submission]) -> list[list[str]]:
    """Return a row for each submission, in the order of `HEADINGS`, the oldest first."""
    found = []
    for entry in entries:
        cv = "" if entry.cv is None else f"{entry.cv:.5f}"
        error = "" if entry.cv_error is None else f" ± {entry.cv_error:.5f}"
        place = "" if entry.place is None else f"{entry.place} of {entry.teams}"
        members = f" of {', '.join(entry.members)}" if entry.members else ""
        commit = (entry.commit or "")[:8] + (" with changes" if entry.dirty else "")
        found.append(
            [
                entry.time[:16].replace("T", " "),
                cv + error,
                entry.score or entry.status,
                entry.private or "",
                place,
                entry.model + members,
                entry.experiment or commit,
                (entry.run or "")[:8],
                entry.sha256[:8],
                entry.message,
            ]
        )
    return found


def headings(entries: Sequence[Submission]) -> list[str]:
    """Return the headings of `rows`, with the name of the last submission's metric."""
    metric = next((one.metric for one in reversed(entries) if one.metric), "")
    return [f"CV {metric}".strip() if name == "CV" else name for name in HEADINGS]


def table(entries: Sequence[Submission], title: str, width: int) -> Table:
    """Return submissions as a table for the terminal, the oldest first.

    Where `width` letters are too few, the columns are left out that tell least: the page that
    `ripen leaderboard` writes has them all.
    """
    cells = dict(zip(HEADINGS, zip(*rows(entries), strict=True), strict=True))
    heads = dict(zip(HEADINGS, headings(entries), strict=True))
    needed = {
        name: WORDS if name in ("model", "message") else max(map(len, (heads[name], *column)))
        for name, column in cells.items()
    }
    shown = [name for name in HEADINGS if name not in ("private", "place") or any(cells[name])]
    for least in ("sha256", "run", "commit", "place", "message"):
        if least in shown and sum(needed[name] + 3 for name in shown) >= width:
            shown.remove(least)
    found = Table(title=title)
    for name in shown:
        if name in ("model", "message"):
            found.add_column(heads[name], overflow="fold")
        else:
            right = name in ("CV", "public", "private", "place")
            found.add_column(heads[name], justify="right" if right else "left", no_wrap=True)
    for row in zip(*(cells[name] for name in shown), strict=True):
        # A str would be markup, whose brackets rich interprets.
        found.add_row(*map(Text, row))
    return found
