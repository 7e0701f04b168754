"""The page of a competition's submissions: cross-validated scores beside Kaggle's.

No stage writes it: Kaggle's scores come after the pipeline, so that they are no result of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ripen.core.layout import Layout
from ripen.core.templates import rendered
from ripen.judge import plots
from ripen.judge.page import inline


@dataclass(frozen=True)
class Submissions:
    """The contents of a page.

    Attributes
    ----------
    competition : str
    lead : str
        How well both scores rank alike, in a sentence.
    facts : mapping of str to str
        What the points say; empty if there are none.
    headings, rows : sequence
        Of the table of all submissions.
    points : DataFrame
        As `ripen.judge.plots.agreement` takes them.
    """

    competition: str
    lead: str
    facts: Mapping[str, str]
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    points: pd.DataFrame


def html(page: Submissions) -> str:
    """Return the page."""
    drawn = plots.svg(plots.agreement(page.points)) if len(page.points) else ""
    return rendered(
        Path(__file__).with_name("submissions.html.jinja"),
        page=page,
        report=Layout(page.competition).report.name,
        figure=inline(drawn, "agreement") if drawn else "",
    )
