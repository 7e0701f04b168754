"""What models take of a row: columns of a table, features side by side, images."""

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from ripen.competition import index as indexes
from ripen.core.layout import Layout
from ripen.data.encoders import Encoder
from ripen.learn import inputs
from ripen.learn.inputs import Features, Table, opened, read_features
from ripen.settings.compose import changed
from ripen.settings.schema import Columns
from tests.ripen.images import cats_and_dogs, zipped
from tests.ripen.learn import fits

LAYOUT = Layout("pets")
ROWS = [0, 1, 3, 4, 6]  # of the index, which have features
BOTH = {"small": 2, "large": 3}  # features a net


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def features() -> dict[str, NDArray[np.float16]]:
    """Features of five of seven rows, in two views and of two nets, as the stage leaves them."""
    LAYOUT.features.mkdir(parents=True)
    random, found = np.random.default_rng(0), {}
    for name, size in BOTH.items():
        found[name] = random.normal(0, 1, (len(ROWS), 2, size)).astype(np.float16)
        with h5py.File(LAYOUT.features / f"{name}.h5", "w") as file:
            file["features"], file["row"] = found[name], np.array(ROWS)
    return found


def expected(features: dict[str, NDArray[np.float16]]) -> NDArray[np.float32]:
    means = [each.astype(np.float32).mean(axis=1) for each in features.values()]
    return np.concatenate(means, axis=1)


@pytest.mark.parametrize("at_once", [1000, 2])
def test_features_of_several_nets_are_side_by_side_each_the_mean_over_views(
    features: dict[str, NDArray[np.float16]], monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(inputs, "READ_AT_ONCE", at_once)
    found = read_features(LAYOUT, list(BOTH), 7, fits.competition())
    assert found.values.dtype == np.float32
    np.testing.assert_allclose(found.values, expected(features), rtol=1e-6)
    np.testing.assert_array_equal(found.take(np.array([6, 1])), found.values[[4, 1]])
    assert found.encoder() is None


def test_rows_that_follow_each_other_are_not_copied(
    features: dict[str, NDArray[np.float16]],
) -> None:
    found = read_features(LAYOUT, ["small"], 7, fits.competition())
    taken = found.take(np.array([1, 3, 4]))
    assert np.shares_memory(taken, found.values)
    np.testing.assert_array_equal(taken, found.values[1:4])
    # The first and the last are as far from each other, and yet not in turn.
    np.testing.assert_array_equal(found.take(np.array([1, 4, 4])), found.values[[1, 3, 3]])
    np.testing.assert_array_equal(found.take(np.array([1, 1, 4])), found.values[[1, 1, 3]])
    assert found.take(np.array([], np.int64)).shape == (0, 2)


def test_a_tables_rows_are_its_typed_columns() -> None:
    frame, _ = fits.table(7)
    LAYOUT.prepared.mkdir(parents=True)
    frame.to_parquet(LAYOUT.table, index=False)
    index = fits.index_of("binary", ["no", "yes"] * 3 + ["no"], [0] * 7)
    competition = changed(fits.competition(), columns={"scale": 16.0})
    with opened(["table"], competition, LAYOUT, index) as taken:
        assert isinstance(taken, Table)
        pd.testing.assert_frame_equal(taken.take(np.array([4, 0])), frame.iloc[[4, 0]])
        encoder = taken.encoder()
    assert isinstance(encoder, Encoder)
    assert (encoder.scale, hasattr(encoder, "transformer_")) == (16.0, False)
    assert isinstance(competition.columns, Columns)


def test_a_tables_columns_and_features_are_joined(
    features: dict[str, NDArray[np.float16]],
) -> None:
    frame, _ = fits.table(7)
    LAYOUT.prepared.mkdir(parents=True)
    frame.to_parquet(LAYOUT.table, index=False)
    index = fits.index_of("binary", ["no", "yes"] * 3 + ["no"], [0] * 7)
    with opened(["small", "table", "large"], fits.competition(), LAYOUT, index) as taken:
        found = taken.take(np.arange(7))
        assert taken.encoder().fit_transform(found).shape[0] == 7
    pd.testing.assert_frame_equal(found[list(frame)], frame)
    joined = found.drop(columns=list(frame)).to_numpy()
    np.testing.assert_allclose(joined[ROWS], expected(features), rtol=1e-6)
    lacking = np.setdiff1d(np.arange(7), ROWS)
    assert np.isnan(joined[lacking]).all()


def test_images_are_the_files_of_the_index_in_their_archives() -> None:
    files = cats_and_dogs(2, 1)
    LAYOUT.raw.mkdir(parents=True)
    (LAYOUT.raw / "pets.zip").write_bytes(zipped(files))
    names = sorted(files, reverse=True)
    index = fits.index_of("binary", ["no"] * 5, [0] * 5)
    rows = index.rows.assign(archive="pets.zip", name=names)
    with opened(
        ["images"], fits.competition(), LAYOUT, indexes.Index(rows, index.task, (), ())
    ) as taken:
        found = taken.take(np.array([3, 0]))
        assert [file.name for file in found] == [names[3], names[0]]
        assert [file.read() for file in found] == [files[names[3]], files[names[0]]]
        assert taken.encoder() is None


def test_a_served_model_is_given_how_images_become_its_features(tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(fits.ROOT / "models")
    competition = fits.competition("competitions=[cats_vs_dogs]")
    taken = Features(
        np.zeros((1, 1), np.float32),
        np.zeros(1, np.int64),
        ["histogram", "squeezenet"],
        competition,
    )
    (tmp_path / "served").mkdir()
    taken.save(tmp_path / "served")
    (written,) = (tmp_path / "served").iterdir()
    values = json.loads(written.read_text())
    colours, net = values["sets"]
    assert colours == {"bins": 6}
    assert net["frozen"]["layers"] == ["fire9/concat", "conv_final"]
    assert (values["images"]["crop"], values["images"]["precision"]) == (0.875, "float16")
    assert values["inputs"]["squeezenet"]["channel_order"] == "BGR"
