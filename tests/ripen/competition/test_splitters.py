"""Splitters: invariants over the whole registry, and what each of them promises."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ripen.competition.splitters import SPLITTERS, Split, splitter
from ripen.competition.splitters.folds import classes_of
from ripen.core.errors import ConfigError, DataError

# Each splitter with settings that fit `rows`. A new one fails here until it has its own.
SETTINGS: dict[str, dict[str, Any]] = {
    "holdout": {"size": 0.25},
    "none": {},
    "kfold": {"folds": 4},
    "stratified": {"folds": 4},
    "group": {"folds": 4},
    "stratified_group": {"folds": 4},
    "time": {"folds": 4, "column": "year"},
    "column": {"column": "deal"},
}
NAMES = sorted(SPLITTERS)
AT_RANDOM = ["holdout", "kfold", "stratified", "group", "stratified_group"]
STRATIFIED = ["holdout", "stratified", "stratified_group"]
GROUPED = ["group", "stratified_group"]


def rows(n: int, seed: int = 0) -> pd.DataFrame:
    """Return rows in pairs that are groups, with a year and with folds that somebody has dealt."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "group": [str(k // 2) for k in range(n)],
            "year": rng.permutation(n),
            "deal": (np.arange(n) % 5 - 1).astype(str),
        }
    )


def labels(n: int, seed: int = 0) -> NDArray[np.int64]:
    """Return labels of three classes, of half, a third and a sixth of the rows; pairs are alike."""
    pairs = np.random.default_rng(seed).permutation(np.repeat([0, 1, 2], [n // 4, n // 6, n // 12]))
    return np.repeat(pairs, 2)


def split(name: str, n: int = 120, seed: int = 0, **values: Any) -> Split:
    found = splitter({"split": name} | (values or SETTINGS[name]))
    return found.split(rows(n), labels(n), seed)


def test_every_splitter_is_tested() -> None:
    assert set(SETTINGS) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10)
@given(n=st.sampled_from([48, 60, 120]), seed=st.integers(0, 100))
def test_every_row_has_its_place_and_at_most_one_fold(name: str, n: int, seed: int) -> None:
    found = split(name, n, seed)
    assert sorted(found.order) == list(range(n))
    # One number a row, so that folds are disjoint; they are numbered without a gap.
    assert found.fold.shape == (n,)
    held_out = np.unique(found.fold[found.fold >= 0])
    assert held_out.tolist() == list(range(len(held_out)))
    assert found.fold.min() >= -1


@pytest.mark.parametrize("name", NAMES)
def test_a_fold_never_trains_the_model_that_predicts_it(name: str) -> None:
    found, used = split(name), splitter({"split": name} | SETTINGS[name])
    for k in np.unique(found.fold[found.fold >= 0]):
        trains = used.trains(found.fold, int(k))
        assert not (trains & (found.fold == k)).any()
        assert trains.any()
        if name != "time":  # all the others train
            assert (trains == (found.fold != k)).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_gives_one_deal(name: str) -> None:
    first, again, other = (split(name, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.fold, again.fold)
    np.testing.assert_array_equal(first.order, again.order)
    assert (first.fold != other.fold).any() == (name in AT_RANDOM)


@pytest.mark.parametrize("name", ["kfold", "stratified", "group", "stratified_group"])
def test_of_k_folds_every_row_is_held_out_once(name: str) -> None:
    counts = np.bincount(split(name).fold)
    assert counts.sum() == 120
    assert len(counts) == 4
    # A group is a pair of rows; where classes are spread too, each may be a pair off.
    allowed = {"group": 2, "stratified_group": 2 * 3}.get(name, 1)
    assert counts.max() - counts.min() <= allowed


@pytest.mark.parametrize("name", STRATIFIED)
@given(seed=st.integers(0, 100))
@settings(max_examples=10)
def test_classes_are_spread(name: str, seed: int) -> None:
    found = split(name, seed=seed)
    own = labels(120)
    share = 1 / 4
    for k in np.unique(found.fold[found.fold >= 0]):
        for label, total in enumerate(np.bincount(own)):
            held = int(((found.fold == k) & (own == label)).sum())
            # A pair of rows is one thing to deal.
            assert abs(held - total * share) <= (2 if name in GROUPED else 1)


@pytest.mark.parametrize("name", GROUPED)
@given(seed=st.integers(0, 100))
@settings(max_examples=10)
def test_groups_stay_whole(name: str, seed: int) -> None:
    found = split(name, seed=seed)
    folds = pd.Series(found.fold).groupby(rows(120)["group"]).nunique()
    assert (folds == 1).all()


# --- What each promises --------------------------------------------------------------------------


def test_a_hold_out_is_one_fold_of_its_share_and_comes_last() -> None:
    found = split("holdout")
    assert (found.fold == 0).sum() == 30
    assert found.fold[found.order].tolist() == [-1] * 90 + [0] * 30
    assert not splitter({"split": "holdout", "size": 0.25}).refit


def test_a_hold_out_of_values_is_not_stratified() -> None:
    values = np.random.default_rng(0).normal(size=40)
    found = splitter({"split": "holdout", "size": 0.25}).split(rows(40), values, 0)
    assert (found.fold == 0).sum() == 10


def test_nothing_is_held_out() -> None:
    assert (split("none").fold == -1).all()


def test_values_are_stratified_by_tenths() -> None:
    values = np.random.default_rng(0).permutation(np.linspace(0.0, 1.0, 200))
    tenths = classes_of(values)
    assert np.bincount(tenths).tolist() == [20] * 10
    assert (np.diff(tenths[np.argsort(values)]) >= 0).all()
    found = splitter({"split": "stratified", "folds": 4}).split(rows(200), values, 0)
    for k in range(4):
        assert np.bincount(tenths[found.fold == k]).tolist() == [5] * 10


def test_each_fold_of_time_is_later_than_all_that_trains() -> None:
    found, used = split("time"), splitter({"split": "time"} | SETTINGS["time"])
    year = rows(120)["year"].to_numpy()
    assert np.bincount(found.fold + 1).tolist() == [24] * 5
    for k in range(4):
        assert year[used.trains(found.fold, k, found.group)].max() < year[found.fold == k].min()
    assert (np.diff(year[found.order]) > 0).all()


@pytest.mark.parametrize("name", ["kfold", "stratified", "group", "stratified_group"])
def test_repeats_are_splits_by_the_seeds_that_follow(name: str) -> None:
    settings = {"split": name, "repeats": 3} | SETTINGS[name]
    found = splitter(settings).splits(rows(120), labels(120), seed=5)
    alone = [split(name, seed=seed).fold for seed in (5, 6, 7)]
    np.testing.assert_array_equal([each.fold for each in found], alone)


@pytest.mark.parametrize("name", GROUPED)
def test_a_group_is_a_part_of_an_id(name: str) -> None:
    table = pd.DataFrame({"PassengerId": [f"{k // 3:04}_{k % 3 + 1:02}" for k in range(120)]})
    values = {"split": name, "folds": 4, "group": "PassengerId"}
    for pattern in (r"^(\d+)_", r"^\d+"):  # the first bracket, or all of it
        found = splitter(values | {"pattern": pattern}).split(table, labels(120), 0)
        assert found.group is not None
        assert found.group.tolist() == [f"{k // 3:04}" for k in range(120)]
        assert (pd.Series(found.fold).groupby(found.group).nunique() == 1).all()
    with pytest.raises(DataError, match=r"validation\.pattern: \^_ is not found in '0000_01', col"):
        splitter(values | {"pattern": "^_"}).split(table, labels(120), 0)


@pytest.mark.parametrize("name", GROUPED)
def test_a_row_without_a_group_is_one_of_its_own(name: str) -> None:
    table = pd.DataFrame({"group": ["a"] * 30 + [""] * 90})
    found = splitter({"split": name, "folds": 4}).split(table, labels(120), 0)
    assert len(set(found.fold[:30])) == 1
    assert len(set(found.fold[30:])) == 4


def test_times_stay_together_and_a_gap_separates_them() -> None:
    days = pd.to_datetime("2016-01-01") + pd.to_timedelta(np.arange(60) // 3 * 7, unit="D")
    table = pd.DataFrame({"day": days})
    used = splitter({"split": "time", "folds": 4, "column": "day", "gap": 2})
    found = used.split(table, labels(60), 0)
    weeks = np.arange(60) // 3  # 20 of them
    expected = [(k * 4 + 4, k * 4 + 8) for k in range(4)]  # as TimeSeriesSplit has them
    for k, (start, end) in enumerate(expected):
        assert set(weeks[found.fold == k]) == set(range(start, end))
        assert set(weeks[used.trains(found.fold, k, found.group)]) == set(range(start - 2))


def test_several_labels_and_several_values_are_stratified() -> None:
    rng = np.random.default_rng(0)
    both = rng.integers(0, 2, (200, 2))
    both[0] = [1, 1]
    found = splitter({"split": "stratified", "folds": 4}).split(rows(200), both, 0)
    for k in range(4):
        share = both[found.fold == k].mean(axis=0)
        np.testing.assert_allclose(share, both.mean(axis=0), atol=0.03)
    values = rng.normal(size=(200, 2)) * [1, 1000]  # each counts alike
    found = splitter({"split": "stratified", "folds": 4}).split(rows(200), values, 0)
    tenths = classes_of(values, 4)
    for k in range(4):
        assert np.bincount(tenths[found.fold == k]).tolist() == [5] * 10
    # A combination with fewer rows than folds is no class of its own.
    rare = np.array([[0, 0]] * 20 + [[0, 1]] * 3 + [[1, 0]] * 2 + [[1, 1]])
    assert np.bincount(classes_of(rare, 5)).tolist() == [5, 21] or np.bincount(
        classes_of(rare, 5)
    ).tolist() == [21, 5]


def test_folds_are_those_of_a_column() -> None:
    found = split("column")
    assert found.fold.tolist() == [int(value) for value in rows(120)["deal"]]
    assert found.order.tolist() == list(range(120))


@pytest.mark.parametrize(
    ("name", "column", "message"),
    [
        ("column", "nothing", r"validation\.column: there is no column 'nothing'"),
        ("time", "nothing", r"validation\.column: there is no column 'nothing'"),
        ("time", "words", r"column 'words' has 1 different times, too few for 2 folds"),
        ("time", "blank", r"column 'blank': row 2 has no time to order it by"),
        ("column", "one", r"column 'one': fold 3 is its only value, so that no row trains"),
        ("column", "words", r"column 'words': folds must be whole numbers from -1"),
        ("column", "halves", r"column 'halves': folds must be whole numbers from -1"),
        ("column", "low", r"column 'low': folds must be whole numbers from -1"),
        ("column", "all", r"column 'all': no row is held out in any fold"),
    ],
)
def test_a_column_that_holds_no_folds(name: str, column: str, message: str) -> None:
    table = rows(4).assign(words="first", halves="0.5", low="-2", all="-1", one="3")
    table["blank"] = [1.0, np.nan, 2.0, 3.0]
    values = {"split": name, "column": column} | ({"folds": 2} if name == "time" else {})
    with pytest.raises(DataError, match=message):
        splitter(values).split(table, labels(12)[:4], 0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("kfold", r"3 labelled rows cannot be dealt to 4 folds"),
        ("stratified", r"class '1' has 1 labelled rows\. Needed: 4, one a fold"),
        ("stratified_group", r"class '1' has 1 labelled rows\. Needed: 4, one a fold"),
        ("group", r"2 groups cannot be dealt to 4 folds"),
        ("holdout", r"3 labelled rows cannot be split: .*"),
    ],
)
def test_too_few_rows(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        splitter({"split": name} | SETTINGS[name]).split(rows(3), np.array([0, 0, 1]), 0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"split": "kfolds", "folds": 3}, r"unknown splitter 'kfolds'; did you mean 'kfold'\?"),
        (
            {"split": "kfold", "folds": 3, "fold": 3},
            r"validation: unknown key 'fold'; did you mean 'folds'\?",
        ),
        ({"split": "kfold", "folds": 1}, r"validation.*folds"),
        ({"split": "holdout", "size": 1.0}, r"validation.*size"),
        ({"split": "time", "folds": 2}, r"validation.*column"),
        ({"split": "group", "folds": 2, "pattern": "("}, r"pattern '\(' is no regular expression"),
    ],
)
def test_wrong_settings(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        splitter(values)


def test_several_columns_name_a_group() -> None:
    both = pd.DataFrame({"name": ["Ann", "Ann", "Bob", ""] * 3, "year": ["1", "2", "1", ""] * 3})
    found = splitter({"split": "group", "folds": 3, "group": ["name", "year"]})
    group = found.split(both, np.zeros(12), 0).group
    assert group is not None
    assert group.tolist()[:4] == ["Ann 1", "Ann 2", "Bob 1", "row 3"]
    assert len(set(group)) == 6
    spaced = both.assign(name=both["name"] + " ")
    alone = splitter({"split": "group", "folds": 2, "group": "name"}).split(spaced, np.zeros(12), 0)
    assert alone.group is not None
    assert set(alone.group) == {"Ann ", "Bob ", " "}  # a column's own values stay as they are
