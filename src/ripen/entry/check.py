"""`ripen check`: the data report of a competition, before any model is fitted."""

from pathlib import Path

from ripen.competition import index as indexes
from ripen.competition.tasks import TASKS
from ripen.core.layout import Layout
from ripen.judge import terminal
from ripen.judge.data_report import DataReport, examine
from ripen.settings import compose as config
from ripen.settings.compose import CONF
from ripen.settings.schema import Competition
from ripen.stages import fetch, prepare, settings


def check(name: str, conf: Path = CONF) -> None:
    """Fetch a competition's files if they are not there, and print its data report.

    Raises
    ------
    DataError
        If its files do not fit its settings.
    """
    terminal.show_data_report(name, report(name, conf))


def report(name: str, conf: Path = CONF) -> DataReport:
    """Return a competition's data report, from its raw files."""
    where = f"{conf}/competition/{name}.yaml"
    values = settings.compose([f"competitions=[{name}]"], conf)[0]["competition"][name]
    competition, layout = config.check(values, Competition, where), Layout(name)
    if not layout.raw.exists():
        fetch.bring(name, competition, layout)
    read, classes, rows, order = prepare.indexed(competition, layout)
    # Restore the order of the files, which splitters may change.
    rows = rows.set_axis(order).sort_index()
    # The index sorts images by class, so their order is not the files'.
    in_order = competition.images is None
    task = TASKS[competition.task]
    index = indexes.Index(rows, task, tuple(classes), tuple(classes.values()))
    return examine(index, read.columns, competition.seed, file_order=in_order)
