"""Which model is served under a name: a net of the zoo, or a competition's trained model."""

from typing import Any

from ripen.competition import index as indexes
from ripen.competition.index import Index
from ripen.core.errors import DataError, UsageError
from ripen.core.layout import BLEND, Layout
from ripen.core.registry import nearest
from ripen.data.image_input import Input
from ripen.judge.scoring import read_metrics
from ripen.learn import blending
from ripen.learn.estimator import estimator
from ripen.learn.seen import SEEN
from ripen.nets.contract import MODELS
from ripen.serve import pictures, rows
from ripen.serve.answers import Served
from ripen.settings.compose import available, load_competition
from ripen.settings.schema import Competition

NO_MODEL = (
    "{name} has no model that a page can ask: its models learn from features of images. "
    "Choose a net that is trained further: --model"
)


def served(name: str, model: str | None = None) -> Served:
    """Return the model to serve.

    Parameters
    ----------
    name : str
        A competition, or a net of ``models/``.
    model : str, optional
        Of the competition; by default the one whose predictions are submitted, or the best.

    Raises
    ------
    UsageError
        If there is no competition, net or model of this name.
    DataError
        If the competition is not trained here, or no page can ask the model.
    """
    if name in available():
        return _of_competition(name, model)
    nets = sorted(path.parent.name for path in MODELS.glob("*/readme.md"))
    if name not in nets:
        raise UsageError(f"no competition or net '{name}'{nearest(name, [*available(), *nets])}")
    if model is not None:
        raise UsageError(f"--model is of competitions, and '{name}' is a net")
    return pictures.of_the_zoo(name)


def _of_competition(name: str, wanted: str | None) -> Served:
    layout = Layout(name)
    index_file = layout.prepared / indexes.INDEX
    if not index_file.exists():
        raise DataError(
            f"{name} is not trained here ({index_file}: no such file). "
            f"Run: ripen run competitions=[{name}]"
        )
    metrics, competition = read_metrics(name), load_competition(name)
    index = indexes.read(layout, competition)
    model = wanted or _first(competition, metrics, layout)
    if model is None:
        raise DataError(NO_MODEL.format(name=name))
    if model not in (known := [*competition.models, BLEND]):
        raise UsageError(f"{name} has no model '{model}'{nearest(model, known)}")
    if not layout.model(model).exists():
        raise DataError(
            f"{name}: model '{model}' is not trained here. Run: ripen run competitions=[{name}]"
        )
    title = f"{name}: {model}"
    about = f"The model {model} of the competition {name}, trained here."
    if _sees(layout, model, index):
        return pictures.trained(layout.model(model), index.names, title, about)
    if not _of_table(competition, layout, model):
        raise DataError(f"{name}: no page can ask model '{model}', which learns from features")
    table = rows.fitted(name, competition, index, model, title, about)
    shape = competition.columns.shape
    return table if shape is None else pictures.Pixels(table, _pixels(shape, competition))


def _first(competition: Competition, metrics: Any, layout: Layout) -> str | None:
    """Return the model that is submitted, or the first in the settings that a page can ask."""
    chosen = competition.predict.model if competition.predict else "best"
    chosen = str(metrics["best"]) if chosen == "best" else chosen
    names = dict.fromkeys([chosen, *competition.models])
    return next(
        (
            each
            for each in names
            if (layout.model(each) / SEEN).exists() or _of_table(competition, layout, each)
        ),
        None,
    )


def _sees(layout: Layout, model: str, index: Index) -> bool:
    """Whether a model is a net that classifies pictures."""
    return (layout.model(model) / SEEN).exists() and index.task.classifies


def _of_table(competition: Competition, layout: Layout, model: str) -> bool:
    """Whether a model, or every one that the blend uses, learns from the table."""
    if model == BLEND:
        if not layout.blend.exists():
            return False
        return all(_of_table(competition, layout, each) for each in blending.used(layout.blend))
    return list(estimator(competition.models[model], f"models.{model}").inputs) == ["table"]


def _pixels(shape: list[int], competition: Competition) -> Input:
    """Return how a picture becomes a row of the table, whose white is `columns.scale`."""
    channels, height, width = shape
    return Input(
        height=height,
        width=width,
        channel_order="grey" if channels == 1 else "RGB",
        raw_scale=competition.columns.scale or 255.0,
    )
