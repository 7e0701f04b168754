"""An evaluation in MLflow: scores and figures, in each model's run and in the pipeline's."""

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ripen.competition.predictions import PARTS
from ripen.core.lineage import leaves
from ripen.settings.compose import load_run
from ripen.track import registry, saved_views
from ripen.track.tracking import TrackedRun, Tracker

OF_ALL = ("leaderboard.csv", "calibration.csv", "roc.svg", "learning_curve.svg", "trainings.svg")


def log(
    competition: str,
    metrics: Mapping[str, Any],
    fitted: Mapping[str, Mapping[str, float]],
    folder: Path,
) -> None:
    """Add scores and figures to each model's run, and the scores of all to the pipeline's.

    Parameters
    ----------
    competition : str
    metrics : mapping
        What `metrics/<competition>.json` holds.
    fitted : mapping
        What was fitted on each model's validation rows (`ripen.judge.calibration`).
    folder : Path
        What was drawn: a folder for each model, beside what shows all.
    """
    decides = str(metrics["best_by"])
    with Tracker(competition, "evaluate") as tracker:
        runs: dict[str, str] = {}
        for model, values in metrics["models"].items():
            kept = {key: values[key] for key in PARTS if key in values}
            if model in fitted:
                kept["calibration"] = fitted[model]
            flat = {key.replace(".", "/"): value for key, value in leaves(kept)}
            tracker.pipeline.log_metrics({f"{model}/{key}": v for key, v in flat.items()})
            tracked = tracker.evaluated(model)
            if tracked is not None:
                runs[model] = tracked.run_id
                tracked.log_metrics(flat)
                tracked.flush()
                for figure in sorted((folder / model).glob("*.svg")):
                    tracked.log_artifacts(figure, "figures")
                log_definition(tracked, folder / model / "definition.gv")
        if "bayes" in metrics:
            bayes = {f"bayes.{key}".replace(".", "/"): v for key, v in leaves(metrics["bayes"])}
            tracker.pipeline.log_metrics(bayes)
        tracker.pipeline.set_tags({"best": metrics["best"], "best_by": decides})
        tracker.tag_experiment(saved_views.models(tracker.stage_hash, decides))
        for name in OF_ALL:
            if (folder / name).exists():
                tracker.pipeline.log_artifacts(folder / name, "evaluate")
    if metrics["best"] in runs:
        tags = {"model": metrics["best"], "best_by": decides}
        registry.register(load_run(), competition, runs[metrics["best"]], tags)


def log_definition(tracked: TrackedRun, graph: Path) -> None:
    """Log the drawing of a net's layers, where there is a graph, and Graphviz to draw it.

    What Graphviz draws depends on its version: so it is for MLflow alone, and not for DVC.
    """
    program = shutil.which("dot")
    if not graph.exists() or program is None or tracked.reused:
        return
    with tempfile.TemporaryDirectory() as temporary:
        drawing = Path(temporary) / "definition.svg"
        subprocess.run([program, "-Tsvg", str(graph), "-o", str(drawing)], check=True)
        tracked.log_artifacts(drawing, "figures")
