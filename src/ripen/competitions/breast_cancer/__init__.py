"""Malignant or benign? scikit-learn's copy of Wisconsin's breast cancer data (Street et al., 1993).

569 tumours, each with 30 measurements on images of its cells; 212 are malignant.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import Field
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from ripen.settings.compose import check
from ripen.settings.typed import typed


@typed
class Dealt:
    """The number of rows, of 569, that have a label; the others are the test part."""

    n_train: Annotated[int, Field(ge=50, le=540)]


def generate(settings: Mapping[str, Any], seed: int, folder: Path) -> None:
    """Write train.csv, test.csv, its labels as solution.csv, and sample_submission.csv."""
    dealt = check(settings, Dealt, "source.generate")
    found = load_breast_cancer(as_frame=True)
    table = found.frame.rename(columns=lambda name: name.replace(" ", "_"))
    # scikit-learn has 0 for malignant and 1 for benign, which is easily mistaken: write words.
    table["diagnosis"] = found.target_names[table.pop("target")]
    train, test = train_test_split(
        table, train_size=dealt.n_train, stratify=table["diagnosis"], random_state=seed
    )
    # Number the rows after shuffling: in scikit-learn's order neighbours share a diagnosis, so the
    # id would leak it.
    dealt_out = pd.concat([train, test]).reset_index(drop=True).rename_axis("id")
    train, test = dealt_out[: dealt.n_train], dealt_out[dealt.n_train :]
    known = test[["diagnosis"]]
    for name, frame in (
        ("train", train),
        ("test", test.drop(columns="diagnosis")),
        ("solution", known),
        ("sample_submission", known.assign(diagnosis=0.5)),
    ):
        frame.to_csv(folder / f"{name}.csv", lineterminator="\n")
