"""By how much will a price change tomorrow? A daily series drawn from a known process.

The logarithm of the price reverts to its trend, its changes persist a little, and Fridays are
better than Mondays. All of that can be learnt. The rest is noise, so the lowest possible error is
known.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from ripen.competition.metrics import DECIMALS, scores
from ripen.competition.tasks import TASKS
from ripen.core.frames import read_frame, write_frame
from ripen.core.layout import Layout
from ripen.settings.compose import check
from ripen.settings.schema import Competition
from ripen.settings.typed import Positive, typed

START = "2010-01-04"  # a Monday
BASE = 100.0
TREND = 0.0002  # of the logarithm, per day
CARRY = 0.25  # share of today's change in tomorrow's
PULL = 0.03  # share of the distance to the trend that a day makes up
WEEKDAYS = np.array([-0.4, 0.0, 0.1, 0.0, 0.3])  # percent, Monday to Friday
BEFORE = 4  # changes of earlier days in a row
SKIPPED = 50  # first days, left out: the series still depends on its start
Floats = NDArray[np.float64]


@typed
class Drawn:
    """The numbers of days, and the noise: the standard deviation of a change, in percent."""

    n_train: Annotated[int, Field(ge=50)]
    n_test: Annotated[int, Field(ge=10)]
    noise: Positive


def generate(settings: Mapping[str, Any], seed: int, folder: Path) -> None:
    """Write train.csv, the later days as test.csv and solution.csv, and sample_submission.csv."""
    drawn = check(settings, Drawn, "source.generate")
    table = series(drawn.n_train + drawn.n_test, drawn.noise, seed)
    train, test = table.iloc[: drawn.n_train], table.iloc[drawn.n_train :]
    known = test[["id", "tomorrow"]]
    for name, frame in (
        ("train", train),
        ("test", test.drop(columns="tomorrow")),
        ("solution", known),
        ("sample_submission", known.assign(tomorrow=0.0)),
    ):
        write_frame(folder / f"{name}.csv", frame, float_format="%.6f")


def series(days: int, noise: float, seed: int) -> pd.DataFrame:
    """Draw a series.

    Returns
    -------
    DataFrame of shape (days, 5 + BEFORE)
        id, date (working days), price, its change to the day before and those of the days before
        (percent), and the change `tomorrow` (percent of the logarithm).
    """
    n = SKIPPED + BEFORE + days
    draws = np.random.default_rng(seed).normal(0, noise, n + 1)
    dates = pd.bdate_range(START, periods=n)
    logs, changes = np.zeros(n), np.zeros(n + 1)
    for day in range(n):
        logs[day] = (logs[day - 1] if day else 0.0) + changes[day] / 100
        expected = _expected(changes[day], logs[day], day, dates[day].weekday())
        changes[day + 1] = expected + draws[day]
    found = {"date": dates.strftime("%Y-%m-%d"), "price": BASE * np.exp(logs)}
    found |= {"change": changes[:-1]}
    found |= {f"change_{k}": np.roll(changes[:-1], k) for k in range(1, BEFORE + 1)}
    table = pd.DataFrame(found | {"tomorrow": changes[1:]}).iloc[-days:].reset_index(drop=True)
    table.insert(0, "id", np.arange(days))
    return table


def _expected(change: Any, logarithm: Any, day: Any, weekday: Any) -> Any:
    """Return the mean of tomorrow's change, in percent."""
    away = 100 * (TREND * day - logarithm)
    return CARRY * change + PULL * away + WEEKDAYS[(weekday + 1) % 5]


def best_guess(table: pd.DataFrame) -> Floats:
    """Return the mean of tomorrow's change given a row, shape (n,), in percent."""
    dates = pd.to_datetime(table["date"])
    day = np.busday_count(START, dates.to_numpy().astype("datetime64[D]"))
    logarithm = np.log(table["price"] / BASE)
    return np.asarray(
        _expected(table["change"], logarithm, day, dates.dt.day_of_week.to_numpy()), np.float64
    )


def bayes(competition: Competition, layout: Layout) -> dict[str, Any] | None:
    """Score the best possible guess: on the test rows, and its expected error.

    None if the files are from another source, whose process is unknown.
    """
    if "generate" not in competition.source:
        return None
    test = read_frame(layout.raw / competition.files.test)
    truth = read_frame(layout.raw / competition.files.solution)["tomorrow"].to_numpy()
    found = scores(TASKS["regression"].metrics, truth, best_guess(test)[:, None])
    noise = float(competition.source["generate"]["noise"])
    return {"test": found, "expected": {"rmse": round(noise, DECIMALS)}}
