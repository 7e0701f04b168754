"""ImageNet: photographs of ILSVRC's 1,000 classes, one of each of 256 of them; or the user's."""

from dataclasses import replace
from pathlib import Path

from ripen.competition.datasets.photos import Photos

DATASET = Photos(
    id="id",
    named=Path("models/classes/imagenet.csv"),
    submitted={},
    kaggle=None,
    title="ImageNet: one photograph of each of 256 classes",
    source="https://github.com/EliSchwartz/imagenet-sample-images",
    licence="ImageNet's terms: research and education, not for sale",
    listed=Path(__file__).with_suffix(".csv"),
)
# Its classes are chosen by the settings: `Photos.only`.
SUBSET = replace(
    DATASET,
    title="ImageNet: photographs of some classes",
    source="https://www.image-net.org",
    listed=None,
)
