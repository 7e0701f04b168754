"""Which model is served under a name: a net of the zoo, or a competition's trained model."""

from collections.abc import Mapping, Sequence
from typing import Any

from ripen.competition import index as indexes
from ripen.core.errors import DataError, UsageError
from ripen.core.layout import BLEND, Layout
from ripen.core.registry import nearest
from ripen.data.image_input import Input
from ripen.judge.leaderboard import read_metrics
from ripen.learn.estimator import estimator
from ripen.learn.seen import SEEN
from ripen.nets.contract import MODELS
from ripen.serve import extractors, image_models, rows
from ripen.serve.answers import Served
from ripen.serve.mixture import fit_again, members
from ripen.settings.compose import available, load_competition
from ripen.settings.schema import Competition


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
    return image_models.of_the_zoo(name)


def _of_competition(name: str, wanted: str | None) -> Served:
    layout = Layout(name)
    index_file = layout.prepared / indexes.INDEX
    if not index_file.exists():
        raise DataError(
            f"{name} is not trained here ({index_file}: no such file). "
            f"Run: ripen run 'competitions=[{name}]'"
        )
    competition = load_competition(name)
    index = indexes.read(layout, competition)
    here = [each for each in (*competition.models, BLEND) if layout.model(each).exists()]
    model = wanted or chosen(competition, read_metrics(name))
    if model not in (known := [*competition.models, BLEND]):
        raise UsageError(f"{name} has no model '{model}'{nearest(model, known)}")
    if model not in here:
        raise DataError(
            f"{name}: model '{model}' is not trained here. Run: ripen run 'competitions=[{name}]'"
        )
    title = f"{name}: {model}"
    predicts = ", ".join(competition.targets)
    if competition.images and index.task.classifies:
        predicts = f"the class of an image, one of {len(index.classes)}"
    about = f"The model {model} of the competition {name}, trained here. It predicts {predicts}."
    if others := [each for each in here if each != model]:
        about += f" Others are {', '.join(others)}: ripen serve {name} --model NAME."
    names = index.names or competition.targets  # of the outputs; a single value has no names
    if model != BLEND and (layout.model(model) / SEEN).exists():
        return image_models.trained(layout.model(model), names, title, about, index.task)
    inputs = {
        member: list(estimator(competition.models[member], f"models.{member}").inputs)
        for member in members(layout, model)
    }
    check_askable(name, model, inputs)
    mixture = fit_again(name, model)
    if all(taken == ["table"] for taken in inputs.values()):
        table = rows.table(layout, competition, index, mixture, names, title, about)
        shape = competition.columns.shape
        return table if shape is None else image_models.Pixels(table, _pixels(shape, competition))
    return extractors.of_features(competition, index.task, mixture, inputs, names, title, about)


def check_askable(name: str, model: str, inputs: Mapping[str, Sequence[str]]) -> None:
    """Make sure that one question, an image or a row, is all that a model takes.

    Parameters
    ----------
    name, model : str
        Of the competition, and of its model.
    inputs : mapping of str to sequence of str
        By member of the model, what it takes.

    Raises
    ------
    DataError
        If not.
    """
    for member, taken in inputs.items():
        if list(taken) == ["images"]:
            raise DataError(
                f"{name}: '{model}' uses '{member}', which has a net for each fold, and a page "
                f"asks only the first. Choose a model: ripen serve {name} --model {member}"
            )
    if len({each == "table" for taken in inputs.values() for each in taken}) > 1:
        raise DataError(
            f"{name}: '{model}' takes an image and the columns beside it, and a page asks for one "
            f"of the two. Choose a model of images or of columns alone: ripen serve {name} --model "
            "NAME"
        )


def chosen(competition: Competition, metrics: Mapping[str, Any]) -> str:
    """Return the model that is submitted, or the best."""
    named = competition.predict.model if competition.predict else "best"
    return str(metrics["best"]) if named == "best" else named


def _pixels(shape: list[int], competition: Competition) -> Input:
    """Return how an image becomes a row of the table, whose white is `columns.scale`."""
    channels, height, width = shape
    return Input(
        height=height,
        width=width,
        channel_order="grey" if channels == 1 else "RGB",
        raw_scale=competition.columns.scale or 255.0,
    )
