"""fetch: bring the competition's files, as they are published."""

from ripen.core.atomic import fresh_folder
from ripen.core.layout import Layout
from ripen.data.origins import ORIGINS
from ripen.settings.compose import load_competition


def run(name: str) -> None:
    """Write `raw/`."""
    competition, layout = load_competition(name), Layout(name)
    ((origin, settings),) = competition.source.items()
    with fresh_folder(layout.raw) as folder:
        ORIGINS[origin](settings, competition, layout, folder)
