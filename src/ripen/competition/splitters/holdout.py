"""One part held out, or none."""

from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ripen.competition.splitters import SPLITTERS, Split, Splitter
from ripen.core.errors import DataError
from ripen.settings.typed import Share, typed


@SPLITTERS.register("holdout")
@typed
class HoldOut(Splitter):
    """Holds out a share of the rows at random, stratified by class if there are classes."""

    size: Share
    refit: ClassVar[bool] = False

    def split(self, rows: pd.DataFrame, targets: NDArray[np.generic], seed: int) -> Split:
        """Deal rows (`Splitter.split`)."""
        from sklearn.model_selection import train_test_split

        classes = targets if np.issubdtype(targets.dtype, np.integer) else None
        try:
            kept, held = train_test_split(
                np.arange(len(rows)), test_size=self.size, stratify=classes, random_state=seed
            )
        except ValueError as error:
            raise DataError(f"{len(rows)} labelled rows cannot be split: {error}") from None
        fold = np.full(len(rows), -1)
        fold[held] = 0
        return Split(np.concatenate([kept, held]), fold)


@SPLITTERS.register("none")
@typed
class NoSplit(Splitter):
    """Holds nothing out: for models that are not trained."""

    def split(self, rows: pd.DataFrame, targets: NDArray[np.generic], seed: int) -> Split:
        """Let every row train (`Splitter.split`)."""
        return Split(np.arange(len(rows)), np.full(len(rows), -1))
