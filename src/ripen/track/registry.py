"""The registered model of a competition, `ripen-<competition>`: its alias `best` is what won last.

A version is made from a model's run once, however often it wins.
"""

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

import mlflow
from mlflow.entities import Run
from mlflow.models import Model

import caffe
import ripen
from ripen.learn.models import served
from ripen.nets.weights import caffemodel
from ripen.settings.schema import Run as RunSettings
from ripen.track.tracking import FOLDER, Client, locked, store_uri

ALIAS = "best"
LOADER = "ripen.learn.models.served"
CODE = [str(Path(file).parent) for file in (caffe.__file__, ripen.__file__)]
# What that code imports.
REQUIREMENTS = [
    *("filelock", "h5py", "lmdb", "numpy", "omegaconf", "pandas", "pillow", "protobuf", "psutil"),
    *("pydantic", "pydot", "pyyaml", "rich", "scikit-learn", "scipy", "skops", "torch"),
]


def register(settings: RunSettings, competition: str, run_id: str, tags: Mapping[str, str]) -> None:
    """Make a version of the model of a run, where there is none, and call it the best.

    Nothing happens where the run has left no files that can be served. Killed in between, what is
    there is used the next time.

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
    """Return the address of a run's model, which is its files and our code; log it if need be."""
    outputs = run.outputs.model_outputs if run.outputs else []
    ready = [client.get_logged_model(output.model_id) for output in outputs]
    for model in ready:
        if str(model.status) == "READY":
            return str(model.model_uri)
    with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings():
        # MLflow of its own type hints.
        warnings.filterwarnings("ignore", ".*Any type hint is inferred")
        files = client.download_artifacts(run.info.run_id, FOLDER, temporary)
        served.complete(Path(files), caffemodel)
        # And not pyfunc.log_model, within the run: that would open it again.
        with client.speaking():
            logged = Model.log(
                None,
                mlflow.pyfunc,
                name="model",
                run_id=run.info.run_id,
                loader_module=LOADER,
                data_path=files,
                code_paths=CODE,
                pip_requirements=REQUIREMENTS,
            )
    return str(logged.model_uri)
