"""What each competition knows of itself: columns, classes, ranges, form of its files."""

from ripen.datasets import avocado, cats_vs_dogs, digits, imagenet
from ripen.datasets.photos import Photos
from ripen.datasets.pictures import Images
from ripen.datasets.tabular import Tabular
from ripen.schema import CompetitionName

DATASETS: dict[CompetitionName, Tabular | Images] = {
    "avocado": avocado.DATASET,
    "digits": digits.DATASET,
}
PHOTOS: dict[CompetitionName, Photos] = {
    "cats_vs_dogs": cats_vs_dogs.DATASET,
    "cats_vs_dogs_redux": cats_vs_dogs.REDUX,
    "imagenet": imagenet.DATASET,
}
