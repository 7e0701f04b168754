"""prepare: check the raw files, split off what validates, and write what models learn from."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from ripen.competition.datasets import DATASETS, PHOTOS, photos_of
from ripen.competition.datasets.pictures import (
    Images,
    alternated,
    part,
    read_raw,
    read_solution,
    split,
)
from ripen.competition.datasets.prepared import Part, write_part, write_scaler
from ripen.competition.datasets.tabular import Tabular, check_classes, read_table
from ripen.core.atomic import fresh_folder
from ripen.core.errors import DataError
from ripen.core.layout import Layout
from ripen.data import prepare_images as photos
from ripen.settings.schema import CompetitionName, Config


@dataclass(frozen=True)
class Prepared:
    """The scaled parts, by name, and the scaler that was fitted on ``train``."""

    parts: dict[str, Part]
    scaler: StandardScaler


def run(config: Config, competition: CompetitionName) -> None:
    """Read `raw/`, write `prepared/`."""
    if competition in PHOTOS:
        photos.run(config, competition, photos_of(config, competition))
        return
    layout, dataset = Layout(competition), DATASETS[competition]
    size = getattr(config.competition, competition).prepare.validation_size
    if isinstance(dataset, Images):
        parts = prepare_pictures(dataset, layout.raw, size, config.seed)
        with fresh_folder(layout.prepared) as folder:
            for name, rows in parts.items():
                write_part(folder, name, rows)
        return
    prepared = prepare_table(dataset, layout.raw, size, config.seed)
    with fresh_folder(layout.prepared) as folder:
        for name, rows in prepared.parts.items():
            write_part(folder, name, rows)
        write_scaler(folder, dataset, prepared.scaler)


def prepare_table(dataset: Tabular, raw: Path, validation_size: float, seed: int) -> Prepared:
    """Read and check the files of a table, and prepare them."""
    columns = dataset.columns()
    train = read_table(raw / "train.csv", dataset, columns)
    check_classes(raw / "train.csv", dataset, train[dataset.label])
    test = read_test(raw, dataset)
    more = read_table(raw / "more.csv", dataset, columns)
    return prepare(dataset, train, test, more, validation_size, seed)


def prepare_pictures(
    dataset: Images, raw: Path, validation_size: float, seed: int
) -> dict[str, Part]:
    """Read and check the files of pictures, scale them and split off the validation parts.

    Returns
    -------
    dict of str to Part
        As of a table, and ``pretrain`` and ``pretrain_validation``.
    """

    def read(name: str, classes: int) -> Part:
        return part(read_raw(raw / f"{name}.h5", dataset, classes), dataset)

    classes = len(dataset.classes)
    pretrain = split(read("pretrain", len(dataset.pretrained)), validation_size, seed)
    train = split(read("train", classes), validation_size, seed)
    test = read("test", classes)
    if (raw / "solution.csv").exists():
        test = replace(test, labels=read_solution(raw / "solution.csv", dataset, test.ids))
    return {
        "pretrain": pretrain[0],
        "pretrain_validation": pretrain[1],
        "train": train[0],
        "validation": train[1],
        "test": test,
        "more": alternated(read("more", classes)),
    }


def read_test(raw: Path, dataset: Tabular) -> pd.DataFrame:
    """Read the test rows, with their labels where `solution.csv` is there.

    Raises
    ------
    DataError
        If the two do not have the same ids in the same order, or one is not what it should be.
    """
    test = read_table(raw / "test.csv", dataset, dataset.columns(label=False))
    if not (raw / "solution.csv").exists():
        return test
    solution = read_table(raw / "solution.csv", dataset, dataset.columns(features=False))
    if solution[dataset.id].tolist() != test[dataset.id].tolist():
        raise DataError(f"{raw / 'solution.csv'}: its ids are not those of {raw / 'test.csv'}")
    return test.assign(**{dataset.label: solution[dataset.label]})


def prepare(
    dataset: Tabular,
    train: pd.DataFrame,
    test: pd.DataFrame,
    more: pd.DataFrame,
    validation_size: float,
    seed: int,
) -> Prepared:
    """Split, stratified by class, and scale to mean 0 and standard deviation 1 of the train part.

    Parameters
    ----------
    dataset : Tabular
        Names of the columns.
    train, test, more : DataFrame
        The checked raw tables; ``test`` may lack the label.
    validation_size : float in (0, 1)
        Share of ``train`` that is held out.
    seed : int
        Seed of the split's shuffle.

    Returns
    -------
    Prepared
        Parts ``train``, ``validation``, ``test`` and ``more``.
    """
    kept, held_out = train_test_split(
        train, test_size=validation_size, stratify=train[dataset.label], random_state=seed
    )
    names = dataset.feature_names
    scaler = StandardScaler().fit(kept[names])
    return Prepared(
        {
            name: Part(
                ids=frame[dataset.id].to_numpy(),
                data=scaler.transform(frame[names]).astype(np.float32),
                labels=frame[dataset.label].to_numpy() if dataset.label in frame else None,
            )
            for name, frame in (
                ("train", kept),
                ("validation", held_out),
                ("test", test),
                ("more", more),
            )
        },
        scaler,
    )
