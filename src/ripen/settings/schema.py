"""Every setting, typed: those of one competition, and those of a run.

`conf/` holds the values, and `ripen.settings.compose` checks them against these types. Settings of
a registry's entry (a source, a splitter, an estimator) are typed beside the entry; here they are a
plain mapping.
"""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ripen.core.addresses import hidden, is_open
from ripen.core.registry import nearest
from ripen.settings.typed import Count, Fraction, NonNegative, Positive, typed

Ratio = Annotated[float, Field(ge=0, le=1)]
Jitter = Annotated[float, Field(ge=0, lt=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]
Named = dict[str, Any]
"""The name of a registry's entry with its settings, which the entry types."""


def _open(address: str) -> str:
    """Refuse what may be a secret: params.yaml is committed, and an error must not repeat it."""
    if not is_open(address):
        raise ValueError("may hold a secret")
    return address


def _without_user(override: str) -> str:
    """Refuse `http://user:password@host` in whatever setting: overrides are kept too."""
    if "//***@" in hidden(override):
        raise ValueError("one has an address with a user or a password")
    return override


def _without_secrets(section: Named) -> Named:
    """Refuse secrets in the addresses of a section, for the same reason."""
    if hidden(text := str(section)) != text:
        raise ValueError(
            "an address there holds a user, a password or a token, and params.yaml is committed. "
            "Download the file yourself, and name its folder"
        )
    return section


Address = Annotated[str, AfterValidator(_open)]


def known_device(device: str) -> str:
    """Return the name of a device.

    Raises
    ------
    ValueError
        If none is called so; with the nearest name.
    """
    if device not in DEVICES and not re.fullmatch(r"cuda:\d{1,3}", device):
        raise ValueError(f"'{device}' is no device{nearest(device, [*DEVICES, 'cuda:0'])}")
    return device


DEVICES = ("auto", "cpu", "cuda")
Device = Annotated[str, AfterValidator(known_device)]


# --- Nets and their training, by Caffe's own names -----------------------------------------------


@typed
class Net:
    """`conf/net/`: the network that NetSpec writes as a prototxt.

    `weights` is the initialization: "xavier", the talk's "ones" or "random" (normal with standard
    deviation 1).
    """

    hidden_layers: list[Count]
    activation: Literal["sigmoid", "tanh", "relu"]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    weights: Literal["xavier", "ones", "random"]


# The settings that a policy requires. The others need base_lr alone, or have Caffe's defaults.
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

    Missing settings have Caffe's defaults.
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
    """How often training is checked, and when it ends.

    Every `check_interval` iterations the mean loss of the interval is compared with that of the
    previous one. A change below `tolerance`, `patience` times in a row, is convergence. Training
    also ends after `early_stopping` checks without a lower validation loss. The weights with the
    lowest validation loss are kept.
    """

    batch_size: Count
    check_interval: Count
    tolerance: NonNegative
    patience: Count
    early_stopping: Count


@typed
class Finetune:
    """Changes to a pretrained net (`ripen.nets.surgery`).

    `from` names the net whose weights it starts from; `replace` lists the layers of its scores,
    which are replaced. When only the head is trained, all layers up to `freeze_until` are frozen.
    New layers learn `lr_mult_new` times as fast as the others.
    """

    from_: str
    replace: Annotated[list[str], Field(min_length=1)]
    freeze_until: str
    lr_mult_new: Positive


Pool = Literal["AVE", "MAX"]
ViewsName = Literal["whole", "mirror", "crops5", "crops10", "scales"]


@typed
class FrozenNet:
    """A net of the zoo up to some of its `layers`, whose maps are pooled to a number each.

    `pools` are Caffe's: AVE is the mean of a map, MAX its maximum. Each of `sides` is an input
    size, height and width in pixels; `views` are the views of each image at each size
    (`ripen.data.image_input`).
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
    """How unpromising trials end early, by comparing their validation loss at a check with others'.

    "median" compares with the median of finished trials. "successive_halving" lets one trial in
    `reduction_factor` continue at `first_iteration`, then at `reduction_factor` times that
    iteration, and so on.
    """

    name: Literal["none", "median", "successive_halving"]
    startup_trials: Annotated[int, Field(ge=0)]
    first_iteration: Count
    reduction_factor: Annotated[int, Field(ge=2)]


@typed
class Sweep:
    """`conf/sweep/`: trials of one competition's net.

    `parameters` are overrides in Hydra's own syntax, of the settings of the model `net` and of
    `seed`: ``solver.base_lr=0.01,0.1`` (these values), ``solver.momentum=interval(0.5,0.99)``,
    ``solver.base_lr=tag(log,interval(0.001,1))``. One with a single value holds for every trial.
    `trials` is their number, null for the whole grid. The trials of a `round` are chosen and pruned
    independently of each other, so that many can run at once. Curves are thinned to `curve_points`.
    With `train_best` the stage `fit` uses the best settings. More than `ask_above` trials need a
    confirmation.
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
    """`conf/launcher/`: where the trials of sweeps and the folds of models run. Changes no result.

    `workers` is how many run at once, null for one per core. `address` is that of a Ray
    cluster, null for one on this machine.
    """

    name: Literal["basic", "joblib", "ray"]
    workers: Count | None
    address: Address | None


@typed
class Study:
    """`conf/study/`: the relational store of Optuna's studies, by default `.ripen/studies.db`.

    The address holds no user or password: PostgreSQL's client takes those from PGUSER, PGPASSWORD
    or ~/.pgpass. `timeout` is the longest wait for a locked store, in seconds.
    """

    uri: Address | None
    timeout: Annotated[int, Field(ge=0)]


# --- One competition -----------------------------------------------------------------------------


@typed
class About:
    """Free text on a competition, for the data card and the report."""

    title: str = ""
    source: str = ""
    licence: str = ""


@typed
class Files:
    """The names of a competition's tables, in its archive or folder; with folders where needed.

    `sample` is the sample submission. `solution` holds the test labels, if they are known; `more`
    holds labelled rows for the learning curve only. Both are optional. `groups` has a row for each
    id, and the column that `validation` names if the training table lacks it. `labels` has the
    target of each training row, by its id, if the training table lacks it. `joined` are tables with
    a row for each value of columns that both parts have, such as each store: their other columns
    are joined to the rows. `histories` are tables with several rows for each id, such as the orders
    of a customer: a summary of them is joined (`ripen.data.histories`). `keys` names, by table, the
    columns to join by, where they are named differently in the rows or are not the shared ones:
    ``{stores.csv: {shop: id}}``. Tables with the same columns, whose names differ only in "train"
    and "test", are one. If `train` and `test` are the same file, the rows
    without a target are the test rows. Otherwise training rows without a target are an error,
    unless `drop_unlabelled` leaves them out.
    """

    train: str = "train.csv"
    test: str = "test.csv"
    sample: str = "sample_submission.csv"
    solution: str = "solution.csv"
    more: str = "more.csv"
    groups: str | None = None
    labels: str | None = None
    joined: list[str] | None = None
    histories: list[str] | None = None
    keys: dict[str, dict[str, str]] | None = None
    drop_unlabelled: bool = False


ColumnType = Literal[
    "number", "category", "ordered", "boolean", "date", "text", "identifier", "constant"
]


@typed
class Column:
    """The type and the allowed values of one column.

    `type` overrides the detected one (`ripen.data.column_types`). An ordered column needs its
    `levels`, from low to high; a date may have its `format`, in Python's notation, or `unix` for
    seconds since 1970. `min` and `max` are the range of numbers, ends included. `missing` says
    whether values may be missing: by default they may, except in a column with a range. `unknown`
    lists further texts that stand for a missing value, such as "n/a" or "-". Identifiers and
    constants are not features.
    """

    type: ColumnType | None = None
    levels: list[str] | None = None
    format: str | None = None
    missing: bool | None = None
    unknown: list[str] | None = None
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _levels_are_ordered(self) -> Self:
        if (self.levels is not None) != (self.type == "ordered"):
            raise ValueError("levels, from low to high, are needed by type 'ordered', and no other")
        return self


@typed
class Csv:
    """The format of the competition's CSV files.

    `separator` is one character, `decimal` the decimal mark, and `encoding` one of Python's names.
    A byte order mark is skipped.
    """

    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    decimal: Literal[".", ","] = "."
    encoding: str = "utf-8"


@typed
class Columns:
    """The columns of a table, where their detected types are not enough.

    `drop` lists columns of either part that are not features; `types` overrides types by column.
    `scale` divides all numbers instead of standardizing them; standardized ones are cut off at
    -`clip` and `clip`, so that one outlier does not move a line or a distance. With `shape`
    (channels, height, width) a row is an image, pixel after pixel. The column `weight` holds the
    weight of each training row. The column `tags` holds several labels a row, with blanks, commas
    or bars between; `target` lists those to predict.
    """

    drop: list[str] = Field(default_factory=list)
    types: dict[str, Column] = Field(default_factory=dict)
    weight: str | None = None
    tags: str | None = None
    scale: Positive | None = None
    clip: Positive | None = None
    shape: Annotated[list[Count], Field(min_length=3, max_length=3)] | None = None


@typed
class Images:
    """The images of a competition.

    `labels` names the reader that finds each image's class (`ripen.data.labels`). Broken images and
    those with a side below `min_side` pixels are excluded; if more than a share `max_broken` of the
    labelled images is, that is an error. `crop` is the share of an image's sides that a cropped
    view shows. `batch_size` counts images, each in all its views; by default one that suits the
    device (`ripen.learn.complete.on_a_device`). `precision` is that of stored
    features.
    """

    labels: Named
    min_side: Count
    max_broken: Ratio
    crop: Annotated[float, Field(gt=0, lt=1)]
    batch_size: Count | None = None
    precision: Literal["float16", "float32"]


@typed
class Evaluate:
    """The evaluation: each reliability curve has `calibration_bins` points."""

    calibration_bins: Annotated[int, Field(ge=2)]


@typed
class Blend:
    """The blend of a competition's models (`ripen.learn.blending`).

    `models` lists its members; by default all that predict every fold. `methods` are blenders of
    the registry, compared on held-out folds: the first that fits the task and the metric is taken,
    unless another gains more than its standard error. Greedy selection adds at most `steps` models,
    and is repeated on `bags` samples of the rows. The rows of a single hold-out are dealt to
    `folds`.
    """

    models: Annotated[list[str], Field(min_length=2)] | None = None
    methods: Annotated[list[str], Field(min_length=1)] = Field(
        default_factory=lambda: ["greedy", "linear", "logistic", "ranks"]
    )
    bags: Count = 3
    steps: Count = 25
    folds: Annotated[int, Field(ge=2)] = 5


@typed
class PseudoLabels:
    """Test rows that models learn from too, by labels of their own (`ripen.learn.pseudo_labels`).

    A classifier takes the rows whose most probable class has at least the probability
    `confidence`; of numbers all rows are taken. Such a row counts as much as `weight` labelled
    ones. `models` lists the models that do so; by default all that learn.
    """

    confidence: Fraction = 0.95
    weight: Fraction = 1.0
    models: Annotated[list[str], Field(min_length=1)] | None = None


@typed
class Predict:
    """The submission: `model` is "best" (by the competition's metric) or a model's name.

    `decide` says how labels and values follow from the outputs (`ripen.judge.decision`): "auto"
    takes the decision fitted on the validation rows where it gains more than its standard error,
    "always" takes it in any case, and "never" takes the most probable label, or the value as it is.

    With `temperature` probabilities are scaled by the temperature that fits the validation rows
    best. They are then clipped to [clip, 1 - clip]; "validation" is the clip that fits these rows
    best.
    """

    model: str
    temperature: bool
    clip: Literal["validation"] | Annotated[float, Field(ge=0, lt=0.5)]
    decide: Literal["auto", "always", "never"] = "auto"


@typed
class Competition:
    """A competition: its facts, then the settings of each stage.

    Attributes
    ----------
    about : About
    seed : int
        The seed of every random choice.
    reproducibility, threads
        How the stages compute. Both affect the result (`ripen.core.reproducibility`).
    device : "auto", "cpu", "cuda" or "cuda:N"
        Where nets compute. "auto" becomes one of the others when the settings are composed
        (`ripen.learn.complete.on_a_device`).
    engine : "torch" or "real"
        The Caffe that trains the nets: ripen's own, or Caffe 1.0 (`ripen.nets.engines`).
    source : mapping with one key
        Where the files come from: a source of the registry, with its settings.
    reader : str
        The reader that turns the files into the index: "table", or "images", which needs the
        section `images`.
    files : Files
    csv : Csv
    id : str
        The column of ids; or a pattern of columns that make them up: ``{store}_{day}``.
    target : str or list of str
        One column, or several; with task "multiclass" each of several is a class, 1 in the rows of
        it. For images without a table it is the class from their labels.
    classes : list or mapping, optional
        The classes in the order of their labels; a mapping gives each a display name. By default
        the classes found, sorted.
    task : str
        A task of the registry: "binary", "multiclass", "multilabel", "regression".
    metric : str or mapping
        A metric of the registry, or a mapping with its name under ``metric`` and its settings
        beside it; or Kaggle's own file (`ripen.competition.metric_file`). It decides which model is
        best, and ranks all models.
    submission : "label", "probability", "value" or "labels"
        The content of the submission's column; "labels" are the most probable ones, as many as in
        the sample, separated by blanks. A submission with a column for each class always holds
        probabilities.
    validation : mapping
        ``split`` names a splitter of the registry, with that splitter's settings beside it.
    columns : Columns
    images : Images, optional
    features : dict of str to mapping
        Features of images, by names of your choice; extracted once (`ripen.nets.frozen`).
    models : dict of str to mapping
        ``estimator`` names an estimator of the registry, with its settings beside it.
    learning_curve : list of int
        The numbers of training rows at which it is drawn.
    sweep : Sweep, optional
    pseudo_labels : PseudoLabels, optional
        None for none.
    blend : Blend, optional
        None for no blend.
    evaluate : Evaluate
    predict : Predict, optional
        None for no submission.
    own : mapping
        Settings for the competition's own code.
    """

    about: About = Field(default_factory=About)
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    reproducibility: Literal["portable", "fast"]
    threads: Count
    device: Device = "auto"
    engine: Literal["torch", "real"]
    source: Annotated[Named, Field(min_length=1, max_length=1), AfterValidator(_without_secrets)]
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
    pseudo_labels: PseudoLabels | None = None
    blend: Blend | None = None
    evaluate: Evaluate
    predict: Predict | None = None
    own: Named = Field(default_factory=dict)

    @model_validator(mode="after")
    def _images_are_described(self) -> Self:
        if self.reader == "images" and self.images is None:
            raise ValueError("reader 'images' needs the section 'images'")
        return self

    @model_validator(mode="after")
    def _device_keeps_the_promise(self) -> Self:
        if self.device.startswith("cuda"):
            if self.reproducibility == "portable":
                raise ValueError(
                    f"device '{self.device}' does not give the same bytes, which reproducibility "
                    "'portable' promises. Set device to cpu, or reproducibility to fast"
                )
            if self.engine == "real":
                raise ValueError(f"engine 'real' has no device '{self.device}': set it to cpu")
        return self

    @property
    def targets(self) -> list[str]:
        """The columns of the target."""
        return [self.target] if isinstance(self.target, str) else self.target

    @property
    def one_hot(self) -> bool:
        """Whether the target is one class, in a column of 0 and 1 for each."""
        return self.task == "multiclass" and len(self.targets) > 1


# --- A run ---------------------------------------------------------------------------------------


@typed
class Tracking:
    """`conf/tracking/`: MLflow's store, by default a SQLite file at the repository's root.

    The address holds no user or password: MLflow takes those from MLFLOW_TRACKING_USERNAME and
    MLFLOW_TRACKING_PASSWORD.
    """

    uri: Address | None


def _duration(text: str) -> str:
    if not re.fullmatch(r"\d+(\.\d+)?[smh]", text) or not float(text[:-1]):
        raise ValueError(f"'{text}'. Write a number and s, m or h: 30m")
    return text


@typed
class Run:
    """Settings of a whole run. They change no competition's result.

    With a `budget`, a time such as ``30m``, `ripen run` fits only the models that end in time.
    """

    competitions: Annotated[list[Name], Field(min_length=1)]
    budget: Annotated[str, AfterValidator(_duration)] | None = None
    launcher: Launcher
    study: Study
    tracking: Tracking
    overrides: list[Annotated[str, AfterValidator(_without_user)]]
