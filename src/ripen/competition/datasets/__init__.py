"""What each competition knows of itself: columns, classes, ranges, form of its files."""

from ripen.competition.datasets import avocado, cats_vs_dogs, digits, imagenet
from ripen.competition.datasets.photos import Photos
from ripen.competition.datasets.pictures import Images
from ripen.competition.datasets.tabular import Tabular
from ripen.settings.schema import CompetitionName, Config
from ripen.settings.schema.photos import SubsetFetch

DATASETS: dict[CompetitionName, Tabular | Images] = {
    "avocado": avocado.DATASET,
    "digits": digits.DATASET,
}
PHOTOS: dict[CompetitionName, Photos] = {
    "cats_vs_dogs": cats_vs_dogs.DATASET,
    "cats_vs_dogs_redux": cats_vs_dogs.REDUX,
    "imagenet": imagenet.DATASET,
    "imagenet_subset": imagenet.SUBSET,
}


def photos_of(config: Config, competition: CompetitionName) -> Photos:
    """Return a competition of photographs, with the classes that the settings choose of it."""
    photos, settings = PHOTOS[competition], getattr(config.competition, competition).fetch
    return photos.only(settings.classes) if isinstance(settings, SubsetFetch) else photos
