"""Sick or not? scikit-learn's copy of the breast cancer data of Wisconsin (Street et al., 1993).

569 tumours, of which 30 numbers were measured on images of their cells; 212 are malignant.
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
    """How many of the 569 rows have a label; the others are the test part."""

    n_train: Annotated[int, Field(ge=50, le=540)]


def generate(settings: Mapping[str, Any], seed: int, folder: Path) -> None:
    """Write train.csv, test.csv, its labels as solution.csv, and sample_submission.csv."""
    dealt = check(settings, Dealt, "source.generate")
    found = load_breast_cancer(as_frame=True)
    table = found.frame.rename(columns=lambda name: name.replace(" ", "_"))
    # scikit-learn numbers malignant 0 and benign 1: words cannot be mistaken.
    table["diagnosis"] = found.target_names[table.pop("target")]
    train, test = train_test_split(
        table, train_size=dealt.n_train, stratify=table["diagnosis"], random_state=seed
    )
    # Numbered as shuffled: in scikit-learn's order neighbours have the same diagnosis.
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
