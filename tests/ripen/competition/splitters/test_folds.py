"""Splits keep groups together, classes at their shares, and depend on the seed alone."""

from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ripen.competition.shares import deal
from ripen.competition.splitters import splitter
from ripen.core.errors import DataError

growth: Any = import_module("tests.caffe.growth")  # of the other distribution
ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), min_size=1, max_size=80)


def folds(
    labels: NDArray[np.int64], groups: NDArray[np.int64], k: int, seed: int
) -> NDArray[np.int64]:
    """Return the fold of each row, as `stratified_group` deals them."""
    named = pd.DataFrame({"group": groups.astype(str), "target": [f"class {y}" for y in labels]})
    return splitter({"split": "stratified_group", "folds": k}).split(named, labels, seed).fold


def held_out(
    labels: NDArray[np.int64], groups: NDArray[np.int64], share: float, seed: int
) -> NDArray[np.bool_]:
    return deal(labels, groups, [1 - share, share], seed) == 1


def _arrays(rows: list[tuple[int, int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    labels, groups = np.array(rows, np.int64).T
    return labels, groups


@given(ROWS, st.sampled_from([[0.8, 0.2], [0.2] * 5, [0.5, 0.3, 0.2]]), st.integers(0, 99))
def test_groups_stay_together(rows: list[tuple[int, int]], shares: list[float], seed: int) -> None:
    labels, groups = _arrays(rows)
    parts = deal(labels, groups, shares, seed)
    assert parts.min() >= 0
    assert parts.max() < len(shares)
    assert len(set(zip(groups.tolist(), parts.tolist(), strict=True))) == len(set(groups.tolist()))


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=200),
    st.sampled_from([[0.8, 0.2], [0.2] * 5, [0.5, 0.3, 0.2]]),
    st.integers(0, 99),
)
def test_single_rows_are_dealt_exactly(labels: list[int], shares: list[float], seed: int) -> None:
    rows = np.array(labels, np.int64)
    parts = deal(rows, np.arange(len(rows)), shares, seed)
    for label in range(4):
        counts = np.bincount(parts[rows == label], minlength=len(shares))
        assert np.abs(counts - np.array(shares) * (rows == label).sum()).max() < 1
    # The remainders of the classes balance over all of them, too.
    assert (
        np.abs(np.bincount(parts, minlength=len(shares)) - np.array(shares) * len(rows)).max() < 2
    )


def test_groups_count_towards_their_class() -> None:
    # 100 cats of which 20 are pairs, 100 dogs of which 30 are one group.
    labels = np.repeat([0, 1], 100)
    groups = np.concatenate([np.repeat(np.arange(10), 2), np.arange(10, 90), [200] * 30])
    groups = np.concatenate([groups, np.arange(300, 370)])
    parts = folds(labels, groups, 5, seed=1)
    assert [np.bincount(parts[labels == 0]).tolist()] == [[20] * 5]
    dogs = sorted(np.bincount(parts[labels == 1]).tolist())
    assert dogs == [17, 17, 18, 18, 30]


def test_a_group_of_two_classes() -> None:
    labels = np.array([0, 1] * 20)
    groups = np.concatenate([[0, 0, 0, 0], np.arange(1, 37)])
    parts = held_out(labels, groups, 0.25, seed=3)
    assert len(set(parts[:4].tolist())) == 1
    assert [int(parts[labels == label].sum()) for label in (0, 1)] == [5, 5]


def test_the_split_depends_on_the_seed() -> None:
    labels, groups = np.repeat([0, 1], 500), np.arange(1000) // 2
    first = held_out(labels, groups, 0.2, seed=7)
    np.testing.assert_array_equal(first, held_out(labels, groups, 0.2, seed=7))
    other = held_out(labels, groups, 0.2, seed=8)
    # Another fifth: of 200 rows, 40 are expected in both at random.
    assert 10 < (first & other).sum() < 80
    assert first.sum() == other.sum() == 200


def test_a_class_with_fewer_rows_than_folds() -> None:
    with pytest.raises(
        DataError, match=r"class 'class 1' has 2 labelled rows\. Needed: 5, one a fold"
    ):
        folds(np.array([0] * 10 + [1] * 2), np.arange(12), 5, seed=0)


def test_the_time_of_25000_rows_grows_with_their_number_only() -> None:
    def counts(rows: int) -> set[tuple[int, ...]]:
        rng = np.random.default_rng(0)
        labels = np.repeat([0, 1], rows // 2)
        groups = np.where(rng.random(rows) < 0.03, rng.integers(0, 300, rows), np.arange(rows))
        parts = folds(labels, groups, 5, seed=0)
        return {tuple(np.bincount(parts[labels == c]).tolist()) for c in (0, 1)}

    assert counts(25000) == {(2500,) * 5}
    assert growth.growth(counts, 1500, 24000) < growth.MOST
