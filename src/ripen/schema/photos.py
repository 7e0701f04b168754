"""Competitions of photographs: cats_vs_dogs and its second edition, imagenet."""

from typing import Annotated, Literal

from pydantic import Field

from ripen.schema.baselines import Baselines
from ripen.schema.common import Compute, Evaluate, Predict
from ripen.schema.net import Finetune, Solver
from ripen.schema.types import Count, Positive, typed

Ratio = Annotated[float, Field(ge=0, le=1)]
Jitter = Annotated[float, Field(ge=0, lt=1)]


@typed
class PhotosFetch:
    """Where the archives may come from, in the order in which they are tried."""

    sources: Annotated[list[Literal["mirror", "kaggle", "url"]], Field(min_length=1)]


@typed
class Survey:
    """What is left out: a picture of a side below `min_side` pixels, and a broken one.

    A larger share than `max_broken` of those whose class is known is an error.
    """

    min_side: Count
    max_broken: Ratio


@typed
class PhotosPrepare(Survey):
    """What is left out, and how many folds validation has."""

    folds: Annotated[int, Field(ge=2)]


@typed
class Features:
    """What frozen nets say of each picture, once: `nets` of the zoo, over `views` of it.

    `views` are those of `ripen.images.views`, `side` the share of a crop's sides.
    """

    nets: Annotated[list[str], Field(min_length=1)]
    views: Literal["whole", "mirror", "crops5", "crops10", "scales"]
    side: Annotated[float, Field(gt=0, lt=1)]
    batch_size: Count


@typed
class Augment:
    """How far a training picture may be changed (`ripen.images.augment.Augmentation`)."""

    mirror: bool
    crop: Literal["none", "area", "caffe"]
    min_area: Annotated[float, Field(gt=0, le=1)]
    max_aspect: Annotated[float, Field(ge=1)]
    brightness: Jitter
    contrast: Jitter
    saturation: Jitter


@typed
class Head:
    """The last layer of `nets`, trained by Caffe's solver on their features side by side."""

    nets: Annotated[list[str], Field(min_length=1)]
    batch_size: Count
    solver: Solver


@typed
class Rates:
    """How fast each way learns, times `solver.base_lr`: each has its own best rate."""

    scratch: Positive
    head: Positive
    full: Positive


@typed
class Ways:
    """Three ways of training one net further at the same budget, for the plot of the talk.

    `side` is the input's height and width in pixels. Every `check_interval` iterations the first
    `check_pictures` that were held out are looked at, and nothing is chosen by that: the last
    weights are kept. `folds` is how many of the folds are held out in turn; `class_balance`
    whether each class is drawn as often, however many pictures it has.
    """

    side: Count
    finetune: Finetune
    batch_size: Count
    augment: Augment
    views: Literal["whole", "mirror", "crops5", "crops10", "scales"]
    class_balance: bool
    check_interval: Count
    check_pictures: Count
    folds: Count
    rates: Rates
    solver: Solver


@typed
class PhotosTrain:
    """The head that is submitted, and the ways beside it."""

    head: Head
    ways: Ways


@typed
class PhotosEvaluate:
    """What the evaluation draws.

    `nets` are the models whose nets are looked into, each with the net of the zoo that it is made
    from, whose contract says how a picture is made its input.
    """

    calibration_bins: Annotated[int, Field(ge=2)]
    nets: dict[str, str]


@typed
class CatsVsDogs:
    """`conf/competition/cats_vs_dogs.yaml`, `cats_vs_dogs_redux.yaml`."""

    compute: Compute
    fetch: PhotosFetch
    prepare: PhotosPrepare
    features: Features
    baselines: Baselines
    train: PhotosTrain
    learning_curve: list[Count]
    evaluate: PhotosEvaluate
    predict: Predict


@typed
class Pretrained:
    """Nets of the zoo that classify as they are."""

    nets: Annotated[list[str], Field(min_length=1)]
    batch_size: Count


@typed
class ImageNet:
    """`conf/competition/imagenet.yaml`: classified by pretrained nets as they are."""

    compute: Compute
    fetch: PhotosFetch
    prepare: Survey
    baselines: Pretrained
    learning_curve: list[Count]
    evaluate: Evaluate
