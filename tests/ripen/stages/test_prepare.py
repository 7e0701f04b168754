"""prepare: the index of a table, its folds, and the columns beside it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ripen.competition import index as indexes
from ripen.competition.index import Index
from ripen.core.errors import DataError
from ripen.core.layout import Layout
from ripen.data.encoders import Encoder
from ripen.settings import compose as settings
from ripen.stages import fetch, prepare

LAYOUT = Layout("avocado")
FEATURES = ["height_cm", "weight_g", "squishiness", "red", "green", "blue"]
Here = Callable[..., dict[str, Any]]


@pytest.fixture
def prepared(here: Here) -> Callable[..., Index]:
    """Return a function from overrides to the index of the avocados."""

    def make(*overrides: str, change: Callable[[], object] = lambda: None) -> Index:
        here("competitions=[avocado]", "source.generate.n_test=50", *overrides)
        fetch.run("avocado")
        change()
        prepare.run("avocado")
        return indexes.read(LAYOUT, settings.load_competition("avocado"))

    return make


def train() -> pd.DataFrame:
    return pd.read_csv(LAYOUT.raw / "train.csv", dtype={"id": str})


def test_the_split_is_stratified_and_complete(prepared: Callable[..., Index]) -> None:
    index = prepared()
    rows = index.rows[index.rows.part == "train"]
    kept, held = rows[rows.fold == -1], rows[rows.fold == 0]
    assert (len(kept), len(held)) == (800, 200)
    assert set(kept.id) | set(held.id) == set(train().id)
    share = train().ripe.mean()
    for part in (kept, held):
        assert abs((part.target == "1").mean() - share) <= 1 / len(part)
    sizes = index.rows.part.value_counts().to_dict()
    assert sizes == {"more": 9200, "train": 1000, "test": 50}
    assert set(index.rows.fold[index.rows.part != "train"]) == {-1}


def test_the_table_has_the_columns_of_each_row_of_the_index(
    prepared: Callable[..., Index],
) -> None:
    index = prepared()
    table = pd.read_parquet(LAYOUT.prepared / "table.parquet")
    assert list(table) == FEATURES
    for part in ("train", "test", "more"):
        raw = pd.read_csv(LAYOUT.raw / f"{part}.csv", dtype={"id": str}).set_index("id")
        rows = index.rows[index.rows.part == part]
        expected = raw.loc[rows.id, FEATURES].to_numpy(np.float64)
        np.testing.assert_array_equal(table.loc[rows.index].to_numpy(), expected)


def test_scaling_is_fitted_to_the_training_rows_alone(prepared: Callable[..., Index]) -> None:
    index = prepared()
    table = pd.read_parquet(LAYOUT.prepared / "table.parquet")
    learnable = index.learnable()
    kept = table.loc[learnable[index.folds[learnable] == -1]]
    encoder = Encoder().fit(kept)
    for rows in (learnable[index.folds[learnable] == 0], index.part("test")):
        expected = (table.loc[rows] - kept.mean()) / kept.std(ddof=0)
        np.testing.assert_allclose(
            encoder.transform(table.loc[rows]), expected, rtol=1e-5, atol=1e-6
        )


def test_a_seed_gives_one_split(prepared: Callable[..., Index]) -> None:
    generated = "source.generate.n_train=1000"
    raw: list[Path] = []

    def first_files() -> None:
        """Keep the rows while the seed of the split changes."""
        files = {path.name: path.read_bytes() for path in LAYOUT.raw.iterdir()}
        if raw:
            for path in LAYOUT.raw.iterdir():
                path.write_bytes((raw[0] / path.name).read_bytes())
        else:
            raw.append(Path("first"))
            raw[0].mkdir()
            for name, content in files.items():
                (raw[0] / name).write_bytes(content)

    found = [
        prepared(f"seed={seed}", generated, change=first_files).rows.query("fold == 0").id.tolist()
        for seed in (3, 3, 4)
    ]
    assert found[0] == found[1] != found[2]


def test_a_second_run_writes_the_same_bytes(prepared: Callable[..., Index]) -> None:
    prepared()
    first = {path.name: path.read_bytes() for path in LAYOUT.prepared.iterdir()}
    assert set(first) == {"index.csv", "classes.json", "table.parquet"}
    prepare.run("avocado")
    assert {path.name: path.read_bytes() for path in LAYOUT.prepared.iterdir()} == first


def test_test_targets_are_those_of_the_solution(prepared: Callable[..., Index]) -> None:
    index = prepared()
    solution = pd.read_csv(LAYOUT.raw / "solution.csv", dtype=str)
    test = index.rows[index.rows.part == "test"]
    assert dict(zip(test.id, test.target, strict=True)) == dict(
        zip(solution.id, solution.ripe, strict=True)
    )
    (LAYOUT.raw / "solution.csv").unlink()
    prepare.run("avocado")
    index = indexes.read(LAYOUT, settings.load_competition("avocado"))
    assert set(index.rows.target[index.rows.part == "test"]) == {""}
    assert not index.known()[index.part("test")].any()


def test_classes_have_the_names_of_the_settings(prepared: Callable[..., Index]) -> None:
    index = prepared()
    assert (index.classes, index.names) == (("0", "1"), ("not ripe", "ripe"))
    assert np.bincount(index.targets[index.learnable()].astype(int)).tolist() == [
        (train().ripe == k).sum() for k in (0, 1)
    ]


def rewrite(name: str, change: Callable[[list[str]], list[str]]) -> Callable[[], object]:
    """Return a function that changes the lines of a raw file."""

    def write() -> None:
        path = LAYOUT.raw / name
        path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")

    return write


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "solution.csv",
            lambda lines: lines[:-1],
            r"^data/avocado/raw/solution\.csv: its ids are not those of .*test\.csv$",
        ),
        (
            "train.csv",
            lambda lines: [lines[0], lines[1][:-1] + "1", *(x[:-1] + "0" for x in lines[2:])],
            r"^1000 labelled rows cannot be split: The least populated class",
        ),
        (
            "train.csv",
            lambda lines: [*lines[:-1], lines[-1][:-1]],
            r"train\.csv: row 1000, column 'ripe': '' is not a class: 0, 1",
        ),
        (
            "test.csv",
            lambda lines: [lines[0].replace("red", "rot"), *lines[1:]],
            r"test\.csv: column 'red' is missing\. Needed: id, height_cm",
        ),
    ],
)
def test_bad_tables_leave_nothing_prepared(
    prepared: Callable[..., Index],
    name: str,
    change: Callable[[list[str]], list[str]],
    message: str,
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        prepared(change=rewrite(name, change))
    assert "\n" not in str(caught.value)
    assert not LAYOUT.prepared.exists()


def test_folds_of_a_column_are_taken_and_not_learnt_from(here: Here) -> None:
    here("competitions=[digits]", "source.generate.pretrain.solver.max_iter=1")
    fetch.run("digits")
    prepare.run("digits")
    layout = Layout("digits")
    index = indexes.read(layout, settings.load_competition("digits"))
    raw = pd.read_csv(layout.raw / "train.csv", dtype={"id": str})
    rows = index.rows[index.rows.part == "train"]
    assert dict(zip(rows.id, rows.fold, strict=True)) == dict(zip(raw.id, raw.fold, strict=True))
    assert sorted(rows.fold) == [-1] * 100 + [0] * 25
    table = pd.read_parquet(layout.prepared / "table.parquet")
    assert list(table) == [f"pixel_{k}" for k in range(64)]
    assert index.classes == ("5", "6", "7", "8", "9")
