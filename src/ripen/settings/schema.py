"""Every setting, typed: those of one competition, and those of a run.

`conf/` gives the values; `ripen.settings.compose` brings the two together. What an entry of a
registry needs (a source, a splitter, an estimator) is typed beside it: here it is a mapping.
"""

import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote

from pydantic import AfterValidator, Field, model_validator

from ripen.settings.typed import Count, NonNegative, Positive, typed

Ratio = Annotated[float, Field(ge=0, le=1)]
Jitter = Annotated[float, Field(ge=0, lt=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]
Named = dict[str, Any]
"""The name of a registry's entry and its settings, as that entry types them."""

_CREDENTIALS = re.compile(
    r"@|[?&;](user|username|(\w*_)?(password|passwd|pwd|token|secret|key)|sslpassword|apikey)=",
    re.I,
)


def _without_credentials(address: str) -> str:
    """Refuse credentials: params.yaml is committed, and an error must not repeat them."""
    if _CREDENTIALS.search(unquote(address)):
        raise ValueError("holds credentials")
    return address


Address = Annotated[str, AfterValidator(_without_credentials)]


# --- Nets and their training, by Caffe's own names -----------------------------------------------


@typed
class Net:
    """`conf/net/`: the network that NetSpec writes as a prototxt.

    `weights` is where the weights come from: "xavier", the talk's "ones" or "random" (normal with
    standard deviation 1).
    """

    hidden_layers: list[Count]
    activation: Literal["sigmoid", "tanh", "relu"]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    weights: Literal["xavier", "ones", "random"]


# What a policy cannot do without; the others take base_lr alone, or Caffe's defaults.
NEEDED = {
    "step": ("gamma", "stepsize"),
    "exp": ("gamma",),
    "inv": ("gamma", "power"),
    "multistep": ("gamma", "stepvalue"),
    "poly": ("power",),
    "sigmoid": ("gamma", "stepsize"),
}


@typed
class Solver:
    """`conf/solver/`: the fields of Caffe's SolverParameter, by their own names.

    A setting left out has Caffe's default.
    """

    type: Literal["SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"] = "SGD"
    base_lr: Positive
    lr_policy: Literal["fixed", "step", "exp", "inv", "multistep", "poly", "sigmoid"]
    gamma: Positive | None = None
    power: Positive | None = None
    stepsize: Count | None = None
    stepvalue: list[Count] = Field(default_factory=list)
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    momentum2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    rms_decay: Annotated[float, Field(ge=0, lt=1)] = 0.99
    delta: Positive = 1e-8
    weight_decay: NonNegative = 0.0
    regularization_type: Literal["L1", "L2"] = "L2"
    clip_gradients: Positive | None = None
    iter_size: Count = 1
    max_iter: Count

    @model_validator(mode="after")
    def _policy_has_what_it_needs(self) -> Self:
        for name in NEEDED.get(self.lr_policy, ()):
            if not getattr(self, name):
                raise ValueError(f"lr_policy '{self.lr_policy}' needs '{name}'")
        if self.momentum and self.type in ("AdaGrad", "RMSProp"):
            raise ValueError(f"type '{self.type}' takes no momentum")
        return self


@typed
class Train:
    """How often a training is checked, and when it ends.

    Every `check_interval` iterations the loss, averaged over that interval, is compared with the
    check before: a change below `tolerance`, `patience` times in a row, is convergence. After
    `early_stopping` checks without a better validation loss training ends too. The weights of the
    best validation loss are kept.
    """

    batch_size: Count
    check_interval: Count
    tolerance: NonNegative
    patience: Count
    early_stopping: Count


@typed
class Finetune:
    """What is changed in a pretrained net (`ripen.nets.surgery`).

    `from` names the net whose weights it begins with; `replace` the layers that give its scores.
    The head alone learns where nothing up to the layer `freeze_until` does. New layers learn
    `lr_mult_new` times as fast as others.
    """

    from_: str
    replace: Annotated[list[str], Field(min_length=1)]
    freeze_until: str
    lr_mult_new: Positive


Pool = Literal["AVE", "MAX"]
ViewsName = Literal["whole", "mirror", "crops5", "crops10", "scales"]


@typed
class FrozenNet:
    """A net of the zoo up to some of its `layers`, each of whose maps becomes one number a pool.

    `pools` are Caffe's: AVE, the mean over a map's places, and MAX, the largest of them. `sides`
    are the input's height and width in pixels, one after the other; `views` are the views of each
    image at each side (`ripen.data.image_input`).
    """

    net: str
    layers: Annotated[list[str], Field(min_length=1)]
    pools: Annotated[list[Pool], Field(min_length=1)]
    sides: Annotated[list[Count], Field(min_length=1)]
    views: ViewsName


@typed
class Augment:
    """Random changes of training images (`ripen.data.batches.Augmentation`)."""

    mirror: bool
    crop: Literal["none", "area", "caffe"]
    min_area: Annotated[float, Field(gt=0, le=1)]
    max_aspect: Annotated[float, Field(ge=1)]
    brightness: Jitter
    contrast: Jitter
    saturation: Jitter


@typed
class Pruner:
    """How hopeless trials end early: by their validation loss at a check, against other trials'.

    "median" compares with the median of what was finished; "successive_halving" lets one in
    `reduction_factor` go on at `first_iteration`, at `reduction_factor` times as many, and so on.
    """

    name: Literal["none", "median", "successive_halving"]
    startup_trials: Annotated[int, Field(ge=0)]
    first_iteration: Count
    reduction_factor: Annotated[int, Field(ge=2)]


@typed
class Sweep:
    """`conf/sweep/`: trials of one competition's net.

    `parameters` are overrides in Hydra's own syntax, of the settings of the competition's section
    `train` and of `seed`: ``solver.base_lr=0.01,0.1`` (these values), ``solver.momentum=
    interval(0.5,0.99)``, ``solver.base_lr=tag(log,interval(0.001,1))``; one with a single value
    holds for every trial. `trials` is how many, null for the whole grid. The trials of a `round`
    are chosen, and pruned, without knowing of each other, so that as many can run at once. Curves
    are thinned to `curve_points`. With `train_best` the stage `train` takes the best settings.
    More trials than `ask_above` are not begun unasked.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    parameters: Annotated[list[str], Field(min_length=1)]
    sampler: Literal["grid", "random", "tpe"]
    trials: Count | None
    round: Count
    pruner: Pruner
    curve_points: Annotated[int, Field(ge=2)]
    train_best: bool
    ask_above: Count


@typed
class Launcher:
    """`conf/launcher/`: who runs the trials; changes no result.

    `workers` is how many at once, null for one for each core; `address` that of a Ray cluster,
    null for one on this machine.
    """

    name: Literal["basic", "joblib", "ray"]
    workers: Count | None
    address: str | None


@typed
class Study:
    """`conf/study/`: the relational store of Optuna's studies; without `uri` `.ripen/studies.db`.

    The address holds no user or password: PostgreSQL's client takes those from PGUSER, PGPASSWORD
    or ~/.pgpass. `timeout` is in seconds: how long to wait for a locked store.
    """

    uri: Address | None
    timeout: Annotated[int, Field(ge=0)]


# --- One competition -----------------------------------------------------------------------------


@typed
class About:
    """What the data card and the report say of a competition, all of it free text."""

    title: str = ""
    source: str = ""
    licence: str = ""


@typed
class Files:
    """The names of a competition's tables, in its archive or folder.

    `sample` is the sample submission. `solution` holds the test labels, where they are known;
    `more` holds labelled rows that only the learning curve uses. Neither need exist. `groups` has
    the column that `validation` names, where the training table lacks it: a row for each id.
    """

    train: str = "train.csv"
    test: str = "test.csv"
    sample: str = "sample_submission.csv"
    solution: str = "solution.csv"
    more: str = "more.csv"
    groups: str | None = None


ColumnType = Literal[
    "number", "category", "ordered", "boolean", "date", "text", "identifier", "constant"
]


@typed
class Column:
    """What is known of one column.

    `type` is given in place of the detected one (`ripen.data.column_types`), with the `levels` of
    an ordered column from low to high, or the `format` of dates as Python writes it; `min` and
    `max` are the range of numbers, ends included; `missing` says whether values may be. A column
    without such a section may have blanks, and any values. An identifier and a constant are not
    learnt from.
    """

    type: ColumnType | None = None
    levels: list[str] | None = None
    format: str | None = None
    missing: bool | None = None
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _levels_are_ordered(self) -> Self:
        if (self.levels is not None) != (self.type == "ordered"):
            raise ValueError("levels, from low to high, are needed by type 'ordered', and no other")
        return self


@typed
class Csv:
    """How the competition's CSV files are written.

    `separator` is one character, `decimal` stands before a number's decimals, and `encoding` is
    one of Python's; a byte order mark is skipped.
    """

    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    decimal: Literal[".", ","] = "."
    encoding: str = "utf-8"


@typed
class Columns:
    """The columns of a table: what the types of its values do not say.

    `drop` are not learnt from. With `scale` all numbers are divided by it in place of being
    standardized. With `shape` (channels, height, width) a row is an image, pixel after pixel. The
    column `weight` says how much a training row counts.
    """

    drop: list[str] = Field(default_factory=list)
    types: dict[str, Column] = Field(default_factory=dict)
    weight: str | None = None
    scale: Positive | None = None
    shape: Annotated[list[Count], Field(min_length=3, max_length=3)] | None = None


@typed
class Images:
    """The images of a competition.

    `labels` names the reader that finds each image's class (`ripen.data.labels`). An image with a
    side below `min_side` pixels is excluded, as a broken one is; an error if a larger share than
    `max_broken` of the labelled images is. `crop` is the share of an image's sides in views that
    show a part of it; `batch_size` counts images, each in all its views; `precision` is that of
    stored features.
    """

    labels: Named
    min_side: Count
    max_broken: Ratio
    crop: Annotated[float, Field(gt=0, lt=1)]
    batch_size: Count
    precision: Literal["float16", "float32"]


@typed
class Evaluate:
    """The evaluation: each reliability curve has `calibration_bins` points."""

    calibration_bins: Annotated[int, Field(ge=2)]


@typed
class Predict:
    """The submission: `model` is "best" (by the competition's metric) or a model's name.

    With `temperature` probabilities are scaled by the temperature that suits the validation rows
    best. Then they are clipped to [clip, 1 - clip]; "validation" is the clip that suits these best.
    """

    model: str
    temperature: bool
    clip: Literal["validation"] | Annotated[float, Field(ge=0, lt=0.5)]


@typed
class Competition:
    """A competition: its facts, then the settings of each stage.

    Attributes
    ----------
    about : About
    seed : int
        Of every random choice.
    reproducibility, threads
        How the stages compute. Both are part of the result (`ripen.core.reproducibility`).
    engine : "torch" or "real"
        Whose Caffe trains the nets: ours, or Caffe 1.0 (`ripen.nets.engines`).
    source : mapping with one key
        Where the files come from: a source of the registry, and its settings.
    reader : str
        What turns the files into the index: "table" or "images", whose section must be given.
    files : Files
    csv : Csv
    id : str
        A column.
    target : str or list of str
        A column, or several. Of images without a table it is the class that their labels give.
    classes : list or mapping, optional
        The classes in the order of their labels; a mapping gives each a name to show. Without it
        the classes found, sorted.
    task : str
        A task of the registry: "binary", "multiclass", "multilabel", "regression".
    metric : str or mapping
        A metric of the registry, or a mapping with its name under ``metric`` and its settings
        beside it; or Kaggle's own file (`ripen.competition.metric_file`). It decides the best
        model and every order.
    submission : "label", "probability", "value" or "labels"
        What a column of the submission holds; "labels" are the best ones, as many as in the sample,
        with blanks between. With a column a class it holds probabilities.
    validation : mapping
        ``split`` names a splitter of the registry, beside it stand that splitter's settings.
    columns : Columns
    images : Images, optional
    features : dict of str to mapping
        Features of images by names of their own, extracted once (`ripen.nets.frozen`).
    models : dict of str to mapping
        ``estimator`` names an estimator of the registry, beside it stand its settings.
    learning_curve : list of int
        Numbers of training rows.
    sweep : Sweep, optional
    evaluate : Evaluate
    predict : Predict, optional
        None where nothing is submitted.
    own : mapping
        Settings of the competition's own code.
    """

    about: About = Field(default_factory=About)
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    reproducibility: Literal["portable", "fast"]
    threads: Count
    engine: Literal["torch", "real"]
    source: Annotated[Named, Field(min_length=1, max_length=1)]
    reader: str
    files: Files
    csv: Csv = Field(default_factory=Csv)
    id: str
    target: str | Annotated[list[str], Field(min_length=1)]
    classes: list[str] | dict[str, str] | None = None
    task: str
    metric: str | Named
    submission: Literal["label", "probability", "value", "labels"]
    validation: Named
    columns: Columns = Field(default_factory=Columns)
    images: Images | None = None
    features: dict[Name, Named] = Field(default_factory=dict)
    models: Annotated[dict[Name, Named], Field(min_length=1)]
    learning_curve: list[Count]
    sweep: Sweep | None = None
    evaluate: Evaluate
    predict: Predict | None = None
    own: Named = Field(default_factory=dict)

    @model_validator(mode="after")
    def _images_are_described(self) -> Self:
        if self.reader == "images" and self.images is None:
            raise ValueError("reader 'images' needs the section 'images'")
        return self

    @property
    def targets(self) -> list[str]:
        """The columns of the target."""
        return [self.target] if isinstance(self.target, str) else self.target


# --- A run ---------------------------------------------------------------------------------------


@typed
class Tracking:
    """`conf/tracking/`: MLflow's store; without `uri` a SQLite file at the repository's root.

    The address holds no user or password: MLflow takes those from MLFLOW_TRACKING_USERNAME and
    MLFLOW_TRACKING_PASSWORD.
    """

    uri: Address | None


@typed
class Run:
    """What holds for a whole run, and changes no result of it."""

    competitions: Annotated[list[Name], Field(min_length=1)]
    launcher: Launcher
    study: Study
    tracking: Tracking
    overrides: list[str]
