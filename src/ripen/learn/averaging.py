"""Seed averaging: one estimator fitted with several seeds, and the mean of its outputs."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ripen.core.json_files import write_json
from ripen.learn import target_transform
from ripen.learn.convergence import Training
from ripen.learn.estimator import Estimator, Fitted, Outputs, Rows, Work, ignore
from ripen.learn.target_transform import ABOUT

MEMBERS = "members"  # of a served model: how many folders of members it has
APART = 1000  # between seeds: repeats of the folds have those that follow the competition's


@dataclass(frozen=True)
class Averaged:
    """Fitted models, whose outputs are averaged."""

    members: tuple[Fitted, ...]

    @property
    def training(self) -> Training | None:
        """How the training of the first went, of a net."""
        return self.members[0].training

    def predict(self, x: Any) -> Outputs:
        """Return the mean of the members' outputs (`Fitted.predict`)."""
        return np.asarray(np.mean([member.predict(x) for member in self.members], axis=0))

    def save(self, folder: Path) -> None:
        """Write each member into a folder of its own."""
        for number, member in enumerate(self.members):
            own = member_folder(folder, number)
            own.mkdir()
            member.save(own)
        write_json(folder / ABOUT, {MEMBERS: len(self.members)})


def member_folder(folder: Path, number: int) -> Path:
    """Return the folder of a member, counted from 0."""
    return folder / f"seed_{number + 1}"


def fit(estimator: Estimator, train: Rows, validation: Rows | None, work: Work) -> Fitted:
    """Fit to rows as `target_transform.fit` does, with each of the estimator's `seeds`.

    The first has the seed of `work`, so that more seeds leave it as it is. Its training is
    followed, and its files are the model's; those of the others are in folders beside them.
    """
    if estimator.seeds is None or estimator.seeds == 1:
        return target_transform.fit(estimator, train, validation, work)
    members = [target_transform.fit(estimator, train, validation, work)]
    for number in range(1, estimator.seeds):
        folder = member_folder(work.folder, number)
        folder.mkdir(exist_ok=True)
        other = replace(
            work, seed=work.seed + APART * number, folder=folder, callback=ignore, history=False
        )
        members.append(target_transform.fit(estimator, train, validation, other))
        if not any(folder.iterdir()):  # most estimators leave no files
            folder.rmdir()
    return Averaged(tuple(members))
