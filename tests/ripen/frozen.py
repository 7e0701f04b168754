"""SqueezeNet with random weights in the working folder, so that no test needs a mirror.

And overrides that make competitions of images small, with that net alone.
"""

import shutil
from pathlib import Path

import caffe
from ripen.nets.zoo import DEFINITIONS

ROOT = Path(__file__).parents[2]
CLASSIC = ("logistic_regression", "gaussian_nb", "svm", "k_nearest_neighbors", "random_forest")
KINDS = {"histogram": "histogram", "features": "squeezenet"}
ALONE = (
    "features.efficientnet_lite2=null",
    "features.thumbnail=null",
    "models.logistic_regression_thumbnail=null",
    "models.net.inputs=[squeezenet]",
    *(f"models.{name}_features.inputs=[squeezenet]" for name in CLASSIC),
)
"""Competitions of images with SqueezeNet alone."""
QUICK = (
    *(f"models.{name}_{kind}.components=4" for name in CLASSIC for kind in KINDS),
    *(f"models.random_forest_{kind}.n_estimators=10" for kind in KINDS),
    *(f"models.k_nearest_neighbors_{kind}.n_neighbors=3" for kind in KINDS),
    *(f"models.svm_{kind}.calibration_folds=2" for kind in KINDS),
    "learning_curve=[2,8,12]",
)
"""Classic classifiers that fit to a dozen of images."""
SMALL = (
    *ALONE,
    *QUICK,
    "validation.folds=2",
    "features.squeezenet.sides=[67]",
    "solver.max_iter=60",
    "solver.base_lr=2e-4",
    "models.full.side=67",
    "models.full.batch_size=2",
    "models.full.check_images=2",
    "models.full.solver.max_iter=1",
    *(f"models.{name}=null" for name in ("squeezenet_head", "scratch", "head")),
)
"""And little of all."""


def with_weights(name: str, seed: int = 0) -> Path:
    """Put a net's contract and random weights into the working folder; return the weights."""
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
