"""prepare: the index of a table, its folds, and the columns beside it."""

import copy
from collections.abc import Callable
from functools import cache
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
from ripen.settings import yaml_files
from ripen.stages import fetch, prepare
from ripen.stages.settings import compose
from tests.ripen.stages.conftest import ROOT

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


# --- Any competition -----------------------------------------------------------------------------

TRAIN = ["id,x,y,day,kind"] + [
    f"{k},{k / 10},{'ab'[k % 2]},{k},{'uv'[k // 3 % 2]}" for k in range(24)
]
TEST = ["id,x,y,day"] + [f"{k},{k / 10},a,{k}" for k in range(24, 30)]
SAMPLE = ["id,kind"] + [f"{k},u" for k in range(24, 30)]
FACTS: dict[str, Any] = {
    "target": "kind", "classes": None, "columns": {},
    "validation": {"split": "stratified", "folds": 3},
}  # fmt: skip
Lines = dict[str, list[str]]


@cache
def composed() -> dict[str, Any]:
    return compose(["competitions=[avocado]"], ROOT / "conf")[0]


@pytest.fixture
def prepare_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Index]:
    """Return a function from settings and files to the index that is prepared."""
    monkeypatch.chdir(tmp_path)

    def make(given: Lines | None = None, **facts: Any) -> Index:
        values = copy.deepcopy(composed())
        values["competition"]["avocado"] |= FACTS | facts
        settings.PARAMS.write_text(yaml_files.dump(values), encoding="utf-8")
        LAYOUT.raw.mkdir(parents=True, exist_ok=True)
        lines = {"train.csv": TRAIN, "test.csv": TEST, "sample_submission.csv": SAMPLE}
        for name, content in (lines | (given or {})).items():
            (LAYOUT.raw / name).write_text("\n".join(content) + "\n", encoding="utf-8")
        prepare.run("avocado")
        return indexes.read(LAYOUT, settings.load_competition("avocado"))

    return make


def changed_cell(lines: list[str], row: int, column: int, value: str) -> list[str]:
    """Return lines with another value in a row, 0 of which is the header."""
    cells = lines[row].split(",")
    cells[column] = value
    return [*lines[:row], ",".join(cells), *lines[row + 1 :]]


BAD: dict[str, tuple[Lines, dict[str, Any], str]] = {
    "targets are missing": (
        {"train.csv": changed_cell(changed_cell(TRAIN, 3, 4, ""), 9, 4, "")},
        {},
        r"train\.csv: 2 of 24 rows have no kind: row 3, 9\. Remove these rows, or set "
        r"files\.drop_unlabelled to true$",
    ),
    "a number to predict is missing": (
        {"train.csv": changed_cell(TRAIN, 5, 1, "NA")},
        {"target": "x", "task": "regression", "metric": "rmse"},
        r"train\.csv: 1 of 24 rows have no x: row 5\.",
    ),
    "all targets are missing": (
        {"train.csv": [TRAIN[0], *(line.rpartition(",")[0] + "," for line in TRAIN[1:])]},
        {},
        r"train\.csv: 24 of 24 rows have no kind: there is nothing to learn$",
    ),
    "one of two targets is missing": (
        {"train.csv": changed_cell(TRAIN, 5, 1, "NA")},
        {"target": ["x", "y"], "task": "regression", "metric": "mean_column_rmse"},
        r"train\.csv: 1 of 24 rows have only some of the targets x, y: row 5\. Remove these "
        r"rows, or set files\.drop_unlabelled to true$",
    ),
    "a class with fewer rows than folds": (
        {"train.csv": changed_cell(changed_cell(TRAIN, 3, 4, "w"), 9, 4, "w")},
        {"task": "multiclass"},
        r"^class 'w' has 2 labelled rows\. Needed: 3, one a fold\. Set validation\.folds to fewer",
    ),
    "a column that only the test part has": (
        {"test.csv": [TEST[0] + ",z", *(line + ",1" for line in TEST[1:])]},
        {},
        r"test\.csv: column 'z' is one too many: .*train\.csv lacks it\.",
    ),
    "a column that only the training part has": (
        {"test.csv": [line.rpartition(",")[0] for line in TEST]},
        {},
        r"test\.csv: column 'day' is missing\. .* To learn without it name it in columns\.drop$",
    ),
    "an id twice": (
        {"train.csv": changed_cell(TRAIN, 7, 0, "3")},
        {},
        r"train\.csv: row 7, column 'id': '3' is in row 4 already$",
    ),
    "a sample of other ids": (
        {"sample_submission.csv": changed_cell(SAMPLE, 2, 0, "99")},
        {},
        r"sample_submission\.csv: column 'id': 99 is not an id of the test part$",
    ),
    "a sample without a row": (
        {"sample_submission.csv": SAMPLE[:-1]},
        {},
        r"sample_submission\.csv: column 'id': 29 of the test part is missing$",
    ),
    "mixed types": (
        {"train.csv": changed_cell(TRAIN, 4, 1, "tall")},
        {},
        r"train\.csv: row 4, column 'x': 'tall' is not a number\. If it holds codes, set columns",
    ),
    "mixed types of the test part": (
        {"test.csv": changed_cell(TEST, 4, 1, "tall")},
        {},
        r"test\.csv: row 4, column 'x': 'tall' is not a number\.",
    ),
    "an infinite number": (
        {"train.csv": changed_cell(TRAIN, 4, 1, "inf")},
        {},
        r"train\.csv: row 4, column 'x': 'inf' is not a number",
    ),
    "a truncated file": (
        {"train.csv": [*TRAIN[:-1], TRAIN[-1][:4]]},
        {},
        r"train\.csv: row 24, the last one, has 2 fields, and the header 5\. Is the file trun",
    ),
    "no column of folds": (
        {},
        {"validation": {"split": "column", "column": "y2"}},
        r"^validation\.column: there is no column 'y2'$",
    ),
    "a column of one fold": (
        {"train.csv": [TRAIN[0] + ",fold", *(line + ",0" for line in TRAIN[1:])]},
        {"validation": {"split": "column", "column": "fold"}},
        r"^column 'fold': fold 0 is its only value, so that no row trains$",
    ),
    "a group that a pattern does not find": (
        {},
        {"validation": {"split": "group", "folds": 3, "group": "id", "pattern": "_"}},
        r"^validation\.pattern: _ is not found in '0', column 'id'$",
    ),
}  # fmt: skip


def left_out() -> dict[str, Any]:
    """Return settings of files that leave out rows without a target."""
    return composed()["competition"]["avocado"]["files"] | {"drop_unlabelled": True}


def test_rows_without_a_target_are_left_out_and_counted(
    prepare_of: Callable[..., Index], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = changed_cell(changed_cell(TRAIN, 3, 4, ""), 9, 4, "")
    index = prepare_of({"train.csv": lines}, files=left_out())
    rows = index.rows[index.rows.part == "train"]
    assert set(rows.id) == {str(k) for k in range(24)} - {"2", "8"}
    assert "prepare: train.csv: 2 of 24 rows have no kind, and are left out\n" in (
        capsys.readouterr().out
    )
    table = pd.read_parquet(LAYOUT.prepared / "table.parquet")
    np.testing.assert_allclose(table.x, index.rows.id.astype(float) / 10)


def test_an_error_after_a_row_without_a_target_names_the_row_of_the_file(
    prepare_of: Callable[..., Index],
) -> None:
    lines = changed_cell(changed_cell(TRAIN, 3, 4, ""), 9, 1, "tall")
    with pytest.raises(DataError, match=r"train\.csv: row 9, column 'x': 'tall' is not a number"):
        prepare_of({"train.csv": lines}, files=left_out())


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(
    case: str, prepare_of: Callable[..., Index]
) -> None:
    files, facts, message = BAD[case]
    with pytest.raises(DataError, match=message) as caught:
        prepare_of(files, **facts)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1
    assert not LAYOUT.inputs.exists() or not list(LAYOUT.inputs.rglob("*"))


@pytest.mark.parametrize(
    ("task", "target", "shape", "classes"),
    [
        ("multilabel", ["p", "q"], (30, 2), ("p", "q")),
        ("regression", ["x", "day"], (30, 2), ("x", "day")),
        ("regression", "x", (30,), ()),
    ],
)
def test_every_task_is_prepared(
    prepare_of: Callable[..., Index],
    task: str,
    target: Any,
    shape: tuple[int, ...],
    classes: tuple[str, ...],
) -> None:
    columns = [f"{k % 2},{k // 2 % 2}" for k in range(24)]
    train = [f"{line},{more}" for line, more in zip(TRAIN, ["p,q", *columns], strict=True)]
    names = [target] if isinstance(target, str) else target
    drop = [name for name in ("p", "q", "kind") if name not in names]
    sample = [",".join(["id", *names]), *(f"{k}" + ",0" * len(names) for k in range(24, 30))]
    index = prepare_of(
        {"train.csv": train, "sample_submission.csv": sample},
        task=task,
        target=target,
        metric="exact_match" if task == "multilabel" else "rmse",
        columns={"drop": drop},
        submission="value" if task == "regression" else "probability",
    )
    assert (index.targets.shape, index.classes) == (shape, classes)
    assert index.outputs == max(1, len(classes))
    raw = pd.read_csv(LAYOUT.raw / "train.csv")
    np.testing.assert_allclose(index.targets[index.learnable()].reshape(24, -1), raw[names])
    assert np.bincount(index.folds[index.learnable()]).tolist() == [8, 8, 8]


def test_repeats_and_groups_are_in_the_index(prepare_of: Callable[..., Index]) -> None:
    split = {"split": "stratified_group", "folds": 2, "repeats": 3, "group": "day", "pattern": "."}
    index = prepare_of(validation=split)
    rows = index.learnable()
    assert len(index.repeats) == 3
    assert len({tuple(folds[rows]) for folds in index.repeats}) == 3
    ids = index.rows["id"].to_numpy()
    assert list(index.groups[rows]) == [id[0] for id in ids[rows]]
    for folds in index.repeats:
        assert (pd.Series(folds[rows]).groupby(index.groups[rows].tolist()).nunique() == 1).all()
        assert set(folds[index.part("test")]) == {-1}


def test_a_split_in_time_orders_the_rows_by_a_date(prepare_of: Callable[..., Index]) -> None:
    days = [f"{30 - k}.01.2016" for k in range(24)]
    train = [
        TRAIN[0],
        *(changed_cell([line], 0, 3, day)[0] for line, day in zip(TRAIN[1:], days, strict=True)),
    ]
    test = [TEST[0], *(changed_cell([line], 0, 3, "01.02.2016")[0] for line in TEST[1:])]
    index = prepare_of(
        {"train.csv": train, "test.csv": test},
        validation={"split": "time", "folds": 3, "column": "day", "gap": 1},
    )
    rows = index.learnable()
    assert index.rows["id"][rows].tolist() == [str(k) for k in range(23, -1, -1)]
    assert index.folds[rows].tolist() == [-1] * 6 + [0] * 6 + [1] * 6 + [2] * 6
    assert index.groups[rows].tolist() == [str(k) for k in range(24)]
    table = pd.read_parquet(LAYOUT.prepared / "table.parquet")
    assert table["day"].is_monotonic_increasing


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
