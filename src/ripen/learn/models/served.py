"""A model as MLflow serves it: raw data in, classes and probabilities out, nothing pickled.

It is a folder. A model of scikit-learn is ``model.skops``; a net is Caffe's ``deploy.prototxt`` and
``model.caffemodel`` and, for a table, ``encoder.skops``. ``model.json`` describes the output, and
the input of a net of whole images. A model on features of images has ``input.json``, which
describes how images become features.

skops loads objects of known types only, so loading a folder runs no code that came with it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import TypeAdapter

from ripen.competition.own import is_own
from ripen.competition.tasks import TASKS
from ripen.core.errors import DataError, reading, shown
from ripen.core.json_files import read_json
from ripen.data.decode import File
from ripen.data.image_input import Input, views
from ripen.learn.averaging import MEMBERS, member_folder
from ripen.learn.classic import FittedPipeline
from ripen.learn.models.saved import ENCODER, INPUT, NET, PIPELINE, skops
from ripen.learn.rare import RARE, widened
from ripen.learn.target_transform import ABOUT, KEY, NAMES, TRANSFORMS, in_units
from ripen.settings.compose import check

if TYPE_CHECKING:  # it imports torch, which most models do without
    from ripen.learn.image_files import Answer
    from ripen.learn.models.image_features import ImageFeatures

TYPES = [
    "catboost.core.CatBoostClassifier",
    "catboost.core.CatBoostRegressor",
    "collections.OrderedDict",
    "functools.partial",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRegressor",
    "numpy.dtype",
    "ripen.data.encoders.Encoder",
    "ripen.learn.estimators.catboost.with_codes",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.tree._tree.Tree",
    "sklearn.utils.validation.check_array",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
    "xgboost.sklearn.XGBRegressor",
]
"""Types in the files of the registry's estimators that skops does not trust by itself.

None of them runs code that a file brings. The trees and boosters hold arrays that compiled code
follows without checks: a crafted file may crash the process (SECURITY.md). The tests compare this
list with `skops.io.get_untrusted_types`.
"""


@dataclass(frozen=True)
class Served:
    """The object that `mlflow models predict` calls.

    Attributes
    ----------
    values : callable
        Turns raw data into the model's input.
    outputs : callable
        Turns that into outputs of shape (n, k).
    encode : callable
        Turns rows of the prepared table into the model's input; features and images are it.
    members : sequence of Served
        The models that this is the mean of; empty for a single model.
    names : sequence of str
        Of the outputs, where they are several targets.
    """

    values: Callable[[Any], Any]
    outputs: Callable[[Any], NDArray[np.floating]]
    encode: Callable[[Any], Any] = lambda rows: rows
    members: "Sequence[Served]" = ()
    names: Sequence[str] = ()

    def of_rows(self, rows: Any) -> NDArray[np.floating]:
        """Return the outputs for rows as `ripen.learn.inputs` gives them."""
        if self.members:
            return np.asarray(np.mean([each.of_rows(rows) for each in self.members], axis=0))
        return self.outputs(self.encode(rows))

    def predict(self, given: Any) -> pd.DataFrame:
        """Return the class and the probability of each, ``p0``, ``p1``, …; or ``value``.

        Several targets have a column each, by its name.

        Raises
        ------
        DataError
            If the data does not fit the model.
        """
        found = self.outputs(self.values(given))
        if self.names:
            return pd.DataFrame(found, columns=list(self.names))
        if found.shape[1] == 1:
            return pd.DataFrame({"value": found[:, 0]})
        columns = {f"p{k}": column for k, column in enumerate(found.T)}
        return pd.DataFrame({"class": found.argmax(axis=1), **columns})


def complete(folder: Path, weights: Callable[[str], Path]) -> None:
    """Add the frozen nets of a model on features of images.

    They have many megabytes, so they are not in each model's run, but in registered models only.

    Parameters
    ----------
    folder : Path
    weights : callable
        Returns the caffemodel of a net of the zoo.
    """
    if (folder / INPUT).exists():
        from ripen.learn.models.image_features import write_nets

        write_nets(folder, _read_input(folder), weights)


# --- Reading -------------------------------------------------------------------------------------


def read(folder: Path) -> Served:
    """Read a folder that is complete."""
    about = read_json(folder / ABOUT)
    served = replace(_read(folder, about), names=about.get(NAMES, ()))
    if RARE in about:
        return _widened(served, about[RARE])
    if KEY not in about:
        return served
    back = TRANSFORMS[about[KEY]].back
    return replace(served, outputs=lambda values: back(served.outputs(values)))


def _widened(served: Served, about: dict[str, Any]) -> Served:
    """Return a model of some classes as one of all (`ripen.learn.rare`)."""
    members = [_widened(member, about) for member in served.members]
    return replace(
        served, outputs=lambda values: widened(served.outputs(values), **about), members=members
    )


def mean_of(folders: Sequence[Path], rows: Any) -> NDArray[np.floating]:
    """Return the outputs for rows: the mean over several models.

    Parameters
    ----------
    folders : sequence of Path
        Of one model that was fitted to all rows, or of those of the folds.
    rows : DataFrame, array or list of File
        As `ripen.learn.inputs` gives them.
    """
    found = [read(folder).of_rows(rows) for folder in folders]
    return found[0] if len(found) == 1 else np.asarray(np.mean(found, axis=0))


def _read(folder: Path, about: dict[str, Any]) -> Served:
    if MEMBERS in about:
        return _average([_member(folder, number) for number in range(about[MEMBERS])])
    if (folder / PIPELINE).exists():
        pipeline = skops().load(folder / PIPELINE, trusted=_trusted(folder / PIPELINE))
        classes = tuple(about["classes"])
        fitted = FittedPipeline(pipeline, TASKS[about["task"]], about["outputs"], classes)
        encoder = getattr(pipeline, "named_steps", {}).get("encoder")
        return Served(_values(folder, encoder, encodes=False), fitted.predict)
    encoder = None
    if (folder / ENCODER).exists():
        encoder = skops().load(folder / ENCODER, trusted=_trusted(folder / ENCODER))
    import caffe
    from ripen.nets.engines.pycaffe import probabilities
    from ripen.nets.opening import open_net

    deploy, weights = (str(folder / name) for name in NET)
    net = open_net(deploy, caffe.TEST, weights)
    unit: Any = tuple(about["unit"])
    if "views" in about:
        return _of_images(about, lambda data: probabilities(net, data), unit)

    def outputs(rows: NDArray[np.float32]) -> NDArray[np.floating]:
        parts = np.array_split(rows, -(-len(rows) // about.get("at_once", max(len(rows), 1))) or 1)
        found = [probabilities(net, part.reshape(-1, *about["shape"])) for part in parts]
        return np.asarray(in_units(np.concatenate(found), unit))

    served = Served(_values(folder, encoder, encodes=True), outputs)
    return served if encoder is None else replace(served, encode=encoder.transform)


def _of_images(about: dict[str, Any], answer: "Answer", unit: Any) -> Served:
    from ripen.learn.image_files import outputs_of_views
    from ripen.learn.models.image_features import image_files

    wanted, seen = check(about["input"], Input, ABOUT), views(about["views"])

    def outputs(files: Sequence[File]) -> NDArray[np.floating]:
        found = np.asarray(outputs_of_views(answer, files, wanted, seen, threads=1).mean(axis=1))
        return np.asarray(in_units(found, unit))

    return Served(image_files, outputs)


def _member(folder: Path, number: int) -> Served:
    """Read one of several seeds; how images become features is described beside all of them."""
    member = read(own := member_folder(folder, number))
    if not (folder / INPUT).exists() or (own / INPUT).exists():
        return member
    from ripen.learn.models.image_features import Extractor

    return replace(member, values=Extractor(_read_input(folder), folder).values)


def _average(members: Sequence[Served]) -> Served:
    """Return the mean of models: each makes its own input, as its encoder was fitted."""

    def outputs(given: Any) -> NDArray[np.floating]:
        found = [member.outputs(member.values(given)) for member in members]
        return np.asarray(np.mean(found, axis=0))

    return Served(lambda given: given, outputs, members=members)


def _trusted(file: Path) -> list[str]:
    """Return the types that may be loaded: `TYPES`, and those of own code that is here."""
    found = skops().get_untrusted_types(file=file)
    return [name for name in found if name in TYPES or is_own(name)]


def _values(folder: Path, encoder: Any, *, encodes: bool) -> Callable[[Any], Any]:
    """Return what turns raw data into a model's input.

    Parameters
    ----------
    folder : Path
    encoder : Encoder or None
        Of the model's table.
    encodes : bool
        Whether to encode the table too: a pipeline has the encoder as its first step.
    """
    if (folder / INPUT).exists():
        from ripen.learn.models.image_features import Extractor

        return Extractor(_read_input(folder), folder).values
    if encoder is None:
        return lambda given: given
    if encodes:
        return lambda given: encoder.transform(table_of(given, encoder))
    return lambda given: table_of(given, encoder)


def table_of(given: Any, encoder: Any) -> pd.DataFrame:
    """Return raw data as the typed table that an encoder was fitted on.

    Parameters
    ----------
    given : DataFrame or array
        A table as pandas reads it, by its columns' names and in any order; or an array of shape
        (n, …), whose rows hold the columns in the training table's order.
    encoder : Encoder

    Raises
    ------
    DataError
        If a column is missing, or a number is text.
    """
    needed = list(encoder.columns_)
    if not isinstance(given, pd.DataFrame) or isinstance(given.columns, pd.RangeIndex):
        rows = np.asarray(given)
        rows = rows.reshape(len(rows), -1)
        if rows.shape[1] != len(needed):
            raise DataError(
                f"input: shape {np.shape(given)}. Needed: (n, {len(needed)}), or a table with the "
                f"columns {', '.join(needed)}"
            )
        given = pd.DataFrame(rows, columns=needed)
    if missing := [name for name in needed if name not in given]:
        raise DataError(
            f"input: column '{missing[0]}' is missing. Needed: {shown(', '.join(needed))}. These "
            "are the columns of prepared/table.parquet: those of tables beside the rows are among "
            "them, and of a cell of numbers its columns"
        )
    kinds = encoder.kinds_
    # pandas reads a blank as NaN and a code such as 3 as a number: both were text in training.
    return pd.DataFrame(
        {
            name: _number(given[name]) if kinds[name] == "number" else given[name].map(_text)
            for name in needed
        }
    )


def _number(values: "pd.Series[Any]") -> "pd.Series[Any]":
    given = values.replace("", np.nan)
    numbers = pd.to_numeric(given, errors="coerce")
    wrong = (numbers.isna() & given.notna()).to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"input: row {row + 1}, column '{values.name}': {values.iloc[row]!r} is not a number"
        )
    return numbers


def _text(value: Any) -> str:
    if pd.isna(value):
        return ""
    # One blank makes pandas read a column of whole numbers as 3.0.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _read_input(folder: Path) -> "ImageFeatures":
    from ripen.learn.models.image_features import ImageFeatures

    text = (folder / INPUT).read_text(encoding="utf-8")
    with reading(folder / INPUT):
        taken: ImageFeatures = TypeAdapter(ImageFeatures).validate_json(text)
    return taken


def _load_pyfunc(path: str) -> Served:
    """Load what `ripen.track.evaluations` logged; MLflow looks for this name."""
    return read(Path(path))
