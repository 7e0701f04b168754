"""Competitions that ripen makes itself, with no network."""

from pathlib import Path

from ripen.config import Avocado
from ripen.datasets.tabular import Tabular


def fetch(dataset: Tabular, config: Avocado, seed: int, folder: Path) -> None:
    """Write the generated files of a competition, in Kaggle's form, into a folder.

    Parameters
    ----------
    dataset : Tabular
        What generates them.
    config : Avocado
        How many rows, and how noisy.
    seed : int
        Seed of the generator.
    folder : Path
        An existing folder; one CSV file for each part is written there.
    """
    for name, frame in dataset.generate(config, seed).items():
        frame.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
