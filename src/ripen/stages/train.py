"""train: the net, until it converges or its budget is spent; and how it gains from more data."""

from ripen.competition.datasets import DATASETS, PHOTOS
from ripen.competition.datasets.pictures import Images
from ripen.core.layout import Layout
from ripen.learn.sweeps import results
from ripen.learn.sweeps.space import with_settings
from ripen.learn.training import photos, pictures, table
from ripen.settings.schema import CompetitionName, Config


def run(config: Config, competition: CompetitionName) -> None:
    """Read `prepared/`, write `train/` and MLflow runs; take the sweep's best where it says so."""
    if competition in PHOTOS:
        photos.run(config, competition)
        return
    config = with_settings(config, competition, results.chosen(Layout(competition).swept))
    dataset = DATASETS[competition]
    if isinstance(dataset, Images):
        pictures.run(config, competition, dataset)
    else:
        table.run(config, competition, dataset)
