"""What a run ends with on the terminal: the table of models and what to do next."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ripen.core.errors import DataError
from ripen.core.layout import Layout
from ripen.judge.evaluation.summary import ended, ranked
from ripen.kaggle import history
from ripen.kaggle.history import Submission

HEADINGS = {
    "n": "rows",
    "log_loss": "log loss",
    "accuracy": "accuracy",
    "roc_auc": "AUC",
    "top5": "top 5",
}


def leaderboard(metrics: Mapping[str, Any], seconds: Mapping[str, float], title: str) -> Table:
    """Return the table of models, the lowest log loss first, on the part by which one is chosen.

    Parameters
    ----------
    metrics : mapping
        What `metrics/<competition>.json` holds.
    seconds : mapping of str to float
        Training time of the models for which it is known.
    title : str
        The competition.
    """
    models, (by, _) = metrics["models"], metrics["best_by"].split("/")
    shown = list(_shown(models, by))
    table = Table(title=title)
    table.add_column("model")
    for part, score in shown:
        table.add_column(f"{part} {HEADINGS[score]}", justify="right")
    table.add_column("training time", justify="right")
    table.add_column("stopped")
    for name in ranked(metrics):
        scores, took = models[name], seconds.get(name)
        table.add_row(
            f"{name} (best)" if name == metrics["best"] else name,
            *(_number(scores, part, score) for part, score in shown),
            "" if took is None else f"{took:.2f} s",
            ended(scores),
        )
    if "bayes" in metrics:
        best = {"test": {"accuracy": metrics["bayes"]["test"]["accuracy"]}}
        cells = [_number(best, part, score) for part, score in shown]
        table.add_row("best possible (Bayes)", *cells, "", "", style="dim")
    return table


def _shown(models: Mapping[str, Any], by: str) -> Iterator[tuple[str, str]]:
    """Yield what has a column: part and score, where any model has it."""
    for part in ("validation", "test"):
        found = [scores[part] for scores in models.values() if part in scores]
        if len({scores.get("n") for scores in found}) > 1:
            yield part, "n"
        for score in ("log_loss", "accuracy", "roc_auc", "top5"):
            # Of the test part what a model is told by, and no more.
            if any(score in scores for scores in found) and (
                part == by or score in ("accuracy", "top5")
            ):
                yield part, score


def _number(scores: Mapping[str, Any], part: str, score: str) -> str:
    value = scores.get(part, {}).get(score)
    return "" if value is None else str(value) if score == "n" else f"{value:.4f}"


def read_metrics(competition: str) -> dict[str, Any]:
    """Return what `metrics/<competition>.json` holds.

    Raises
    ------
    DataError
        If it is not there.
    """
    file = Layout(competition).metrics
    try:
        metrics: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"{file}: no such file. Run: ripen run competitions=[{competition}]"
        ) from None
    return metrics


def submitted(entries: Sequence[Submission], title: str) -> Table:
    """Return the table of what was submitted, the oldest first."""
    table = Table(title=title)
    for name in ("submitted", "public score", "place", "model", "commit", "MLflow run", "sha256"):
        table.add_column(name, justify="right" if name in ("public score", "place") else "left")
    table.add_column("message", overflow="fold")
    for entry in entries:
        commit = (entry.commit or "")[:8] + (" with changes" if entry.dirty else "")
        place = "" if entry.place is None else f"{entry.place} of {entry.teams}"
        score, run = entry.score or entry.status, (entry.run or "")[:8]
        message = Text(entry.message)  # whose brackets are no markup
        table.add_row(entry.time, score, place, entry.model, commit, run, entry.sha256[:8], message)
    return table


def show(competition: str, seconds: Mapping[str, float]) -> None:
    """Print a competition's table, its submission and how to browse its runs."""
    layout = Layout(competition)
    metrics = read_metrics(competition)
    # A table cut to a terminal's 80 columns loses digits: where there is none, take what it needs.
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    console.print(leaderboard(metrics, seconds, competition))
    if layout.submission.exists():
        console.print(f"submission: {layout.submission}", soft_wrap=True)
    entries = history.read(history.history(competition))
    if entries:
        console.print(submitted(entries, f"{competition}: submissions"))
