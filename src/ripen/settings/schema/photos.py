"""Competitions of photographs: cats_vs_dogs and its second edition, imagenet and its subset."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ripen.settings.schema.baselines import Baselines
from ripen.settings.schema.common import Compute, Evaluate, Predict
from ripen.settings.schema.net import Finetune, Solver
from ripen.settings.schema.types import Count, Positive, typed

Ratio = Annotated[float, Field(ge=0, le=1)]
Jitter = Annotated[float, Field(ge=0, lt=1)]


@typed
class PhotosFetch:
    """Where the archives may come from, in the order in which they are tried."""

    sources: Annotated[list[Literal["mirror", "kaggle", "url"]], Field(min_length=1)]


Synset = Annotated[str, Field(pattern=r"^n\d{8}$")]


@typed
class SubsetFetch:
    """Photographs that the user has: `images`, a folder with a folder or a tar of each class.

    They are named by its WordNet synset, as ImageNet's own tars unpack. `classes` are the synsets.
    """

    images: str
    classes: Annotated[list[Synset], Field(min_length=2)]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if twice := [name for name in self.classes if self.classes.count(name) > 1]:
            raise ValueError(f"classes names {twice[0]} twice")
        return self


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


Pool = Literal["AVE", "MAX"]
ViewsName = Literal["whole", "mirror", "crops5", "crops10", "scales"]


@typed
class FrozenNet:
    """A net of the zoo up to some of its `layers`, each of whose maps becomes one number a pool.

    `pools` are Caffe's: AVE, the mean over a map's places, and MAX, the largest of them. `sides`
    are the input's height and width in pixels, one after the other; `views` what it is shown of
    each picture at each of them (`ripen.data.image_input`).
    """

    net: str
    layers: Annotated[list[str], Field(min_length=1)]
    pools: Annotated[list[Pool], Field(min_length=1)]
    sides: Annotated[list[Count], Field(min_length=1)]
    views: ViewsName


@typed
class Features:
    """What frozen nets say of each picture, once: `nets` by names of their own.

    Colours are counted too, in boxes of `histogram_bins` an axis (`ripen.data.image_input`).
    `crop` is the share of a picture's sides in the views that are parts of it; `batch_size` counts
    pictures, each in all its views; `precision` is what the numbers are kept in.
    """

    nets: Annotated[dict[str, FrozenNet], Field(min_length=1)]
    histogram_bins: Annotated[int, Field(ge=2, le=16)]
    crop: Annotated[float, Field(gt=0, lt=1)]
    batch_size: Count
    precision: Literal["float16", "float32"]


@typed
class PhotoBaselines:
    """The classic classifiers on colours, and on the features of some of the `nets`.

    Both are reduced to their first principal components.
    """

    classifiers: Baselines
    nets: Annotated[list[str], Field(min_length=1)]
    components: Count


@typed
class Augment:
    """How far a training picture may be changed (`ripen.data.batches.Augmentation`)."""

    mirror: bool
    crop: Literal["none", "area", "caffe"]
    min_area: Annotated[float, Field(gt=0, le=1)]
    max_aspect: Annotated[float, Field(ge=1)]
    brightness: Jitter
    contrast: Jitter
    saturation: Jitter


@typed
class Head:
    """The last layer of some of the `nets` of `features`, on their features side by side.

    It is trained by Caffe's solver to the end of its budget; every `check_interval` iterations its
    curve gets a point. A batch is `batch_size` pictures, or all where there are fewer.
    """

    nets: Annotated[list[str], Field(min_length=1)]
    batch_size: Count
    check_interval: Count
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

    `trained` are those that are trained, none of them where it is empty. `side` is the input's
    height and width in pixels. Every `check_interval` iterations
    `check_pictures` of those held out are looked at, and nothing is chosen by that: the last
    weights are kept. `folds` is how many of the folds are held out in turn; `class_balance`
    whether each class is drawn as often, however many pictures it has.
    """

    trained: list[Literal["scratch", "head", "full"]]
    side: Count
    finetune: Finetune
    batch_size: Count
    augment: Augment
    views: ViewsName
    class_balance: bool
    check_interval: Count
    check_pictures: Count
    folds: Count
    rates: Rates
    solver: Solver


@typed
class PhotosTrain:
    """Heads on features by the names of their models, `net` among them; and the ways."""

    heads: Annotated[dict[str, Head], Field(min_length=1)]
    ways: Ways


@typed
class PhotosEvaluate:
    """What the evaluation draws.

    `nets` are the models whose nets are looked into, each with the net of the zoo that it is made
    from, whose contract says how a picture is made its input.
    """

    calibration_bins: Annotated[int, Field(ge=2)]
    nets: dict[str, str]


def _refuse_unknown_nets(features: Features, baselines: PhotoBaselines, train: PhotosTrain) -> None:
    """Refuse a net that something stands on, and that `features` does not have."""
    asking = {f"train.heads.{name}.nets": head.nets for name, head in train.heads.items()}
    for key, nets in (asking | {"baselines.nets": baselines.nets}).items():
        if unknown := [net for net in nets if net not in features.nets]:
            known = ", ".join(features.nets)
            raise ValueError(f"{key} names '{unknown[0]}', which features.nets has not: {known}")


@typed
class CatsVsDogs:
    """`conf/competition/cats_vs_dogs.yaml`, `cats_vs_dogs_redux.yaml`."""

    compute: Compute
    fetch: PhotosFetch
    prepare: PhotosPrepare
    features: Features
    baselines: PhotoBaselines
    train: PhotosTrain
    learning_curve: list[Count]
    evaluate: PhotosEvaluate
    predict: Predict

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        _refuse_unknown_nets(self.features, self.baselines, self.train)
        if self.train.ways.folds > self.prepare.folds:
            raise ValueError(
                f"train.ways.folds is {self.train.ways.folds}. Allowed: up to prepare.folds, "
                f"which is {self.prepare.folds}"
            )
        return self


@typed
class ImageNetSubset:
    """`conf/competition/imagenet_subset.yaml`: nets trained further to some of ILSVRC's classes."""

    compute: Compute
    fetch: SubsetFetch
    prepare: PhotosPrepare
    features: Features
    baselines: PhotoBaselines
    train: PhotosTrain
    learning_curve: list[Count]
    evaluate: PhotosEvaluate

    @model_validator(mode="after")
    def _nets_are_there(self) -> Self:
        _refuse_unknown_nets(self.features, self.baselines, self.train)
        return self


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
