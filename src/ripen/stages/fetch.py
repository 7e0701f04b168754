"""fetch: bring the competition's files, as Kaggle gives them."""

from ripen.atomic import fresh_folder
from ripen.datasets import DATASETS, PHOTOS
from ripen.layout import Layout
from ripen.schema import CompetitionName, Config
from ripen.sources import Item, KaggleFile, builtin, fetch


def run(config: Config, competition: CompetitionName) -> None:
    """Write `raw/`."""
    settings = getattr(config.competition, competition).fetch
    with fresh_folder(Layout(competition).raw) as folder:
        if competition in PHOTOS:
            archive = KaggleFile(name := PHOTOS[competition].kaggle, f"{name}.zip")
            fetch(settings.sources, Item(archive.file, kaggle=archive), folder / archive.file)
        else:
            builtin.fetch(DATASETS[competition], settings, config.seed, folder)
