"""What MLflow is told of an evaluation: scores and figures, in each model's run and in all's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ripen.config import leaves
from ripen.evaluation.summary import PARTS
from ripen.schema import CompetitionName, Config
from ripen.tracking import Tracker

OF_ALL = (
    "leaderboard.csv",
    "calibration.csv",
    "roc.svg",
    "learning_curve.svg",
    "ways.svg",
)


def track(
    config: Config,
    competition: CompetitionName,
    metrics: dict[str, Any],
    made_by: Mapping[str, str],
    folder: Path,
) -> None:
    """Add scores and figures to each model's run, and the scores of all to the pipeline's.

    Parameters
    ----------
    config : Config
    competition : str
    metrics : dict
        What `metrics/<competition>.json` holds.
    made_by : mapping of str to str
        The stage that trained each model.
    folder : Path
        What was drawn: a folder for each model, beside what shows all.
    """
    with Tracker(config, competition, "evaluate") as tracker:
        for model, values in metrics["models"].items():
            kept = {key: values[key] for key in (*PARTS, "calibration") if key in values}
            flat = {key.replace(".", "/"): value for key, value in leaves(kept)}
            tracker.pipeline.log_metrics({f"{model}/{key}": v for key, v in flat.items()})
            tracked = tracker.evaluated(model, made_by[model])
            if tracked is not None:
                tracked.log_metrics(flat)
                tracked.flush()
                for figure in sorted((folder / model).glob("*.svg")):
                    tracked.log_artifacts(figure, "figures")
        if "bayes" in metrics:
            bayes = {f"bayes.{key}".replace(".", "/"): v for key, v in leaves(metrics["bayes"])}
            tracker.pipeline.log_metrics(bayes)
        tracker.pipeline.set_tags({"best": metrics["best"], "best_by": metrics["best_by"]})
        for name in OF_ALL:
            if (folder / name).exists():
                tracker.pipeline.log_artifacts(folder / name, "evaluate")
