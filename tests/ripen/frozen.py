"""A net of the zoo with weights by chance in the working folder: no test needs a mirror."""

import shutil
from pathlib import Path

import caffe
from ripen.zoo import DEFINITIONS

ROOT = Path(__file__).parents[2]


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
