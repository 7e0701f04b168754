"""The leaderboard on the terminal: the last lines of a run, and `ripen leaderboard`."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Literal

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from ripen.core.layout import Layout
from ripen.judge.data_report import DataReport
from ripen.judge.leaderboard import Column, Leaderboard, leaderboard, read_metrics

HEADING = 14  # letters in a line of a column's heading
TIME, ENDED = "training\ntime", "stopped"  # columns that hold no score
_WIDE = Console(width=1000).options


def as_table(
    board: Leaderboard, seconds: Mapping[str, float], title: str, width: int | None = None
) -> Table:
    """Return the leaderboard as a table for the terminal.

    Parameters
    ----------
    board : Leaderboard
    seconds : mapping of str to float
        Training time of each model for which it is known; none where DVC has brought all of them.
    title : str
        The competition.
    width : int or None
        Letters in a line. Where they are too few the columns are left out that decide least.
    """
    timed = any(row.model in seconds for row in board.rows)
    ends = any(row.ended for row in board.rows)
    shown: list[Column | str] = [*board.summary, *[TIME] * timed, *[ENDED] * ends]
    scores = [column for column in board.summary if column.metric != board.decides.metric]
    scores.sort(key=lambda column: (column.part == board.decides.part, shown.index(column)))
    least: list[Column | str] = [*[TIME] * timed, *[ENDED] * ends, *scores]
    table = _table(board, seconds, title, shown)
    while width and least and Measurement.get(Console(), _WIDE, table).maximum > width:
        shown.remove(least.pop())
        table = _table(board, seconds, title, shown)
    return table


def _table(
    board: Leaderboard, seconds: Mapping[str, float], title: str, shown: Sequence[Column | str]
) -> Table:
    table = Table(title=title)
    table.add_column("model", no_wrap=True)
    for column in shown:
        # Only headings wrap: a score and its standard error stay in one line.
        if isinstance(column, str):
            heading = column
        else:
            heading = textwrap.fill(board.heading(column), HEADING)
        justify: Literal["left", "right"] = "left" if column == ENDED else "right"
        table.add_column(heading, justify=justify, no_wrap=True)
    for row in board.rows:
        took = seconds.get(row.model)
        texts = {TIME: "" if took is None else f"{took:.2f} s", ENDED: row.ended}
        table.add_row(
            f"{row.model} (best)" if row.best else row.model,
            *(texts[c] if isinstance(c, str) else board.text(row, c) for c in shown),
        )
    if board.bayes:
        cells = ["" if isinstance(c, str) else board.text(board.bayes, c) for c in shown]
        table.add_row("best possible (Bayes)", *cells, style="dim")
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
    printed.print(as_table(board, seconds, competition, printed.width))
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
