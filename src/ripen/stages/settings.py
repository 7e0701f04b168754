"""settings: is params.yaml what conf/ composes to?"""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ripen.competition.own import EMPTY, code, features_code
from ripen.core.atomic import write_text
from ripen.core.errors import ConfigError
from ripen.core.layout import Layout
from ripen.core.lineage import leaves
from ripen.learn.blending import members
from ripen.learn.complete import complete, given, pool
from ripen.learn.estimator import comparable, estimator
from ripen.learn.sweeps.space import SWEPT
from ripen.nets.contract import contract
from ripen.settings import compose as settings
from ripen.settings import yaml_files
from ripen.settings.compose import CONF, PARAMS, as_mapping
from ripen.settings.schema import Competition

NOTHING = EMPTY.as_posix()
"""The dependency of an instance that has none of its own in a place."""
Instance = tuple[str, str, dict[str, str]]
"""A stage, the key of its instance, and the values that differ among its instances."""


def compose(overrides: Sequence[str] = (), conf: Path = CONF) -> tuple[dict[str, Any], list[str]]:
    """Compose `conf/` with Hydra's overrides, and check all of it.

    Returns
    -------
    dict, list of str
        The values of `params.yaml`, and a line for each override that some competition ignores.

    Raises
    ------
    ConfigError
        Naming the first setting that is unknown, missing or not allowed.
    """
    composed = settings.compose(overrides, conf)
    run = settings.run_of(composed.run, conf)
    competitions, notes = {}, list(composed.notes)
    for name, given_values in composed.competitions.items():
        chosen, left_out = pool(name, given_values, composed.named[name])
        competitions[name] = complete(name, chosen, f"{conf}/competition/{name}.yaml")
        notes += left_out
    values = as_mapping(run) | {"graph": graph(competitions)}
    plain = {name: as_mapping(competition) for name, competition in competitions.items()}
    for section in plain.values():
        section["columns"]["types"] = given(section["columns"]["types"])
    return values | {"competition": plain}, notes


def graph(competitions: dict[str, Competition]) -> dict[str, Any]:
    """Return the instances of each stage of dvc.yaml, with the values that differ among them.

    ``plots`` names the competitions whose files `dvc plots` shows.
    """
    found: dict[str, dict[str, dict[str, str]]] = {
        "weights": {}, "fetch": {}, "generate": {}, "prepare": {}, "features": {}, "colours": {},
        "sweep": {}, "fit": {}, "finetune": {}, "blend": {}, "evaluate": {}, "predict": {},
        "report": {},
    }  # fmt: skip
    for name, competition in competitions.items():
        for of in (_of_competition, _of_features, _of_models):
            for stage, instance, item in of(name, competition):
                found[stage][instance] = item
    for stage in ("features", "finetune"):
        for item in found[stage].values():
            found["weights"][item["net"]] = {"file": item["file"]}
    return found | {"plots": plots(competitions)}


def _of_competition(name: str, competition: Competition) -> Iterator[Instance]:
    """Yield the stages that a competition has once."""
    own, columns = {"code": code(name).as_posix()}, {"columns": features_code(name).as_posix()}
    swept, blended = competition.sweep is not None and SWEPT in competition.models, NOTHING
    if members(competition):
        blended = Layout(name).blend.as_posix()
        yield "blend", name, {}
    if "generate" in competition.source:
        yield "generate", name, own
    else:
        yield "fetch", name, {}
    yield "prepare", name, columns
    yield "evaluate", name, own | {"blend": blended}
    sweep = Layout(name).sweep.as_posix() if swept else NOTHING
    yield "report", name, {"sweep": sweep, "blend": blended}
    if competition.predict:
        yield "predict", name, {"blend": blended}
    if swept:
        yield "sweep", name, {"reads": _trials_read(competition)} | columns


def _of_features(name: str, competition: Competition) -> Iterator[Instance]:
    """Yield a stage for each set of features: of a net, or of colours."""
    for key, section in competition.features.items():
        item = {"competition": name, "name": key}
        if net := section.get("net"):
            yield "features", f"{name}.{key}", item | _of_net(net)
        else:
            yield "colours", f"{name}.{key}", item


def _of_models(name: str, competition: Competition) -> Iterator[Instance]:
    """Yield a stage for each model."""
    for model, section in competition.models.items():
        settings = estimator(section, model)
        item = {"competition": name, "name": model}
        if nets := settings.nets():
            yield "finetune", f"{name}.{model}", item | _of_net(nets[0])
        else:
            file = next((file.as_posix() for file in settings.files()), NOTHING)
            item |= {"reads": _reads(competition, model), "file": file}
            yield "fit", f"{name}.{model}", item | {"columns": features_code(name).as_posix()}


def plots(competitions: dict[str, Competition]) -> dict[str, Any]:
    """Return the competitions that `dvc plots` shows, and their models with a line each.

    Top-level plots of dvc.yaml have no instances, so most show the first competition. The plot of
    trainings shows the first with several nets of one estimator, whose losses are comparable.
    """
    compared = {
        name: comparable(one, [m for m, section in one.models.items() if "solver" in section])
        for name, one in competitions.items()
    }
    first = next(iter(competitions))
    nets = next((name for name, models in compared.items() if len(models) > 1), first)
    learning = [
        model
        for model, section in competitions[first].models.items()
        if estimator(section, model).has_learning_curve
    ]
    return {"first": first, "learning": learning, "nets": nets, "trainings": compared[nets]}


def _of_net(net: str) -> dict[str, str]:
    """Return a net of the zoo and the file of its weights.

    Raises
    ------
    ConfigError
        If no weights of it are published.
    """
    file = contract(net).caffemodel
    if file is None:
        raise ConfigError(f"net '{net}' has no published weights: use one that has")
    return {"net": net, "file": file}


def _trials_read(competition: Competition) -> str:
    """Return the folder that trials of a sweep read in addition to the prepared data."""
    taken = competition.models[SWEPT]["inputs"]
    return "inputs/features" if set(taken) & set(competition.features) else "raw"


def _reads(competition: Competition, model: str) -> str:
    """Return the narrowest folder with all that a model learns from."""
    section, sweep = competition.models[model], competition.sweep
    swept = model == SWEPT and sweep is not None and sweep.train_best
    return "inputs/prepared" if section["inputs"] == ["table"] and not swept else "inputs"


def run(params: Path = PARAMS, conf: Path = CONF) -> None:
    """Make sure that `params.yaml` and `conf/` with the recorded overrides agree.

    Inside `dvc exp run` DVC has changed `params.yaml` itself, so it is the truth: it is checked
    against the schema, and its `graph` against its competitions, and brought back to the form of
    `ripen compose`. Models that the settings no longer have are removed.

    Raises
    ------
    ConfigError
        If `params.yaml` does not fit the schema, or naming the first key that differs.
    """
    found = yaml_files.read(params)
    chosen = settings.run_of(found, params)
    competitions = found.get("competition") or {}
    checked = {
        name: complete(name, values, f"{params}: competition.{name}")
        for name, values in competitions.items()
    }
    if "DVC_EXP_BASELINE_REV" in os.environ:
        # DVC edits values, and does not compose: the stages would not follow such a change.
        if chosen.competitions != list(checked) or found.get("graph") != graph(checked):
            raise ConfigError(
                f"{params}: dvc exp run -S cannot choose competitions, models or nets. Run: ripen "
                "compose with the same settings, then dvc exp run without them"
            )
        # DVC wraps lines and splits lists in its own way: a diff would show no single setting.
        write_text(params, yaml_files.dump(found))
    else:
        here = dict(leaves(found))
        there = dict(leaves(compose(chosen.overrides, conf)[0]))
        for key in [*there, *here]:
            ours, theirs = here.get(key), there.get(key)
            if ours != theirs:
                raise ConfigError(
                    f"{params} and {conf}/ disagree on '{key}': {ours!r} and {theirs!r}. "
                    f"To take {conf}/: ripen compose. To keep the value: ripen run {key}={ours}"
                )
    for name, values in competitions.items():
        remove_others(Layout(name), values)
        if not members(checked[name]):
            shutil.rmtree(Layout(name).blend, ignore_errors=True)


def remove_others(layout: Layout, values: dict[str, Any]) -> None:
    """Remove models and features that a competition no longer has: later stages read folders."""
    for folder, kept in ((layout.models, values["models"]), (layout.features, values["features"])):
        for path in folder.glob("*"):
            if path.stem not in kept:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
