"""predict: write `submission.csv` in the exact form of the competition's sample."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from ripen.competition import predictions
from ripen.competition.datasets import DATASETS, PHOTOS
from ripen.competition.datasets.tabular import Competition, read_sample
from ripen.core.atomic import write_text
from ripen.core.errors import ConfigError, DataError
from ripen.core.layout import Layout
from ripen.data import image_index as indexes
from ripen.judge.evaluation.calibration import Calibration, read
from ripen.settings.schema import CompetitionName, Config
from ripen.settings.schema.common import Predict
from ripen.track.tracking import Tracker

NAMED = 3  # broken test pictures, in the warning


def run(config: Config, competition: CompetitionName) -> None:
    """Read the probabilities and the sample, write the submission of the chosen model."""
    layout = Layout(competition)
    dataset: Competition = (PHOTOS if competition in PHOTOS else DATASETS)[competition]
    sample = read_sample(layout.sample, dataset)
    metrics = json.loads(layout.metrics.read_text(encoding="utf-8"))
    settings = getattr(config.competition, competition).predict
    model = chosen_model(settings.model, metrics)
    table = pd.concat(predictions.read_left(layout).values())
    rows = table[(table.model == model) & (table.part == "test")]
    rows = calibrated(rows, read(layout.calibration, model), settings)
    if competition in PHOTOS:
        index = indexes.read(layout.prepared / "index.csv")
        tell_broken(index)
        rows = by_sample_id(rows, index)
    submission = predict(rows, sample, dataset, layout.sample)
    write_text(layout.submission, submission.to_csv(index=False, lineterminator="\n"))
    with Tracker(config, competition, "predict") as tracker:
        tracker.pipeline.set_tags({"submitted": model})
        tracker.pipeline.log_artifacts(layout.submission, "submission")


def chosen_model(name: str, metrics: dict[str, dict[str, object]]) -> str:
    """Return the name of the model to submit.

    Raises
    ------
    ConfigError
        If there is no such model.
    """
    if name == "best":
        return str(metrics["best"])
    if name not in metrics["models"]:
        allowed = ", ".join(["best", *metrics["models"]])
        raise ConfigError(f"predict.model is '{name}': no such model. Allowed: {allowed}")
    return name


def calibrated(rows: pd.DataFrame, fitted: Calibration, settings: Predict) -> pd.DataFrame:
    """Scale and clip a model's probabilities, as the settings ask for.

    Parameters
    ----------
    rows : DataFrame
        One model's probabilities (`ripen.competition.predictions`).
    fitted : Calibration
        On the model's validation rows.
    settings : Predict
    """
    clip = None if settings.clip == "validation" else settings.clip
    probabilities = predictions.probabilities(rows)
    better = fitted.calibrated(probabilities, settings.temperature, clip)
    return rows.assign(**{f"p{k}": column for k, column in enumerate(better.T)})


def by_sample_id(rows: pd.DataFrame, index: pd.DataFrame) -> pd.DataFrame:
    """Give rows the ids of the sample for numbers of index rows; broken pictures get the prior.

    The prior is the share of each class among the whole training pictures.

    Parameters
    ----------
    rows : DataFrame
        Calibrated probabilities on the whole test pictures.
    index : DataFrame
        As `ripen.data.image_index` has it.
    """
    test = index[index.part == "test"]
    classes = predictions.probabilities(rows).shape[1]
    whole = index[(index.part == "train") & (index.problem == "")]
    prior = np.bincount(whole.label, minlength=classes) / len(whole)
    broken = test.index[test.problem != ""].to_numpy()
    filled = predictions.table("prior", "test", broken, np.tile(prior, (len(broken), 1)))
    known = pd.concat([rows, filled]) if len(broken) else rows
    return known.assign(id=index.id.loc[known["id"]].astype(np.int64).to_numpy())


def tell_broken(index: pd.DataFrame) -> None:
    """Print one line that names the broken test pictures, if there are any."""
    broken = index.name[(index.part == "test") & (index.problem != "")].tolist()
    if broken:
        more = f" and {len(broken) - NAMED} more" if len(broken) > NAMED else ""
        names = ", ".join(broken[:NAMED])
        print(f"predict: warning: broken, so that they get the prior: {names}{more}")


def predict(
    rows: pd.DataFrame, sample: pd.DataFrame, dataset: Competition, sample_file: Path
) -> pd.DataFrame:
    """Return the submission: the sample's columns, ids and order, our probabilities.

    Parameters
    ----------
    rows : DataFrame
        One model's probabilities on the test rows (`ripen.competition.predictions`).
    sample : DataFrame
        Columns id and those submitted.
    dataset : Competition
        The names of these columns.
    sample_file : Path
        Where the sample is from, for the error.

    Returns
    -------
    DataFrame
        Each column submitted holds the probability of its class.

    Raises
    ------
    DataError
        If the sample's ids are not those of the test rows.
    """
    known = pd.DataFrame(predictions.probabilities(rows), index=rows["id"].to_numpy())
    ids = sample[dataset.id]
    for given, other, what in (
        (ids, known.index, "is not an id of the test part"),
        (rows["id"], ids, "of the test part is missing"),
    ):
        odd = given[~given.isin(other)]
        if len(odd):
            raise DataError(f"{sample_file}: column '{dataset.id}': {odd.iloc[0]} {what}")
    chosen = known.loc[ids]
    return sample.assign(**{name: chosen[k].to_numpy() for name, k in dataset.submitted.items()})
