"""What a run ends with on the terminal: the table of models and what to do next."""

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from ripen.layout import Layout


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


def show(competition: str, seconds: Mapping[str, float]) -> None:
    """Print a competition's table, its submission and how to browse its runs."""
    layout = Layout(competition)
    metrics = json.loads(layout.metrics.read_text(encoding="utf-8"))
    # A table cut to a terminal's 80 columns loses digits: where there is none, take what it needs.
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    console.print(leaderboard(metrics, seconds, competition))
    console.print(f"submission: {layout.submission}", soft_wrap=True)
