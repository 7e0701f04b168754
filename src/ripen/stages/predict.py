"""predict: write `submission.csv` in the exact form of the competition's sample."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from ripen import predictions
from ripen.atomic import write_text
from ripen.datasets import DATASETS
from ripen.datasets.tabular import Competition, read_sample
from ripen.errors import ConfigError, DataError
from ripen.layout import Layout
from ripen.schema import CompetitionName, Config
from ripen.tracking import Tracker


def run(config: Config, competition: CompetitionName) -> None:
    """Read the probabilities and the sample, write the submission of the chosen model."""
    layout, dataset = Layout(competition), DATASETS[competition]
    sample = read_sample(layout.sample, dataset)
    metrics = json.loads(layout.metrics.read_text(encoding="utf-8"))
    settings = getattr(config.competition, competition).predict
    model = chosen_model(settings.model, metrics)
    table = predictions.read(layout.baselines / "predictions.csv", layout.train / "predictions.csv")
    rows = table[(table.model == model) & (table.part == "test")]
    submission = predict(rows, sample, dataset, settings.clip, layout.sample)
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


def predict(
    rows: pd.DataFrame, sample: pd.DataFrame, dataset: Competition, clip: float, sample_file: Path
) -> pd.DataFrame:
    """Return the submission: the sample's columns, ids and order, our probabilities.

    Parameters
    ----------
    rows : DataFrame
        One model's probabilities on the test rows (`ripen.predictions`).
    sample : DataFrame
        Columns id and those submitted.
    dataset : Competition
        The names of these columns.
    clip : float in [0, 0.5)
        Probabilities are kept within [clip, 1 - clip].
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
    clipped = np.clip(predictions.probabilities(rows), clip, 1 - clip)
    known = pd.DataFrame(clipped, index=rows["id"].to_numpy())
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
