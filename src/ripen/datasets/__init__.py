"""What each competition knows of itself: columns, classes, ranges, form of its files."""

from ripen.config import CompetitionName
from ripen.datasets import avocado, digits
from ripen.datasets.pictures import Images
from ripen.datasets.tabular import Tabular

DATASETS: dict[CompetitionName, Tabular | Images] = {
    "avocado": avocado.DATASET,
    "digits": digits.DATASET,
}
