"""train: the net, until it converges or its budget is spent; and how it gains from more data."""

from ripen.datasets import DATASETS
from ripen.datasets.pictures import Images
from ripen.schema import CompetitionName, Config
from ripen.training import pictures, table


def run(config: Config, competition: CompetitionName) -> None:
    """Read `prepared/`, write `train/` and MLflow runs."""
    dataset = DATASETS[competition]
    if isinstance(dataset, Images):
        pictures.run(config, competition, dataset)
    else:
        table.run(config, competition, dataset)
