"""MLflow's store with nothing in it, made once a process: MLflow needs a second for its tables."""

import tempfile
from functools import cache
from pathlib import Path

from ripen.core.stores import make_whole
from ripen.track.experiments import Client


@cache
def _content() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mlflow.db"
        make_whole(f"sqlite:///{file}", Client)
        return file.read_bytes()


def put(folder: Path) -> None:
    """Leave a store in a folder, as the first stage that is tracked would make it."""
    (folder / "mlflow.db").write_bytes(_content())
