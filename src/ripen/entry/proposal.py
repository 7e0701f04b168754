"""The settings of a competition as one file, from its files and Kaggle's pages."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import yaml

from ripen.competition import ids
from ripen.competition.ids import with_id
from ripen.competition.metrics import METRICS
from ripen.core.errors import DataError
from ripen.data.joining import joined_by
from ripen.data.raw_rows import in_order, labelled, with_numbers
from ripen.entry import column_facts, facts, image_facts, joins, sample_ids, split
from ripen.entry.facts import Ask, Fact, Goal
from ripen.entry.files import Files, Parts, Table, parts_of
from ripen.entry.kaggle_page import KagglePage
from ripen.entry.metric_words import metric_of, needs, usual
from ripen.settings.schema import Files as Names

DROP = "add --drop-unlabelled"
FORM = "as the files are written"
LINES = 20
WIDTH = 100
MORE = 1.0  # least skewness of amounts
MOST = 0.5  # share of the rows that are more than 0, and
WIDE = 100  # ratio of large to small amounts, if some rows are 0
_NAMED = re.compile(
    r"\b(evaluat(ion|ed)|metrics?|scor(ed|ing)|judged|ranked|measured)\b.{0,1500}",
    re.IGNORECASE | re.DOTALL,
)
_WEIGHT = re.compile(r"(^|_)(weights?|wt|wgt)$|[a-z]W(eight|t)$", re.IGNORECASE)
Known = tuple[str, str]  # a metric of the registry, and where it is named


def propose(
    name: str,
    source: dict[str, Any],
    files: Files,
    page: KagglePage | None,
    ask: Ask,
    metric: str | None = None,
    drop_unlabelled: bool = False,
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
    metric : str, optional
        Of the registry, if the user names it.
    drop_unlabelled : bool
        Leave out training rows without a target.

    Raises
    ------
    DataError
        If the files do not show what is predicted, or ripen cannot predict it.
    """
    parts = parts_of(files)
    sample, test = parts.sample, parts.test
    if sample.text.shape[1] < 2 or sample.text.empty:
        raise DataError(f"{sample.name}: needs a column of ids, one beside it, and rows")
    images = files.images and (test is None or image_facts.asks_for_images(files, sample))
    known = (metric, "as you said") if metric else registered(page, files)
    kind = _of_images if images else _of_table
    found = kind(files, parts, known, ask, drop_unlabelled)
    title = page.title if page and page.title else name
    settings = [Fact("source", source), Fact("about", _about(page)), *found]
    return write(f"{title}, as `ripen new` found it", [fact for fact in settings if fact.value])


def _about(page: KagglePage | None) -> dict[str, str]:
    if page is None:
        return {}
    given = {
        "title": page.title,
        "source": f"https://www.kaggle.com/c/{page.slug}/data",
        "licence": page.licence,
    }
    return {key: value for key, value in given.items() if value}


def registered(page: KagglePage | None, files: Files) -> Known | None:
    """Return the metric that Kaggle, or a text among the files, names, and where it stands."""
    if page is not None:
        return page.registered
    for name, text in files.texts.items():
        # Before these words others may be names of columns.
        for told in _NAMED.finditer(text):
            if metric := metric_of(told[0]):
                return metric, f"{name} names it"
    return None


def _allowed(known: Known | None) -> tuple[str, ...]:
    return METRICS[known[0]].tasks if known else ()


def _identified(
    parts: Parts, train: Table, test: Table, others: Iterable[Table]
) -> tuple[Table, Table, Table, sample_ids.Id]:
    """Return the two tables and the sample with their ids, the first with its targets too."""
    texts, sample, labels = {"train": train.text, "test": test.text}, parts.sample, parts.labels
    if pattern := sample_ids.pattern_of(sample, test):
        id = sample_ids.Id(pattern, pattern, f"the columns that make up the ids of {sample.name}")
        texts = {part: with_id(text, pattern) for part, text in texts.items()}
        sample = replace(sample, text=_with_ids(sample.text, pattern))
    else:
        sample_ids.looked_up(sample, test, others)
        id = sample_ids.id_of(sample, test)
    texts = with_numbers(texts, id.name, sample.text[id.in_sample])
    if labels is not None and id.name in labels.text and id.name in train.text:
        texts["train"] = joined_by(id.name, train.text, labels.text)
    elif labels is not None:
        texts["train"] = in_order(texts["train"], labels.text, [*map(str, labels.text)])
    return replace(train, text=texts["train"]), replace(test, text=texts["test"]), sample, id


def _of_table(
    files: Files, parts: Parts, known: Known | None, ask: Ask, drop_unlabelled: bool
) -> list[Fact]:
    train, test = _tables(files, parts)
    others = {name: each for name, each in files.tables.items() if each is not parts.sample}
    train, test, sample, id = _identified(parts, train, test, others.values())
    sample_ids.unique(train, id.name)
    targets, reason, dropped = facts.target_of(train, test, sample, id, ask)
    learnable, unlabelled = labelled(
        train.text, targets, train.name, drop=drop_unlabelled, option=DROP
    )
    train = replace(train, text=learnable.reset_index(drop=True))
    given = {each.name: each for each in (train, test, parts.labels) if each}
    form = {key: value for each in given.values() for key, value in each.form.items()}
    decimal = form.get("decimal", ".")
    wanted = train.text[targets].apply(facts.as_numbers, decimal=decimal)
    goal = facts.goal_of(wanted, sample, id, needs(known and known[0]), ask, _allowed(known))
    how = split.of_table(train.text, test.text, id.name, targets, classes=goal.classifies)
    weight = next((name for name in dropped if _weighs(train.text[name])), "")
    dropped = [name for name in dropped if name != weight]
    extra = [str(c) for c in test.text if c not in train.text]
    drops = f"{test.name} lacks {'it' if len(dropped) == 1 else 'them'}"
    if extra:
        drops = f"not in both {train.name} and {test.name}"
    used = {id.name, *targets, *dropped, *extra, weight}
    types = column_facts.odd(train.text.drop(columns=used, errors="ignore"), test.text, decimal)
    beside = [each for name, each in others.items() if name not in {*given, *parts.further}]
    joined = joins.of_tables(train, test, beside, targets, id.name)
    names: dict[str, Any] = {"train": train.name, "test": test.name, "sample": sample.name}
    names |= {"labels": parts.labels and parts.labels.name, "drop_unlabelled": bool(unlabelled)}
    names["further"] = [*parts.further]
    target = goal.tags or (targets if len(targets) > 1 else targets[0])
    return [
        Fact("defaults", ["/kind/table"]),
        _names(names | joined.settings, joined.reason),
        Fact("csv", form, FORM),  # the sample may have its own
        Fact("id", id.name, id.reason),
        Fact("target", target, "; ".join(filter(None, (reason, unlabelled)))),
        _columns(types, targets[0] if goal.tags else "", ([*dropped, *extra], drops), weight),
        *_goal(goal, known, wanted, _asked(sample, id)),
        Fact("validation", how.settings, how.reason),
    ]


def _tables(files: Files, parts: Parts) -> tuple[Table, Table]:
    """Return the training and the test table."""
    train, test = parts.train, parts.test
    if train is None and test is not None and "train" in test.name.lower():
        raise DataError(
            f"{files.where}: {test.name} has the ids of {parts.sample.name}, and there is no test "
            "table. ripen predicts rows: put the columns of a series, such as its days, into rows"
        )
    if train is None or test is None:
        raise DataError(
            f"{files.where}: no {'test' if train else 'train'}.csv found. {files.shown}"
        )
    return train, test


def _weighs(values: "pd.Series[str]") -> bool:
    """Whether a column that the training table alone has holds the weights of its rows."""
    named = _WEIGHT.search(str(values.name)) is not None
    return named and facts.numeric(values) and bool((pd.to_numeric(values) >= 0).all())


def _with_ids(sample: pd.DataFrame, pattern: str) -> pd.DataFrame:
    """Return a sample with one column of ids, named by the pattern of the columns in them."""
    found = with_id(sample, pattern)
    if pattern not in found:
        return sample.rename(columns={str(sample.columns[0]): pattern})
    return found[[pattern, *ids.others(found, pattern, pattern)]]


def _of_images(
    files: Files, parts: Parts, known: Known | None, ask: Ask, drop_unlabelled: bool
) -> list[Fact]:
    sample, test = parts.sample, parts.test
    named = image_facts.check_ids(files, sample)
    labels = image_facts.labels_of(files, sample)
    targets, unlabelled = labelled(
        labels.targets, [*labels.targets], labels.table, drop=drop_unlabelled, option=DROP
    )
    first = str(sample.text.columns[0])
    id = sample_ids.Id(first, first, named)
    goal = facts.goal_of(targets, sample, id, needs(known and known[0]), ask, _allowed(known))
    image_facts.check_read(labels.read, files, labels, sample)
    groups = split.of_images(files, labels.known, test)
    listed = files.tables.get(labels.table)
    columns = image_facts.beside(listed, test, labels, id.name) if listed and test else []
    models, types = Fact("models", {}), column_facts.Types({})
    if listed and test and columns:
        shown = f"{test.name} has columns beside the images: {', '.join(columns[:5])}"
        models = Fact("models", image_facts.models_of(goal.task), shown)
        types = column_facts.odd(listed.text[columns], test.text)
    names: dict[str, Any] = {"sample": sample.name, "train": labels.table}
    names |= {"groups": groups and groups[0].name}
    names |= {"drop_unlabelled": bool(unlabelled), "test": test.name if test and columns else None}
    several = [*map(str, targets)] if targets.shape[1] > 1 else None
    return [
        Fact("defaults", ["/kind/images"]),
        _names(names),
        Fact("csv", listed.form if listed else {}, FORM),
        Fact("id", id.name, id.reason),
        Fact("target", goal.tags or labels.label or several, unlabelled),
        *_goal(goal, known, targets, _asked(sample, id)),
        _images(files, labels),
        models,
        _columns(types, labels.label if goal.tags else ""),
        _validation(labels, groups, sample.text[first], split.rarest(targets) * goal.classifies),
    ]


def _images(files: Files, labels: image_facts.Labels) -> Fact:
    """Return the section `images`: the source of the labels, and the side of small images."""
    if files.smallest >= image_facts.MIN_SIDE:
        return Fact("images", {"labels": labels.settings()}, labels.reason)
    settings = {"labels": labels.settings(), "min_side": files.smallest}
    return Fact("images", settings, f"{labels.reason}; images of {files.smallest} pixels")


def _validation(
    labels: image_facts.Labels,
    groups: tuple[Table, str] | None,
    ids: "pd.Series[str]",
    rare: str,
) -> Fact:
    """Return how images are validated where it is not their kind's way.

    `groups` has a table and its column of subjects; `rare` is why classes cannot be stratified.
    """
    how = split.in_names(labels.known, ids)
    if groups:
        table, column = groups
        how = split.Split({"group": column}, f"{table.name}: each {column} has several images")
    elif labels.objects:
        how = split.Split({"group": "id"}, f"{labels.table} has a row for several images")
    if how is None and not rare:
        return Fact("validation", {})
    settings, reason = (how.settings, how.reason) if how else ({}, "")
    kind = {"split": "group" if rare else "stratified_group"}
    reasons = "; ".join(filter(None, (reason, rare)))
    return Fact("validation", kind | settings | {"folds": split.FOLDS}, reasons)


def _columns(
    types: column_facts.Types,
    tags: str,
    drop: tuple[Sequence[str], str] = ((), ""),
    weight: str = "",
) -> Fact:
    """Return the section `columns`; `drop` has a reason, and `tags` holds several labels."""
    given = {
        "drop": drop,
        "types": (types.settings, types.reason),
        "tags": (tags, f"{tags} holds several labels a row"),
        "weight": (weight, f"the test table lacks {weight}, the weight of a row"),
    }
    found = {key: each for key, each in given.items() if each[0]}
    settings = {key: value for key, (value, _) in found.items()}
    return Fact("columns", settings, "; ".join(reason for _, reason in found.values()))


def _names(given: Mapping[str, Any], reason: str = "") -> Fact:
    """Return the section `files`, without default names unless there is something to say."""
    usual = Names()
    named = {key: name for key, name in given.items() if name}
    changed = {key: name for key, name in named.items() if name != getattr(usual, key, None)}
    if reason and not changed:
        changed = {"train": given["train"]}
    return Fact("files", changed, reason)


def _asked(sample: Table, id: sample_ids.Id) -> int:
    """Return how many values of each row the sample asks for."""
    return len(id.melted) or sample.text.shape[1] - 1


def _goal(goal: Goal, known: Known | None, targets: pd.DataFrame, columns: int) -> list[Fact]:
    """Return task, metric and submission; the metric is Kaggle's, else the usual one."""
    amounts = goal.task == "regression" and all(skewed(targets[name]) for name in targets)
    graded = facts.grades(targets.iloc[:, 0])
    metric, why = known or usual(goal.task, goal.submission, columns, amounts, graded)
    # The registry ranks the classes of a row. With two classes the rows of a query are ranked.
    of_rows = METRICS[metric].needs == "ranking" and goal.task == "binary"
    if of_rows or goal.task not in METRICS[metric].tasks:
        other, _ = usual(goal.task, goal.submission, columns, amounts, graded)
        metric, why = other, f"{why}, which is not for {goal.task}: usual in its place"
    return [
        Fact("classes", goal.classes, "the sample's columns"),
        Fact("task", goal.task, goal.reason),
        Fact("metric", metric, why),
        Fact("submission", goal.submission, goal.form),
    ]


def skewed(target: "pd.Series[str]") -> bool:
    """Whether a target is an amount: positive, and its logarithm far less skewed than itself.

    Days without sales do not count, if sales differ widely.
    """
    from scipy.stats import skew

    values = pd.to_numeric(target, errors="coerce").to_numpy(np.float64)
    some = values[values > 0]
    if not (values >= 0).all() or len(some) < MOST * len(values):
        return False
    if len(some) < len(values) and np.quantile(some, 0.99) < WIDE * np.quantile(some, 0.01):
        return False
    plain, logarithm = float(skew(some)), float(skew(np.log1p(some)))
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
