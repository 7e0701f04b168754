"""fetch: bring the competition's files, as Kaggle gives them."""

from ripen.atomic import fresh_folder
from ripen.config import CompetitionName, Config
from ripen.datasets import DATASETS
from ripen.layout import Layout
from ripen.sources import builtin


def run(config: Config, competition: CompetitionName) -> None:
    """Write `raw/`."""
    with fresh_folder(Layout(competition).raw) as folder:
        settings = getattr(config.competition, competition).fetch
        builtin.fetch(DATASETS[competition], settings, config.seed, folder)
