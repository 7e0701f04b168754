"""The data report: leaks, train against test, gaps, the target, and the folds.

`examine` is a pure function of the index and the typed columns. It learns small trees with a given
seed, on at most `MOST` rows, and rounds what it finds.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from ripen.competition.index import IMAGES, Index
from ripen.data import parts
from ripen.judge.leaderboard import significant

MOST = 5000  # rows of a part
FOLDS = 3
LEAK = 0.98  # AUC, or R², of one column alone
ORDER = 0.1  # the least lead of an id's AUC over one half, or of its R² over zero
DRIFT = (0.6, 0.8)  # AUC of the parts: from which they differ, and differ much
COLUMN = 0.6  # AUC of the parts by one column, from which it is named
SHOWN = 5  # columns in a line
GAPS = 0.1  # difference of the shares of missing values that is named
RARE = 0.01  # share of a class
MEASURED = {
    "width": "the images' width",
    "height": "the images' height",
    "bytes": "the size of the images' files",
    "brightness": "the images' brightness",
}
"""Columns of the index that describe images; no file has them."""
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes
    ----------
    topic : str
    text : str
    grave : bool
        Whether it may make a validation score wrong.
    """

    topic: str
    text: str
    grave: bool = False


@dataclass(frozen=True)
class DataReport:
    """The findings, and one sentence on how to split."""

    findings: tuple[Finding, ...]
    advice: str


@dataclass(frozen=True)
class _Data:
    """The rows of both parts, drawn, and the targets of the training rows by name.

    `targets` are labels where `classifies`, else values. Of a single target the name is "".
    """

    index: Index
    train: pd.DataFrame
    test: pd.DataFrame
    drawn: Ints
    targets: dict[str, NDArray[np.generic]]
    classifies: bool
    seed: int
    file_order: bool

    @property
    def rows(self) -> pd.DataFrame:
        return self.index.rows

    @property
    def word(self) -> str:
        """The name of the score that `alone` returns."""
        return "AUC" if self.classifies else "R²"

    @property
    def together(self) -> bool:
        """Whether most training rows are in groups of several rows."""
        train = self.rows["group"][(self.rows["part"] == "train") & (self.rows["group"] != "")]
        return bool(train.duplicated(keep=False).sum() > len(self.index.part("train")) / 2)

    def alone(self, values: Floats) -> float:
        """Return how well one number predicts a target, the best of them: AUC, or R²."""
        targets = self.targets.values()
        return max(_alone(values, each, self.classifies, self.seed) for each in targets)


def examine(
    index: Index, columns: pd.DataFrame, seed: int, *, file_order: bool = True
) -> DataReport:
    """Examine a competition's data.

    Parameters
    ----------
    index : Index
    columns : DataFrame of n rows
        The features, typed. The sizes and brightness of images are in the index.
    seed : int
    file_order : bool
        Whether the rows stand as in the files, so that their order may predict the target.
    """
    rng = np.random.default_rng(seed)
    measured = [name for name in IMAGES if name in index.rows]
    columns = pd.concat([index.rows[measured].rename(columns=MEASURED), columns], axis=1)
    train, test = (_some(index.part(part), rng) for part in ("train", "test"))
    values = index.targets[train]
    single = values.ndim == 1
    targets: dict[str, NDArray[Any]] = (
        {"": values} if single else dict(zip(index.names, values.T, strict=True))
    )
    data = _Data(
        index,
        columns.iloc[train],
        columns.iloc[test],
        train,
        targets,
        index.task.probabilities,
        seed,
        file_order,
    )
    found = [finding for check in CHECKS for finding in check(data)]
    return DataReport(tuple(found), _advice(data, found))


# --- Leaks ---------------------------------------------------------------------------------------


def leaks(data: _Data) -> Iterator[Finding]:
    """Columns that predict the target almost alone."""
    scores = {str(name): data.alone(encoded(data.train[name])) for name in data.train}
    found = [name for name in sorted(scores, key=lambda n: -scores[n]) if scores[name] >= LEAK]
    for name in found[:SHOWN]:
        called = name if name in MEASURED.values() else f"column '{name}'"
        text = f"{called} predicts the target almost alone ({data.word} {scores[name]:.2f})"
        yield Finding("leak", text, grave=True)
    if more := found[SHOWN:]:
        text = f"so do {len(more)} more columns: {', '.join(more[:SHOWN])}"
        yield Finding("leak", f"{text}{', …' if len(more) > SHOWN else ''}", grave=True)


def order(data: _Data) -> Iterator[Finding]:
    """Ids, or the order of rows, that predict the target."""
    least = 0.5 + ORDER if data.classifies else ORDER
    numbers = pd.to_numeric(data.rows["id"].str.extract(r"(\d+)\D*$")[0], errors="coerce")
    tested = {"the number in the id": numbers.to_numpy(np.float64)}
    if data.file_order:
        tested["the order of the rows"] = np.arange(len(data.rows), dtype=np.float64)
    for what, values in tested.items():
        score = data.alone(values[data.drawn])
        if score >= least:
            yield Finding("leak", f"{what} tells the target ({data.word} {score:.2f})", grave=True)


def duplicates(data: _Data) -> Iterator[Finding]:
    """Rows that are in both parts, and equal training rows with different targets."""
    if not len(data.train.columns):
        return
    keys = [_keys(data, each) for each in (data.train, data.test)]
    both = int(keys[1].isin(set(keys[0])).sum())
    if both:
        share = both / len(data.test)
        text = f"{both:,} test rows ({_percent(share)}) have the same values as some training row"
        yield Finding("duplicates", text, grave=share >= GAPS)
    groups = data.rows["target"].iloc[data.drawn].groupby(keys[0].to_numpy())
    alike = int((groups.transform("size") > 1).sum())
    if alike:
        several = int((groups.transform("nunique") > 1).sum())
        other = f", {several:,} of them with different targets" if several else ""
        text = f"{alike:,} training rows have the same values as another{other}"
        yield Finding("duplicates", text, grave=alike >= GAPS * len(data.train))


def _keys(data: _Data, some: pd.DataFrame) -> "pd.Series[Any]":
    """Return a key that equal rows share: the hash of the file or of all values."""
    if "sha256" in data.rows:
        return data.rows["sha256"].loc[some.index]
    return pd.util.hash_pandas_object(some.astype(str), index=False)


# --- Train against test --------------------------------------------------------------------------


def drift(data: _Data) -> Iterator[Finding]:
    """Adversarial validation: how well a model tells the two parts apart, and by what."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    if not len(data.train.columns) or min(len(data.train), len(data.test)) < FOLDS:
        return
    both = pd.concat([data.train, data.test], ignore_index=True)
    part = np.repeat([0, 1], [len(data.train), len(data.test)])
    values = np.column_stack([encoded(both[name]) for name in both])
    model = HistGradientBoostingClassifier(
        max_iter=40, early_stopping=False, random_state=data.seed
    )
    score = _auc(model, values, part, data.seed)
    words = "alike"
    if score >= DRIFT[0]:
        words = "different" if score < DRIFT[1] else "very different"
    names = _giveaways(both, values, part, data.seed) if score >= DRIFT[0] else ""
    text = f"adversarial validation: AUC {score:.2f}, train and test are {words}{names}"
    yield Finding("train against test", text, grave=score >= DRIFT[1])


def _giveaways(both: pd.DataFrame, values: Floats, part: NDArray[np.int64], seed: int) -> str:
    alone = {
        str(name): _alone(values[:, place], part, True, seed) for place, name in enumerate(both)
    }
    named = sorted((name for name in alone if alone[name] >= COLUMN), key=lambda n: -alone[n])
    shown = ", ".join(f"{name} ({alone[name]:.2f})" for name in named[:SHOWN])
    return f". By themselves: {shown}" if shown else ""


def levels(data: _Data) -> Iterator[Finding]:
    """Categories of the test part that are missing in training."""
    found = {}
    for name in data.train:
        values = data.train[name]
        if types.is_numeric_dtype(values) or types.is_datetime64_any_dtype(values):
            continue
        train, test = (each[name].dropna().astype(str) for each in (data.train, data.test))
        if train.nunique() > len(train) / 2:  # texts: almost every value is new
            continue
        new = test[~test.isin(set(train))]
        if len(new):
            found[name] = (len(new) / len(data.test), f"{name} ({_some_of(new)}: ")
    if found:
        names = sorted(found, key=lambda name: -found[name][0])[:SHOWN]
        shown = ", ".join(
            f"{found[name][1]}{found[name][0]:.1%} of the test rows)" for name in names
        )
        columns = "1 column" if len(found) == 1 else f"{len(found)} columns"
        yield Finding("new categories", f"in {columns}: {shown}")


def _some_of(values: "pd.Series[str]") -> str:
    """Return the most frequent value, and how many others there are."""
    counts = values.value_counts()
    return f"{counts.index[0]}" + (f" and {len(counts) - 1} more" if len(counts) > 1 else "")


def gaps(data: _Data) -> Iterator[Finding]:
    """Missing values, and columns with more of them in one part."""
    train, test = data.train.isna().mean(), data.test.isna().mean()
    some = train[(train > 0) | (test > 0)].sort_values(ascending=False, kind="stable")
    if len(some):
        shown = ", ".join(f"{name} ({_percent(share)})" for name, share in some[:SHOWN].items())
        yield Finding("missing values", f"in {len(some)} of {len(train)} columns, most in {shown}")
    for name in train.index[(train - test).abs() >= GAPS] if len(data.test) else ():
        text = (
            f"column '{name}': {train[name]:.0%} of the training rows, {test[name]:.0%} of the test"
        )
        yield Finding("missing values", text)


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.005 else "below 1%"  # and not 0%, as if there were none


# --- Target and folds ----------------------------------------------------------------------------


def target(data: _Data) -> Iterator[Finding]:
    """The target's distribution."""
    from scipy.stats import skew

    if data.index.task.classifies:
        counts = np.bincount(data.targets[""].astype(np.int64), minlength=len(data.index.names))
        shares = counts / counts.sum()
        order = np.argsort(-shares, kind="stable")
        most, least = (f"{data.index.names[k]} ({shares[k]:.1%})" for k in (order[0], order[-1]))
        yield Finding("target", f"{len(shares)} classes, from {most} to {least}")
        if rare := [data.index.names[k] for k in order if shares[k] < RARE]:
            text = f"below {RARE:.0%}: {len(rare)} of the classes, such as {rare[-1]}"
            yield Finding("target", text)
        return
    for name, values in list(data.targets.items())[:SHOWN]:
        of = f"{name}: " if name else ""
        if data.classifies:
            yield Finding("target", f"{of}{values.astype(np.float64).mean():.1%} of the rows")
            continue
        numbers = values.astype(np.float64)
        low, middle, high = np.quantile(numbers, [0, 0.5, 1])
        yield Finding(
            "target",
            f"{of}from {significant(low)} to {significant(high)}, median {significant(middle)}",
        )
        if (skewness := float(skew(numbers))) > 1:
            advice = ": its logarithm may be easier to learn (models do with metric rmsle)"
            advice = advice if low > 0 else ""
            yield Finding("target", f"{of}skewed ({skewness:.1f}){advice}")


def folds(data: _Data) -> Iterator[Finding]:
    """Groups of several rows, and whether these are in one fold."""
    rows = data.rows
    grouped = rows[(rows["part"] == "train") & (rows["group"] != "") & (rows["fold"] >= 0)]
    spread = grouped.groupby("group")["fold"].nunique()
    if (several := int((spread > 1).sum())) > 0:
        text = f"{several:,} of {len(spread):,} groups have rows in several folds"
        yield Finding("groups", text, grave=True)
    elif data.together:
        yield Finding("groups", "each group is in one fold, and most rows share theirs with others")


def time(data: _Data) -> Iterator[Finding]:
    """Columns of time in which the test part is later."""
    for name in data.train:
        if parts.later(data.train[name], data.test[name]):
            text = f"the test rows' {name} is later than the training rows'"
            yield Finding("time", text, grave=True)


def entities(data: _Data) -> Iterator[Finding]:
    """Groups that never span both parts."""
    train, test = (data.rows["id"][data.rows["part"] == part] for part in ("train", "test"))
    if parts.group_in_id(train, test):
        yield Finding("groups", "the id begins with a group, and no group is in both parts", True)
    for name in data.train:
        if parts.apart(data.train[name], data.test[name]):
            text = f"each {name} has several rows, and none is in both parts"
            yield Finding("groups", text, grave=True)


Check = Callable[[_Data], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    leaks, order, duplicates, drift, time, entities, folds, levels, gaps, target,
)  # fmt: skip


def _advice(data: _Data, found: Sequence[Finding]) -> str:
    """Return one sentence on how to split."""
    first = {finding.topic: finding.text for finding in reversed(found) if finding.grave}
    if "time" in first:
        return f"Split in time: {first['time']}."
    if "groups" in first:
        return f"Keep groups together in the folds: {first['groups']}."
    if "train against test" in first:
        return (
            "Trust no random split before the columns that tell train from test are understood: "
            "drop them, or validate on the training rows most like the test rows."
        )
    if "duplicates" in first:
        return f"Keep equal rows together in the folds: {first['duplicates']}."
    if data.together:
        return "Leave the folds as they are: they keep groups together."
    how = ", stratified by class," if data.index.task.classifies else ""
    return f"A random split{how} fits: nothing shows that the parts were split by group or in time."


# --- Small models --------------------------------------------------------------------------------


def encoded(values: "pd.Series[Any]") -> Floats:
    """Return a typed column as numbers of shape (n,), NaN where missing.

    Categories are numbered in their order; of texts that hardly repeat the characters are counted.
    """
    if types.is_datetime64_any_dtype(values):
        numbers = values.astype("int64").astype(np.float64)
        return np.where(values.isna().to_numpy(), np.nan, numbers.to_numpy())
    if types.is_numeric_dtype(values) or types.is_bool_dtype(values):
        return np.asarray(values.astype("Float64").to_numpy(np.float64, na_value=np.nan))
    if isinstance(values.dtype, pd.CategoricalDtype):
        codes = values.cat.codes.to_numpy()
    elif values.nunique() > len(values) / 2:
        return np.asarray(values.str.len().to_numpy(np.float64, na_value=np.nan), np.float64)
    else:
        codes = pd.factorize(values, sort=True)[0]
    return np.where(codes < 0, np.nan, codes.astype(np.float64))


def _some(numbers: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw at most `MOST` rows, in their order."""
    return numbers if len(numbers) <= MOST else np.sort(rng.choice(numbers, MOST, replace=False))


def _alone(values: Floats, target: NDArray[np.generic], classifies: bool, seed: int) -> float:
    """Return a small tree's cross-validated AUC (mean over classes) or R² by one number."""
    from sklearn.metrics import r2_score
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    least = max(5, len(values) // 100)
    x = values.reshape(-1, 1)
    if np.isnan(x).all() or len(np.unique(values[~np.isnan(values)])) + np.isnan(x).any() < 2:
        return 0.5 if classifies else 0.0
    if classifies:
        many = len(np.unique(target))
        leaves = max(16, 2 * many)
        tree = DecisionTreeClassifier(
            max_leaf_nodes=leaves, min_samples_leaf=min(least, 10), random_state=seed
        )
        return _auc(tree, x, target, seed)
    tree = DecisionTreeRegressor(max_leaf_nodes=64, min_samples_leaf=least, random_state=seed)
    folds = KFold(FOLDS, shuffle=True, random_state=seed)
    return float(r2_score(target, cross_val_predict(tree, x, target, cv=folds)))


def _auc(model: object, x: Floats, target: NDArray[np.generic], seed: int) -> float:
    """Return the cross-validated AUC, the mean over classes with enough rows."""
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    classes, counts = np.unique(target, return_counts=True)
    frequent = np.isin(target, classes[counts >= FOLDS])
    x, target, classes = x[frequent], target[frequent], classes[counts >= FOLDS]
    if len(classes) < 2:
        return 0.5
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    found = cross_val_predict(model, x, target, cv=folds, method="predict_proba")
    each = [roc_auc_score(target == name, found[:, k]) for k, name in enumerate(classes)]
    return float(np.mean(each))
