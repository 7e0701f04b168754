"""The settings of a competition as one file, from its files and Kaggle's pages."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import yaml

from ripen.competition.metrics import METRICS
from ripen.core.errors import DataError
from ripen.data.tables import with_numbers
from ripen.entry import facts, image_facts, split
from ripen.entry.facts import Ask, Fact, Goal
from ripen.entry.files import Files, Table, part_of, sample_of
from ripen.entry.kaggle_page import KagglePage
from ripen.entry.metric_words import needs, usual
from ripen.settings.schema import Files as Names

LINES = 20
WIDTH = 100
MORE = 1.0  # least skewness of amounts


def propose(
    name: str, source: dict[str, Any], files: Files, page: KagglePage | None, ask: Ask
) -> str:
    """Return the text of ``conf/competition/<name>.yaml``: at most `LINES` lines.

    Parameters
    ----------
    name : str
    source : dict with one key
        Where the files come from.
    files : Files
    page : KagglePage, optional
    ask : Ask

    Raises
    ------
    DataError
        If the files do not show what is predicted, or ripen cannot predict it.
    """
    sample = sample_of(files)
    if sample is None:
        raise DataError(
            f"{files.where}: no sample submission found. Its tables: "
            f"{', '.join(sorted(files.tables)) or 'none'}. Name it sample_submission.csv"
        )
    if sample.text.shape[1] < 2 or sample.text.empty:
        raise DataError(f"{sample.name}: needs a column of ids, one beside it, and rows")
    test = part_of(files, "test")
    images = files.images and (test is None or set(test.text) <= {str(sample.text.columns[0])})
    of = _of_images if images else _of_table
    found = of(files, sample, page, ask)
    title = page.title if page and page.title else name
    about = [Fact("about", _about(page))] if page else []
    return write(f"{title}, as `ripen new` found it", [Fact("source", source), *about, *found])


def _about(page: KagglePage) -> dict[str, str]:
    given = {
        "title": page.title,
        "source": f"https://www.kaggle.com/c/{page.slug}/data",
        "licence": page.licence,
    }
    return {key: value for key, value in given.items() if value}


def _of_table(files: Files, sample: Table, page: KagglePage | None, ask: Ask) -> list[Fact]:
    train, test = part_of(files, "train"), part_of(files, "test")
    for part, table in (("train", train), ("test", test)):
        if table is None:
            shown = ", ".join(sorted(files.tables))
            raise DataError(f"{files.where}: no {part}.csv found. Its tables: {shown}")
    assert train is not None
    assert test is not None
    id = facts.id_of(sample, test)
    texts = {"train": train.text, "test": test.text}
    texts = with_numbers(texts, id.name, sample.text[id.in_sample])
    train, test = replace(train, text=texts["train"]), replace(test, text=texts["test"])
    if id.name not in train.text:
        raise DataError(f"{train.name}: has no column '{id.name}', the ids of {test.name}")
    facts.unique(train, id.name)
    targets, reason, dropped = facts.target_of(train, test, sample, id, ask)
    if extra := [str(c) for c in test.text if c not in train.text]:
        raise DataError(f"{test.name}: column '{extra[0]}' is not in {train.name}")
    known = page.registered if page else None
    goal = facts.goal_of(train.text[targets], sample, id, needs(known and known[0]), ask)
    classes = goal.task in ("binary", "multiclass")
    how = split.of_table(train.text, test.text, id.name, targets, classes)
    only = targets[0] if len(targets) == 1 else targets
    drops = f"{test.name} lacks {'it' if len(dropped) == 1 else 'them'}"
    return [
        Fact("defaults", ["/kind/table"]),
        *_names({"train": train.name, "test": test.name, "sample": sample.name}),
        *_csv((train, test, sample)),
        Fact("id", id.name, id.reason),
        Fact("target", only, reason),
        *([Fact("columns", {"drop": dropped}, drops)] if dropped else []),
        *_goal(goal, known, train.text[targets[0]]),
        Fact("validation", how.settings, how.reason),
    ]


def _of_images(files: Files, sample: Table, page: KagglePage | None, ask: Ask) -> list[Fact]:
    named = image_facts.check_ids(files, sample)
    labels = image_facts.labels_of(files, sample)
    target = pd.Series(list(labels.known.values()), name=labels.label or "class")
    id = facts.Id(str(sample.text.columns[0]), str(sample.text.columns[0]), named)
    known = page.registered if page else None
    goal = facts.goal_of(target.to_frame(), sample, id, needs(known and known[0]), ask)
    image_facts.read_by(labels.read, files, labels, list(sample.text[id.in_sample]))
    settings: dict[str, Any] = {"labels": labels.settings()}
    why = labels.reason
    if files.smallest < image_facts.MIN_SIDE:
        settings["min_side"] = files.smallest
        why += f"; images of {files.smallest} pixels"
    groups = split.of_images(files, labels.known)
    validation = []
    if groups:
        table, column = groups
        how = {"split": "stratified_group", "group": column, "folds": split.FOLDS}
        validation = [Fact("validation", how, f"{table.name}: each {column} has several images")]
    given = {"sample": sample.name, "train": labels.table, "groups": groups and groups[0].name}
    return [
        Fact("defaults", ["/kind/images"]),
        *_names({key: name for key, name in given.items() if name}),
        Fact("id", id.name, id.reason),
        *([Fact("target", labels.label)] if labels.label else []),
        *_goal(goal, known, target),
        Fact("images", settings, why),
        *validation,
    ]


def _names(given: dict[str, str]) -> list[Fact]:
    """Return the section `files`, without default names."""
    usual = Names()
    changed = {key: name for key, name in given.items() if name != getattr(usual, key, None)}
    return [Fact("files", changed)] if changed else []


def _csv(tables: Sequence[Table]) -> list[Fact]:
    """Return the section `csv`, if the tables are not in the default format."""
    found = {key: value for table in tables for key, value in table.form.items()}
    return [Fact("csv", found, "as the files are written")] if found else []


def _goal(goal: Goal, known: tuple[str, str] | None, target: "pd.Series[str]") -> list[Fact]:
    """Return task, metric and submission; the metric is Kaggle's, else the usual one."""
    metric, why = known or usual(goal.task, goal.submission, skewed(goal, target))
    if goal.task not in METRICS[metric].tasks:
        other, _ = usual(goal.task, goal.submission, skewed(goal, target))
        metric, why = other, f"{why}, which is not for {goal.task}: usual in its place"
    classes = [Fact("classes", goal.classes, "the sample's columns")] if goal.classes else []
    return [
        *classes,
        Fact("task", goal.task, goal.reason),
        Fact("metric", metric, why),
        Fact("submission", goal.submission, goal.form),
    ]


def skewed(goal: Goal, target: "pd.Series[str]") -> bool:
    """Whether a target is an amount: positive, and its logarithm far less skewed than itself."""
    from scipy.stats import skew

    if goal.task != "regression":
        return False
    values = pd.to_numeric(target, errors="coerce").to_numpy(np.float64)
    if not (values > 0).all():
        return False
    plain, logarithm = float(skew(values)), float(skew(np.log1p(values)))
    return bool(plain > MORE and abs(logarithm) < plain / 2)


# --- The text ------------------------------------------------------------------------------------


def write(title: str, found: Sequence[Fact]) -> str:
    """Return settings as YAML, a line each, with the reasons behind them as comments."""
    order = {fact.key: place for place, fact in enumerate(found)} | {"defaults": -1}
    lines = [f"# {_one_line(title)}"]
    for fact in sorted(found, key=lambda fact: order[fact.key]):
        text = f"{fact.key}: {_flow(fact.value)}"
        comment = f" # {_one_line(fact.reason)}" if fact.reason else ""
        if len(text) + len(comment) > WIDTH and len(found) < LINES - 4 and comment:
            lines += [comment.strip()]
            comment = ""
        lines.append(text + comment)
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    text = yaml.safe_dump(
        value, default_flow_style=True, width=10_000, allow_unicode=True, sort_keys=False
    )
    return text.removesuffix("\n").removesuffix("\n...")


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
