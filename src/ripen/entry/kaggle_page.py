"""Kaggle's facts about a competition, through its own client."""

from dataclasses import dataclass
from datetime import datetime

from ripen.core.errors import SourceError
from ripen.data.sources import kaggle_client
from ripen.data.sources.kaggle_client import Answer, Text, ask
from ripen.entry.metric_words import metric_of


@dataclass(frozen=True)
class KagglePage:
    """Facts of a competition.

    Attributes
    ----------
    slug, title, licence : str
    metric : str
        In Kaggle's own words.
    evaluation : str
        The text of the evaluation page.
    notebooks_only : bool
        Whether only notebooks may submit.
    a_day : int
        Submissions allowed in a day.
    deadline : datetime, optional
    entered : bool
        Whether the user has accepted the rules.
    files : tuple of str
    """

    slug: str
    title: str = ""
    licence: str = ""
    metric: str = ""
    evaluation: str = ""
    notebooks_only: bool = False
    a_day: int = 0
    deadline: datetime | None = None
    entered: bool = True
    files: tuple[str, ...] = ()

    @property
    def registered(self) -> tuple[str, str] | None:
        """The metric of the registry and Kaggle's words for it; None if no metric matches."""
        # House Prices is listed as RMSE, and only its page says that logarithms are compared.
        logarithmic = metric_of(self.evaluation) == "rmsle"
        short = metric_of(self.metric)
        if short and not (short == "rmse" and logarithmic):
            return short, f"Kaggle: {self.metric}"
        long = metric_of(self.evaluation)
        return (long, "Kaggle's page on the evaluation") if long else None

    def notes(self) -> list[str]:
        """Return what the user should know before starting, a line each."""
        found = [f"{self.title or self.slug}: {self.a_day} submissions a day"]
        if self.deadline:
            found.append(f"deadline: {self.deadline:%Y-%m-%d %H:%M} UTC")
        if self.metric:
            found.append(f"metric, in Kaggle's words: {self.metric}")
        if self.notebooks_only:
            found.append("only notebooks may submit: upload the model, and predict there")
        if not self.entered:
            address = f"{kaggle_client.SITE}/c/{self.slug}/rules"
            found.append(f"you have not entered it yet. Accept the rules at {address}")
        return found


def read(slug: str) -> KagglePage:
    """Read Kaggle's facts about a competition.

    Raises
    ------
    SourceError
        If Kaggle refuses, does not know the competition, or is unreachable.
    """
    api, advice = kaggle_client.connect(), kaggle_client.advice(slug)
    competition, pages, files = (
        kaggle_client.request(name, competition_name=slug)
        for name in ("GetCompetition", "ListCompetitionPages", "ListDataFiles")
    )

    def asked() -> KagglePage:
        facts = ask(api, "get_competition", competition, _Facts, advice)
        written = ask(api, "list_competition_pages", pages, _Pages, advice)
        listed = ask(api, "list_data_files", files, _Files, advice)
        names = tuple(file.name for file in listed.files or ())
        return _page(slug, facts, _evaluation(written), names)

    return kaggle_client.retried(asked)


def _page(slug: str, facts: "_Facts", evaluation: str, files: tuple[str, ...]) -> KagglePage:
    if facts.submissions_disabled:
        raise SourceError(f"Kaggle takes no submissions to {slug} any more")
    return KagglePage(
        slug,
        facts.title or "",
        facts.license_name or "",
        facts.evaluation_metric or "",
        evaluation,
        bool(facts.is_kernels_submissions_only),
        facts.max_daily_submissions or 0,
        facts.deadline,
        bool(facts.user_has_entered),
        files,
    )


def _evaluation(written: "_Pages") -> str:
    return next(
        (page.content or "" for page in written.pages or () if "evaluation" in page.name.lower()),
        "",
    )


# --- What we read of Kaggle's answers, by Kaggle's own names -------------------------------------


class _Facts(Answer):
    title: Text | None
    license_name: Text | None
    evaluation_metric: str | None
    is_kernels_submissions_only: bool
    max_daily_submissions: int | None
    deadline: datetime | None
    user_has_entered: bool
    submissions_disabled: bool


class _Written(Answer):
    name: str
    content: str | None


class _Pages(Answer):
    pages: list[_Written] | None


class _File(Answer):
    name: str


class _Files(Answer):
    files: list[_File] | None
