"""Predict from a bundle: `python -m ripen.bundle.offline BUNDLE INPUT SUBMISSION`.

The competition's files are prepared by the pipeline's own stages, the bundle's models predict the
test rows, and the stage `predict` writes the submission. So the bytes are those of `ripen run`, and
other test rows are predicted as well. Nothing here needs a network, git, DVC or MLflow.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from ripen.core import reproducibility
from ripen.settings.compose import PARAMS, changed, load_competition
from ripen.settings.schema import Competition

ABOUT, FILES, MODELS = "bundle.json", "files", "models"
"""Names in a bundle: what it holds, files by their paths in the repository, fitted models."""
MODULES = "RIPEN_BUNDLE_MODULES"
"""Environment variable: a file for the list of imported modules, from which a bundle is made."""


def main(bundle: Path, given: Path, submission: Path) -> None:
    """Predict the test rows of a competition's files.

    Parameters
    ----------
    bundle : Path
        A folder that `ripen bundle` wrote.
    given : Path
        The folder of the competition's files, as they are published.
    submission : Path
        Where to write the submission.
    """
    bundle, given, submission = (path.absolute() for path in (bundle, given, submission))
    about = json.loads((bundle / ABOUT).read_text(encoding="utf-8"))
    name = about["competition"]
    with tempfile.TemporaryDirectory() as temporary:
        os.chdir(temporary)
        try:
            shutil.copytree(bundle / FILES, Path(), dirs_exist_ok=True)
            competition = load_competition(name, Path(PARAMS))
            reproducibility.hold(competition.reproducibility, competition.threads)
            written = _predict(name, competition, about, bundle / MODELS, given)
            shutil.copyfile(written, submission)
        finally:
            os.chdir(submission.parent)  # a folder that a process is in cannot always be removed


def _predict(
    name: str, competition: Competition, about: dict[str, Any], folder: Path, given: Path
) -> Path:
    # Only now: numpy reads its environment once, when it is imported.
    from ripen.competition import index as indexes
    from ripen.competition import predictions
    from ripen.core.layout import Layout
    from ripen.learn import inputs
    from ripen.learn.estimator import estimator
    from ripen.learn.models import served
    from ripen.stages import fetch, predict, prepare

    layout = Layout(name)
    fetch.bring(name, changed(competition, source={"folder": str(given)}), layout)
    prepare.run(name)
    index = indexes.read(layout, competition)
    test = index.part("test")
    for model in about["models"]:
        taken = estimator(competition.models[model], f"models.{model}").inputs
        for each in taken:
            if each in competition.features and not (layout.features / f"{each}.h5").exists():
                from ripen.stages import features  # it imports torch

                features.run(name, each, "test")
        with inputs.opened(taken, competition, layout, index) as opened:
            outputs = served.mean_of(sorted((folder / model).iterdir()), opened.take(test))
        layout.model(model).mkdir(parents=True, exist_ok=True)
        predictions.write(layout.model(model), [predictions.table("test", test, outputs)])
    if about["blend"]:
        from ripen.learn import blending

        answers = predictions.read(layout, about["models"])
        outputs = blending.of_other_rows(layout.blend, answers)
        predictions.write(layout.blend, [predictions.table("test", test, outputs)])
    predict.write(name)
    return layout.submission


def _list_modules(file: Path) -> None:
    """Write the names and files of all imported modules."""
    found = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
    file.write_text(json.dumps([[name, path] for name, path in found.items() if path]))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
    if wanted := os.environ.get(MODULES):
        _list_modules(Path(wanted))
