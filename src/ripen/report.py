"""What a run ends with on the terminal: the table of models and what to do next."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ripen import submissions
from ripen.errors import DataError
from ripen.layout import Layout
from ripen.submissions import Submission


def leaderboard(metrics: Mapping[str, Any], seconds: Mapping[str, float], title: str) -> Table:
    """Return the table of models, the lowest validation log loss first.

    Parameters
    ----------
    metrics : mapping
        What `metrics/<competition>.json` holds.
    seconds : mapping of str to float
        Training time of the models for which it is known.
    title : str
        The competition.
    """
    table = Table(title=title)
    table.add_column("model")
    for name in ("validation log loss", "validation accuracy", "test accuracy", "training time"):
        table.add_column(name, justify="right")
    table.add_column("stopped")
    models = metrics["models"]
    for name in sorted(models, key=lambda model: models[model]["validation"]["log_loss"]):
        scores, took = models[name], seconds.get(name)
        table.add_row(
            f"{name} (best)" if name == metrics["best"] else name,
            f"{scores['validation']['log_loss']:.4f}",
            f"{scores['validation']['accuracy']:.4f}",
            f"{scores['test']['accuracy']:.4f}" if "test" in scores else "",
            "" if took is None else f"{took:.2f} s",
            f"{scores['stopped']} at {scores['iterations']}" if "stopped" in scores else "",
        )
    if "bayes" in metrics:
        test = metrics["bayes"]["test"]["accuracy"]
        table.add_row("best possible (Bayes)", "", "", f"{test:.4f}", "", "", style="dim")
    return table


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
    console.print(f"submission: {layout.submission}", soft_wrap=True)
    entries = submissions.read(submissions.history(competition))
    if entries:
        console.print(submitted(entries, f"{competition}: submissions"))
