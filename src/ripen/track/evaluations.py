"""An evaluation in MLflow: scores and figures in the runs, and the best model registered.

The registered model of a competition is `ripen-<competition>`; its alias `best` points to the last
winner. A run becomes a version once, even if it wins again.
"""

import importlib.util
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Run
from mlflow.models import Model

from ripen.competition.metrics import order_of
from ripen.competition.predictions import PARTS
from ripen.core.lineage import leaves
from ripen.settings.compose import load_run
from ripen.settings.schema import Run as RunSettings
from ripen.track import saved_views
from ripen.track.experiments import Client, locked, store_uri
from ripen.track.tracker import FOLDER, NOTE, TrackedRun, Tracker

OF_ALL = ("leaderboard.csv", "calibration.csv", "roc.svg", "learning_curve.svg", "trainings.svg")
TWICE = ("n", "score")  # the same for all models, and the metric that decides once more
ALIAS = "best"
LOADER = "ripen.learn.models.served"
CODE = ("caffe", "ripen")
"""The packages that a registered model is served by."""
# What that code imports. Without versions: `constraints.txt` holds for training, and a server may
# have other ones.
REQUIREMENTS = [
    *("filelock", "h5py", "lmdb", "numpy", "omegaconf", "pandas", "pandera", "pillow", "protobuf"),
    *(
        "psutil",
        "pydantic",
        "pydot",
        "pyyaml",
        "requests",
        "rich",
        "scikit-learn",
        "scipy",
        "skops",
        "torch",
    ),
]


def log(
    competition: str,
    metrics: Mapping[str, Any],
    colours: Mapping[str, str],
    note: str,
    folder: Path,
) -> None:
    """Log scores and figures to each model's run, and all scores to the pipeline's run.

    Parameters
    ----------
    competition : str
    metrics : mapping
        The content of `metrics/<competition>.json`.
    colours : mapping
        Of each model, the same as in the figures.
    note : str
        The experiment's description, in Markdown.
    folder : Path
        The evaluation's: a folder for each model, beside the figures of all models.
    """
    decides = str(metrics["best_by"])
    with Tracker(competition, "evaluate") as tracker:
        runs: dict[str, str] = {}
        for model, values in metrics["models"].items():
            found = _compared(values)
            tracker.pipeline.log_metrics(_deciding(found, decides, model))
            tracked = tracker.evaluated(model)
            if tracked is not None:
                runs[model] = tracked.run_id
                _log_model(tracked, found, colours[model], folder / model)
        if "bayes" in metrics:
            bayes = {key.replace(".", "/"): value for key, value in leaves(metrics["bayes"])}
            tracker.pipeline.log_metrics(_deciding(bayes, decides, "bayes"))
        tracker.pipeline.set_tags({"best": metrics["best"], "best_by": decides})
        tracker.tag_experiment({NOTE: note})
        tracker.tag_experiment(saved_views.models(tracker.stage_hash, decides, order_of(metrics)))
        for name in OF_ALL:
            if (folder / name).exists():
                tracker.pipeline.log_artifacts(folder / name, "evaluate")
    if metrics["best"] in runs:
        tags = {"model": metrics["best"], "best_by": decides}
        register(load_run(), competition, runs[metrics["best"]], tags)


def _compared(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the scores of a model that one compares: each is a chart on MLflow's pages."""
    return {
        f"{part}/{key}": value
        for part in PARTS
        for key, value in values.get(part, {}).items()
        if key not in TWICE
    }


def _deciding(found: Mapping[str, float], decides: str, model: str) -> dict[str, float]:
    """Return the scores by the metric that decides, on whichever part, under a model's name."""
    metric = decides.partition("/")[2]
    return {f"{k}/{model}": value for k, value in found.items() if k.partition("/")[2] == metric}


def _log_model(tracked: TrackedRun, found: Mapping[str, float], colour: str, figures: Path) -> None:
    """Log a model's scores and figures to its run."""
    tracked.log_metrics(found)
    tracked.set_tags({"mlflow.runColor": colour})
    tracked.flush()
    for figure in sorted(figures.glob("*.svg")):
        tracked.log_artifacts(figure, "figures")
    log_definition(tracked, figures / "definition.gv")


def log_definition(tracked: TrackedRun, graph: Path) -> None:
    """Log the drawing of a net's layers, if there is a graph and Graphviz is installed.

    The drawing depends on Graphviz's version, so it is in MLflow only, and not an output of DVC's.
    """
    program = shutil.which("dot")
    if not graph.exists() or program is None or tracked.reused:
        return
    with tempfile.TemporaryDirectory() as temporary:
        drawing = Path(temporary) / "definition.svg"
        subprocess.run([program, "-Tsvg", str(graph), "-o", str(drawing)], check=True)
        tracked.log_artifacts(drawing, "figures")


# --- The registered model ------------------------------------------------------------------------


def register(settings: RunSettings, competition: str, run_id: str, tags: Mapping[str, str]) -> None:
    """Register the model of a run, unless it is a version already, and move the alias to it.

    Does nothing if the run has no files that serve its model. After a kill in the middle, the next
    call continues with what was logged.

    Parameters
    ----------
    settings : Run
        Section `tracking`.
    competition : str
    run_id : str
        Of the model's finished run.
    tags : mapping
        Of a new version, beside the competition and the commit.
    """
    client = Client(store_uri(settings))
    if not client.list_artifacts(run_id, FOLDER):
        return
    name, run = f"ripen-{competition}", client.get_run(run_id)
    with locked(settings):
        found = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
        if found:
            version = found[0].version
        else:
            commit = run.data.tags.get("mlflow.source.git.commit", "none")
            every = {"competition": competition, "git_commit": commit} | dict(tags)
            logged = _logged(client, run)
            with client.speaking():
                version = mlflow.register_model(logged, name, tags=every).version
        client.set_registered_model_alias(name, ALIAS, version)


def _logged(client: Client, run: Run) -> str:
    """Return the address of a run's model (its files and our code); log it if necessary."""
    outputs = run.outputs.model_outputs if run.outputs else []
    ready = [client.get_logged_model(output.model_id) for output in outputs]
    for model in ready:
        if str(model.status) == "READY":
            return str(model.model_uri)
    from ripen.learn.models import served
    from ripen.nets.published import caffemodel

    with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings():
        # MLflow warns of type hints in its own code.
        warnings.filterwarnings("ignore", ".*Any type hint is inferred")
        files = client.download_artifacts(run.info.run_id, FOLDER, temporary)
        served.complete(Path(files), caffemodel)
        # Not pyfunc.log_model: it logs to an active run, and this one stays finished.
        with client.speaking():
            logged = Model.log(
                None,
                mlflow.pyfunc,
                name="model",
                run_id=run.info.run_id,
                loader_module=LOADER,
                data_path=files,
                code_paths=[str(_folder(package)) for package in CODE],
                pip_requirements=REQUIREMENTS,
            )
    return str(logged.model_uri)


def _folder(package: str) -> Path:
    """Return where a package lies, without importing it: Caffe imports torch."""
    found = importlib.util.find_spec(package)
    return Path(str(found and found.origin)).parent
