"""A competition's settings, checked against the registries and complete."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ripen.competition.metric_file import metric_of
from ripen.competition.metrics import METRICS, Metric
from ripen.competition.splitters import splitter
from ripen.competition.tasks import TASKS
from ripen.core.errors import ConfigError
from ripen.core.layout import BLEND
from ripen.core.registry import nearest
from ripen.data.readers import READERS
from ripen.data.sources import SOURCES
from ripen.learn import blending, pseudo_labels, tuning
from ripen.learn.blenders import BLENDERS
from ripen.learn.estimator import estimator
from ripen.settings.compose import as_mapping, changed, check
from ripen.settings.schema import Competition

IMAGES_AT_ONCE = {"cpu": 2, "cuda": 128}
"""Images in a batch of frozen features, each in all its views, where the settings name none."""


def pool(
    name: str, values: dict[str, Any], named: Collection[str]
) -> tuple[dict[str, Any], list[str]]:
    """Leave out the kind's models that cannot fit: of another task, or of a missing package.

    The first needs no word: the kind lists models of every task.

    Parameters
    ----------
    name : str
        The competition.
    values : dict
        Its settings, unchecked.
    named : collection of str
        Models that its own file or an override names: these are kept.

    Returns
    -------
    dict, list of str
        The settings, and a line for each model whose package is missing.
    """
    models, task, notes = dict(values.get("models") or {}), values.get("task"), []
    for model, section in list(models.items()):
        if model in named or not section or task not in TASKS:
            continue
        found = estimator(section, f"models.{model}")
        if reason := found.refusal(TASKS[str(task)]):
            models[model] = None
            if not found.unsuited(TASKS[str(task)]):
                notes.append(f"{name}: model '{model}' is left out: {reason}")
    return values | {"models": models}, notes


def complete(name: str, values: dict[str, Any], where: str) -> Competition:
    """Check a competition's settings, and fill in its estimators' defaults."""
    models = {model: section for model, section in (values.get("models") or {}).items() if section}
    features = {key: each for key, each in (values.get("features") or {}).items() if each}
    competition = check(values | {"models": models, "features": features}, Competition, where)
    with located(where):
        TASKS[competition.task].named(competition.targets)
        metric = metric_of(name, competition.metric)
        metric.check(competition.task)
        READERS[competition.reader]
        if (origin := next(iter(competition.source))) != "generate":
            SOURCES[origin]
        splitter(competition.validation)
    for key, each in features.items():
        from ripen.nets import frozen  # it imports torch

        frozen.settings(each, f"{where}: features.{key}")
    filled = {
        model: _filled(model, section, metric, competition, where)
        for model, section in models.items()
    }
    with located(f"{where}: blend.methods"):
        for method in competition.blend.methods if competition.blend else ():
            BLENDERS[method]
    blending.check(competition, where)
    pseudo_labels.check(competition, where)
    named = ["best", *models, *([BLEND] if blending.members(competition) else [])]
    if competition.predict and competition.predict.model not in named:
        raise ConfigError(
            f"{where}: predict.model is '{competition.predict.model}': no such model"
            f"{nearest(competition.predict.model, named)}"
        )
    return changed(on_a_device(competition), models=filled)


def _filled(
    model: str, section: dict[str, Any], metric: Metric, competition: Competition, where: str
) -> dict[str, Any]:
    """Check a model's section, and fill in its estimator's defaults."""
    task, place = TASKS[competition.task], f"{where}: models.{model}"
    with located(place):
        found = estimator(section, place).judged_by(metric)
        found.check_task(task)
        if tune := found.tune:
            tuning.space(found)
            # Metrics of more columns, or of a file, take what the stage `fit` does not read.
            if tune.metric is None and metric.name in METRICS and not metric.columns:
                tune = replace(tune, metric=competition.metric)
                found = replace(found, tune=tune)
            tuning.metric_of(tune, task.metrics[0])
    for used in found.inputs:
        if used not in ("table", "images") and used not in competition.features:
            raise ConfigError(
                f"{place}.inputs names '{used}', which is not in features"
                f"{nearest(used, competition.features)}"
            )
    return {"estimator": section["estimator"]} | given(as_mapping(found))


def on_a_device(competition: Competition) -> Competition:
    """Name a device in place of "auto", and a batch of images that suits it.

    So `params.yaml` has the device, and DVC can tell a GPU's results from a processor's.
    "auto" is a GPU only where `reproducibility` is "fast": none gives the processor's bytes.
    """
    device = competition.device
    if device == "auto":
        free = competition.reproducibility == "fast" and competition.engine == "torch"
        device = _available() if free else "cpu"
    values: dict[str, Any] = {"device": device}
    images = competition.images
    if images is not None and images.batch_size is None:
        own = IMAGES_AT_ONCE[device.partition(":")[0]]
        values["images"] = as_mapping(images) | {"batch_size": own}
    return changed(competition, **values)


def _available() -> str:
    from ripen.nets.device import available  # only here: importing torch takes a second

    return available()


@contextmanager
def located(where: str) -> Iterator[None]:
    """Name the file in an error that does not."""
    try:
        yield
    except ConfigError as error:
        text = str(error)
        raise ConfigError(text if text.startswith(where) else f"{where}: {text}") from None


def given(values: dict[str, Any]) -> dict[str, Any]:
    """Drop null settings, so that estimators use their defaults."""
    return {
        key: given(value) if isinstance(value, dict) else value
        for key, value in values.items()
        if value is not None
    }
