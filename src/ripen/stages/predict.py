"""predict: write `submission.csv` in the exact form of the competition's sample."""

import numpy as np
from numpy.typing import NDArray

from ripen.competition import index as indexes
from ripen.competition import predictions
from ripen.competition.index import Index
from ripen.competition.metric_file import metric_of
from ripen.competition.metrics import Metric, normalized
from ripen.competition.submission import csv_of, fill, read_sample
from ripen.core.frames import write_frame
from ripen.core.json_files import read_json
from ripen.core.layout import Layout
from ripen.judge import calibration, decision
from ripen.settings.compose import load_competition
from ripen.settings.schema import Predict

NAMED = 3  # excluded test rows, in the warning


def run(name: str) -> None:
    """Read the predictions and the sample, write the submission of the chosen model; log it."""
    model = write(name)
    from ripen.track.tracker import Tracker  # MLflow's import takes long

    with Tracker(name, "predict") as tracker:
        tracker.pipeline.set_tags({"submitted": model})
        tracker.pipeline.log_artifacts(Layout(name).submission, "submission")


def write(name: str) -> str:
    """Write the submission of the chosen model; return the model."""
    competition, layout = load_competition(name), Layout(name)
    assert competition.predict is not None  # or the stage is not in the graph
    index = indexes.read(layout, competition)
    file = layout.raw / competition.files.sample
    sample = read_sample(file, competition.id, competition.csv)
    model = competition.predict.model
    if model == "best":
        model = str(read_json(layout.metrics)["best"])
    table = predictions.read(layout, [model])[model]
    table = table[table["part"] == "test"]
    outputs = predictions.outputs(table)
    metric = metric_of(name, competition.metric)
    decided = decision.chosen(layout.decisions, model, competition.predict.decide)
    if decided is not None:  # of outputs as they are: labels have no use for a calibration
        outputs = metric.counted(decided.apply(outputs))
    elif index.task.probabilities:
        outputs = probabilities(outputs, index, layout, model, metric, competition.predict)
    else:
        outputs = metric.counted(outputs)
    whole = with_excluded(outputs, table["row"].to_numpy(), index)
    submission = fill(sample, file, competition, index, whole)
    csv = csv_of(file, competition.csv)
    write_frame(layout.submission, submission, sep=csv.separator, decimal=csv.decimal)
    return model


def probabilities(
    outputs: NDArray[np.float64],
    index: Index,
    layout: Layout,
    model: str,
    metric: Metric,
    settings: Predict,
) -> NDArray[np.float64]:
    """Return probabilities as the submission has them: calibrated, unless only their order counts.

    A clip would make equal rows of different ones. After it the classes of a row sum to 1 again:
    of many classes it would otherwise take a large share from the right one.
    """
    if metric.ranks:
        return outputs
    if index.task.classifies:
        found = calibrated(outputs, layout, model, settings)
        return normalized(found) if found.shape[1] > 2 else found
    # Only classifiers have a calibration, so "validation" has no clip here.
    if settings.clip == "validation":
        return outputs
    return calibration.clipped(outputs, settings.clip)


def calibrated(
    outputs: NDArray[np.float64], layout: Layout, model: str, settings: Predict
) -> NDArray[np.float64]:
    """Scale and clip probabilities as the settings demand.

    Raises
    ------
    DataError
        If they demand a calibration on validation rows, and the model has no such rows.
    """
    if not settings.temperature and settings.clip != "validation":
        return calibration.clipped(outputs, settings.clip)
    fitted = calibration.read(layout.calibration, model)
    clip = None if settings.clip == "validation" else settings.clip
    return fitted.calibrated(outputs, settings.temperature, clip)


def with_excluded(
    outputs: NDArray[np.float64], rows: NDArray[np.int64], index: Index
) -> NDArray[np.float64]:
    """Return outputs for every test row: an excluded one gets the mean of the training targets.

    That is the share of each class, or the mean value. A broken image cannot be predicted, and a
    submission must have every id. Prints one line with the names of excluded rows.
    """
    test = np.flatnonzero((index.rows["part"] == "test").to_numpy())
    excluded = np.setdiff1d(test, rows)
    targets = index.targets[index.learnable()]
    if index.task.classifies:
        prior = np.bincount(targets.astype(np.int64), minlength=index.outputs) / len(targets)
    else:
        prior = targets.reshape(len(targets), -1).mean(axis=0)
    if len(excluded):
        label = "name" if "name" in index.rows else "id"
        names = index.rows[label].iloc[excluded].tolist()
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        shown = ", ".join(names[:NAMED])
        print(f"predict: warning: broken, so they get the training rows' mean: {shown}{more}")
    found = np.tile(prior, (len(index.rows), 1))
    found[rows] = outputs
    return found[test]
