"""A submission to send: what it is, what made it, and its cross-validated score."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ripen.core.errors import DataError, UsageError
from ripen.core.layout import Layout
from ripen.core.repository import git
from ripen.kaggle import ledger
from ripen.settings.schema import Competition


@dataclass(frozen=True)
class Origin:
    """What made a submission: a commit, and perhaps changes since, or a DVC experiment.

    Attributes
    ----------
    commit : str or None
        None outside a git repository.
    dirty : bool
        Whether tracked files other than the ledger differ from the commit.
    experiment : str or None
    """

    commit: str | None = None
    dirty: bool = False
    experiment: str | None = None

    @property
    def text(self) -> str:
        """Its name for a reader."""
        if self.experiment is not None:
            return f"experiment {self.experiment}"
        if self.commit is None:
            return "no commit"
        return self.commit[:8] + (" with changes" if self.dirty else "")


@dataclass(frozen=True)
class Score:
    """A model's cross-validated score, and the members of a blend, from `metrics/`.

    Attributes
    ----------
    metric : str or None
    cv, error : float or None
        The score and its standard error.
    members : mapping of str to float
        Their weights.
    """

    metric: str | None = None
    cv: float | None = None
    error: float | None = None
    members: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """A submission to send.

    Attributes
    ----------
    name : str
        The competition's name here.
    competition : Competition
    slug : str
        Kaggle's name for it.
    model : str
        The model whose predictions it holds.
    file : Path
        What is sent. That of an experiment is a copy in a folder of its own.
    origin : Origin
    score : Score
    run : str or None
        The model's MLflow run.
    message : str or None
        Its description on Kaggle; None for the model and the commit.
    """

    name: str
    competition: Competition
    slug: str
    model: str
    file: Path
    origin: Origin = Origin()
    score: Score = Score()
    run: str | None = None
    message: str | None = None

    @property
    def sample(self) -> Path:
        """The sample submission, whose form the file must have."""
        return Layout(self.name).raw / self.competition.files.sample

    @property
    def ledger(self) -> Path:
        return ledger.path(self.name)


def slug_of(name: str, competition: Competition) -> str:
    """Return Kaggle's name for a competition.

    Raises
    ------
    UsageError
        If its files do not come from Kaggle.
    """
    if "kaggle" not in competition.source:
        raise UsageError(
            f"'{name}' cannot be submitted: it is not on Kaggle (its source is "
            f"'{next(iter(competition.source))}')"
        )
    # An address may name one file of the competition too: slug/file.
    return str(competition.source["kaggle"]).partition("/")[0]


def target(name: str, competition: Competition) -> tuple[str, str]:
    """Return Kaggle's name for a competition, and the model to submit ("best" or a name).

    Raises
    ------
    UsageError
        If its files do not come from Kaggle, or it has no submission.
    """
    slug = slug_of(name, competition)
    if competition.predict is None:
        raise UsageError(f"'{name}' cannot be submitted: its setting predict is null")
    return slug, competition.predict.model


def model_and_score(metrics: Mapping[str, Any], model: str, where: str) -> tuple[str, Score]:
    """Return the model that is submitted, "best" resolved, with its cross-validated score.

    Parameters
    ----------
    metrics : mapping
        Of `metrics/<competition>.json`.
    model : str
        Its name, or "best".
    where : str
        The file, for errors.

    Raises
    ------
    DataError
        If the file does not have the model, or not the form of such a file.
    """
    try:
        chosen = metrics["best"] if model == "best" else model
        part, _, metric = metrics["best_by"].partition("/")
        if chosen not in metrics["models"]:
            raise DataError(f"{where} has no model '{chosen}'. Run: ripen run")
        found = metrics["models"][chosen]
        own = found.get("validation", {})
        # Of an older file, or one without more digits, the rounded score.
        cv = own.get("score", own.get(metric if part == "validation" else ""))
        return chosen, Score(metric, cv, own.get("standard_error"), found.get("members", {}))
    except (AttributeError, KeyError, TypeError):
        raise DataError(f"{where} is damaged. Run: ripen run") from None


def origin() -> Origin:
    """Return the commit, and whether tracked files other than the ledger have changed since."""
    commit = git("rev-parse", "HEAD")
    if not commit:
        return Origin()
    # The ledger changes with every submission, so it says nothing about what made the file.
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!submissions")
    return Origin(commit, bool(changed))
