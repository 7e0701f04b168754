"""Competitions that ripen makes itself, with no network."""

from pathlib import Path

from ripen.competition.datasets.pictures import Images, write_raw
from ripen.competition.datasets.tabular import Tabular
from ripen.settings.schema.avocado import AvocadoFetch
from ripen.settings.schema.digits import DigitsFetch


def fetch(
    dataset: Tabular | Images, config: AvocadoFetch | DigitsFetch, seed: int, folder: Path
) -> None:
    """Write the generated files of a competition, in Kaggle's form, into a folder.

    Parameters
    ----------
    dataset : Tabular or Images
        What generates them.
    config : AvocadoFetch or DigitsFetch
        How many rows, and how noisy.
    seed : int
        Seed of the generator.
    folder : Path
        An existing folder; one file for each part is written there: CSV, and HDF5 for pictures.
    """
    if isinstance(dataset, Images):
        pictures, tables = dataset.generate(config, seed)
        for name, raw in pictures.items():
            write_raw(folder / f"{name}.h5", raw)
    else:
        tables = dataset.generate(config, seed)
    for name, frame in tables.items():
        frame.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
