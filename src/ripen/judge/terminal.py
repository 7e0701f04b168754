"""The leaderboard on the terminal: the last lines of a run, and `ripen leaderboard`."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from ripen.core.layout import Layout
from ripen.judge.data_report import DataReport
from ripen.judge.scoring import Leaderboard, leaderboard, read_metrics


def as_table(board: Leaderboard, seconds: Mapping[str, float], title: str) -> Table:
    """Return the leaderboard as a table for the terminal.

    Parameters
    ----------
    board : Leaderboard
    seconds : mapping of str to float
        Training time of each model for which it is known.
    title : str
        The competition.
    """
    table, shown = Table(title=title), board.summary
    table.add_column("model", no_wrap=True)
    for column in shown:
        table.add_column(board.heading(column), justify="right")
    table.add_column("training time", justify="right")
    table.add_column("stopped", no_wrap=True)
    for row in board.rows:
        took = seconds.get(row.model)
        table.add_row(
            f"{row.model} (best)" if row.best else row.model,
            *(board.text(row, column) for column in shown),
            "" if took is None else f"{took:.2f} s",
            row.ended,
        )
    if board.bayes:
        cells = [board.text(board.bayes, column) for column in shown]
        table.add_row("best possible (Bayes)", *cells, "", "", style="dim")
    return table


def console() -> Console:
    """Return the console to print tables on."""
    found = Console()
    # Without a terminal rich assumes 80 columns, in which a table loses digits.
    return found if found.is_terminal else Console(width=140)


def show(competition: str, seconds: Mapping[str, float]) -> None:
    """Print a competition's leaderboard, and where its submission is."""
    layout, printed = Layout(competition), console()
    board = leaderboard(read_metrics(competition))
    printed.print(as_table(board, seconds, competition))
    printed.print(board.certainty, soft_wrap=True, highlight=False)
    for name, file in (("submission", layout.submission), ("report", layout.report)):
        if file.exists():
            printed.print(f"{name}: {file}", soft_wrap=True, highlight=False)


def show_data_report(competition: str, report: DataReport) -> None:
    """Print a competition's data report, grave findings marked."""
    table = Table(title=f"{competition}: data")
    table.add_column("topic", no_wrap=True)
    table.add_column("found")
    for finding in report.findings:
        style = "bold" if finding.grave else ""
        table.add_row(finding.topic, f"{'! ' if finding.grave else ''}{finding.text}", style=style)
    printed = console()
    printed.print(table)
    printed.print(report.advice, soft_wrap=True)
