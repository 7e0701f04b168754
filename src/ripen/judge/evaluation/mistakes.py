"""The mistakes that cost a model most, as a table and as a page of pictures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ripen.competition.metrics import DECIMALS
from ripen.core.atomic import write_text
from ripen.judge.evaluation.figures import write_csv
from ripen.judge.evaluation.gallery import Gallery
from ripen.judge.evaluation.scored import Scored
from ripen.judge.evaluation.sheet import Tile, dealt, sheet

WORST = 24
COLUMNS = 8


def worst(one: Scored, classes: Sequence[str], limit: int = WORST) -> pd.DataFrame:
    """Return a model's mistakes, first those that it gave the right class the least probability.

    Returns
    -------
    DataFrame of at most `limit` rows
        Columns row, actual, predicted (classes), probability (of the predicted class) and
        probability_of_actual.
    """
    names, rows = np.array(classes), np.arange(len(one.labels))
    predicted = one.probabilities.argmax(axis=1)
    everything = pd.DataFrame(
        {
            "row": one.rows,
            "actual": names[one.labels],
            "predicted": names[predicted],
            "probability": one.probabilities[rows, predicted],
            "probability_of_actual": one.probabilities[rows, one.labels],
        }
    ).round(DECIMALS)
    wrong: pd.DataFrame = everything[predicted != one.labels]
    return wrong.sort_values(["probability_of_actual", "row"], ignore_index=True).head(limit)


def draw(one: Scored, classes: Sequence[str], gallery: Gallery, folder: Path) -> None:
    """Write a model's worst mistakes: `mistakes.csv`, and `mistakes.svg` with the pictures."""
    found = worst(one, classes)
    found.insert(1, "name", [gallery.name(int(row)) for row in found["row"]])
    write_csv(folder / "mistakes.csv", found)
    tiles = [
        Tile(
            gallery.image(int(row.row)),  # type: ignore[arg-type]
            (f"is {row.actual}", f"said {row.predicted}", f"by {row.probability:.1%}"),
            str(row.name),
        )
        for row in found.itertuples()
    ]
    total = int((one.probabilities.argmax(axis=1) != one.labels).sum())
    title = f"{one.model}, {one.part}: the worst {len(tiles)} of {total} mistakes"
    if total == 0:
        title = f"{one.model}, {one.part}: no mistake among {len(one.labels)}"
    write_text(folder / "mistakes.svg", sheet(title, dealt(tiles, COLUMNS)))
