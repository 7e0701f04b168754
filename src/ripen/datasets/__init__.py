"""What each competition knows of itself: columns, classes, ranges, form of its files."""

from ripen.config import CompetitionName
from ripen.datasets import avocado
from ripen.datasets.tabular import Tabular

DATASETS: dict[CompetitionName, Tabular] = {"avocado": avocado.DATASET}
