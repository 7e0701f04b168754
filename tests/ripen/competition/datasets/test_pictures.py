from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from ripen.competition.datasets.digits import DATASET
from ripen.competition.datasets.pictures import (
    Raw,
    alternated,
    part,
    read_raw,
    read_solution,
    split,
    write_raw,
)

from ripen.core.errors import DataError

RAW = Raw(
    np.arange(10, 40),
    np.random.default_rng(0).integers(0, 17, (30, 8, 8)).astype(np.uint8),
    np.arange(30) // 6,
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    for raw in (RAW, replace(RAW, labels=None)):
        write_raw(tmp_path / "x.h5", raw)
        found = read_raw(tmp_path / "x.h5", DATASET, 5)
        np.testing.assert_array_equal(found.ids, raw.ids)
        np.testing.assert_array_equal(found.pictures, raw.pictures)
        assert (found.labels is None) == (raw.labels is None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pictures": RAW.pictures[:, :7]}, r"'data' has shape \(30, 7, 8\), and \(30, 8, 8\) is"),
        ({"pictures": RAW.pictures + np.uint8(9)}, r"row 1 has a pixel above 16"),
        ({"ids": RAW.ids // 2}, r"row 2: its id is in an earlier row already"),
        ({"labels": RAW.ids - 8}, r"row 4: label 5 is not from 0 to 4"),
        ({"labels": np.arange(3)}, r"has 3 labels of 30 pictures"),
    ],
)
def test_bad_pictures_are_refused(tmp_path: Path, change: dict, message: str) -> None:  # type: ignore[type-arg]
    write_raw(tmp_path / "x.h5", replace(RAW, **change))
    with pytest.raises(DataError, match=rf"x\.h5: {message}"):
        read_raw(tmp_path / "x.h5", DATASET, 5)


def test_a_file_that_is_not_there_or_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.h5: no such file"):
        read_raw(tmp_path / "x.h5", DATASET, 5)
    (tmp_path / "x.h5").write_bytes(b"not HDF5")
    with pytest.raises(DataError, match=r"x\.h5: is no HDF5 file, or is damaged"):
        read_raw(tmp_path / "x.h5", DATASET, 5)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["id"] = RAW.ids
    with pytest.raises(DataError, match=r"x\.h5: has no dataset 'data'"):
        read_raw(tmp_path / "x.h5", DATASET, 5)


def test_scaled_pictures_are_what_caffe_reads() -> None:
    found = part(RAW, DATASET)
    assert (found.data.shape, found.data.dtype) == ((30, 1, 8, 8), np.float32)
    np.testing.assert_array_equal(found.data[:, 0] * 16, RAW.pictures)
    np.testing.assert_array_equal(found.table, found.data.reshape(30, 64))


def test_the_split_is_stratified_and_complete_and_classes_take_turns() -> None:
    kept, held_out = split(part(RAW, DATASET), 1 / 3, seed=1)
    assert sorted([*kept.ids, *held_out.ids]) == RAW.ids.tolist()
    assert np.bincount(held_out.arrays()[1]).tolist() == [2] * 5
    assert kept.arrays()[1].tolist() == [0, 1, 2, 3, 4] * 4


def test_too_few_pictures_to_split() -> None:
    with pytest.raises(DataError, match=r"5 pictures cannot be split"):
        split(part(RAW, DATASET).rows(np.arange(0, 30, 6)), 0.2, seed=1)


def test_rows_keep_their_pictures_when_classes_take_turns() -> None:
    whole = part(RAW, DATASET)
    found = alternated(whole)
    np.testing.assert_array_equal(found.data, whole.data[found.ids - 10])
    np.testing.assert_array_equal(found.labels, whole.arrays()[1][found.ids - 10])


def test_a_solution_of_other_pictures_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "solution.csv"
    path.write_text("id,label\n1,0\n2,4\n")
    assert read_solution(path, DATASET, np.array([1, 2])).tolist() == [0, 4]
    with pytest.raises(DataError, match=r"its ids are not those of .*test\.h5"):
        read_solution(path, DATASET, np.array([2, 1]))
    path.write_text("id,label\n1,5\n2,4\n")
    with pytest.raises(DataError, match=r"row 1, column 'label': '5' is not a whole number from 0"):
        read_solution(path, DATASET, np.array([1, 2]))
