"""A net of the zoo with weights by chance in the working folder: no test needs a mirror.

And all stages of a competition of photographs with it.
"""

import importlib
import shutil
from pathlib import Path

import caffe
from ripen.nets.zoo import DEFINITIONS
from ripen.settings.graph import STAGES_OF
from ripen.settings.schema import CompetitionName, Config

ROOT = Path(__file__).parents[2]
ALONE = (
    "~competition.cats_vs_dogs.features.nets.efficientnet_lite2",
    "competition.cats_vs_dogs.baselines.nets=[squeezenet]",
    "competition.cats_vs_dogs.train.heads.net.nets=[squeezenet]",
)
"""Settings of competitions of photographs with SqueezeNet alone."""
SMALL = tuple(
    "competition.cats_vs_dogs." + override
    for override in (
        "prepare.folds=2",
        "features.nets.squeezenet.sides=[67]",
        "train.heads.net.solver.max_iter=60",
        "train.heads.net.solver.base_lr=2e-4",
        "train.ways.side=67",
        "train.ways.batch_size=2",
        "train.ways.check_pictures=2",
        "train.ways.solver.max_iter=1",
        "train.ways.trained=[full]",
        "baselines.components=4",
        "learning_curve=[2,8,12]",
    )
) + (
    "baselines.random_forest.n_estimators=10",
    "baselines.folds=2",
    "baselines.k_nearest_neighbors.n_neighbors=3",
    *ALONE,
    "~competition.cats_vs_dogs.train.heads.squeezenet_head",
)
"""And little of it."""


def with_weights(name: str, seed: int = 0) -> Path:
    """Put a net's contract and weights by chance into the working folder; return the weights."""
    models = Path("models")
    if models.is_symlink():
        models.unlink()
    shutil.copytree(
        ROOT / "models", models, ignore=shutil.ignore_patterns("*.caffemodel"), dirs_exist_ok=True
    )
    caffe.set_random_seed(seed)
    file = models / name / f"{name}.caffemodel"
    caffe.Net(DEFINITIONS[name].deploy(), caffe.TEST).save(str(file))
    return file


def pipeline() -> None:
    """Write what MLflow's runs are named by, into the working folder: each stage, of nothing."""
    stages = "".join(
        f"  {stage}: {{matrix: {{competition: []}}, cmd: {stage}, deps: []}}\n"
        for stage in ("features", "baselines", "train")
    )
    Path("dvc.yaml").write_text(f"stages:\n{stages}")
    Path("params.yaml").write_text("seed: 1\n")


def run_all(config: Config, competition: CompetitionName) -> None:
    """Run all stages of a competition in the working folder, as `dvc repro` does."""
    with_weights("squeezenet")
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, ".")
    for stage in STAGES_OF[competition]:
        importlib.import_module(f"ripen.stages.{stage}").run(config, competition)
