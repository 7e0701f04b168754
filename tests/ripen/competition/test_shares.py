"""Rows dealt to parts: groups stay whole, classes have their shares."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ripen.competition.shares import deal

SHARES = st.sampled_from([[0.5, 0.5], [0.8, 0.2], [0.2] * 5, [0.6, 0.3, 0.1]])


@given(
    labels=arrays(np.int64, 60, elements=st.integers(0, 3)),
    groups=arrays(np.int64, 60, elements=st.integers(0, 40)),
    shares=SHARES,
    seed=st.integers(0, 5),
)
def test_groups_stay_whole_and_every_row_has_a_part(
    labels: NDArray[np.int64], groups: NDArray[np.int64], shares: list[float], seed: int
) -> None:
    labels = np.unique(labels, return_inverse=True)[1]
    parts = deal(labels, groups, shares, seed)
    assert set(parts) <= set(range(len(shares)))
    for group in np.unique(groups):
        assert len(set(parts[groups == group])) == 1


@given(labels=arrays(np.int64, 60, elements=st.integers(0, 3)), shares=SHARES)
def test_single_rows_give_each_class_its_share_to_less_than_a_row(
    labels: NDArray[np.int64], shares: list[float]
) -> None:
    labels = np.unique(labels, return_inverse=True)[1]
    parts = deal(labels, np.arange(60), shares, 0)
    for label, total in enumerate(np.bincount(labels)):
        counts = np.bincount(parts[labels == label], minlength=len(shares))
        assert (np.abs(counts - total * np.array(shares)) < 1).all()


def test_shares_worked_out_by_hand() -> None:
    labels = np.repeat([0, 1], [10, 5])
    parts = deal(labels, np.arange(15), [0.8, 0.2], 0)
    assert np.bincount(parts[:10]).tolist() == [8, 2]
    assert np.bincount(parts[10:]).tolist() == [4, 1]


def test_single_rows_make_up_for_a_large_group() -> None:
    labels = np.zeros(10, np.int64)
    groups = np.array([0] * 4 + list(range(1, 7)))
    parts = deal(labels, groups, [0.5, 0.5], 3)
    assert len(set(parts[:4])) == 1
    assert np.bincount(parts).tolist() == [5, 5]


def test_a_seed_gives_one_deal() -> None:
    labels, groups = np.arange(40) % 2, np.arange(40)
    first, again, other = (deal(labels, groups, [0.5, 0.5], seed) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()
