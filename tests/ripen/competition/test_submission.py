"""Submissions in every form that a sample may have."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ripen.competition.index import Index
from ripen.competition.submission import csv_of, fill, id_column, read_sample
from ripen.competition.tasks import TASKS
from ripen.core.errors import DataError
from ripen.kaggle.form import check
from ripen.settings.compose import changed
from ripen.settings.schema import Competition, Csv

Make = Callable[..., Competition]
SAMPLE = Path("sample_submission.csv")
CLASSES = ("0", "1")
NAMES = ("not ripe", "ripe")
PROBABILITIES = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])  # of ids 10, 20, 30


def index(task: str = "binary", ids: tuple[str, ...] = ("10", "20", "30")) -> Index:
    """Return an index of a training row, and of test rows with these ids."""
    n = len(ids)
    classes = {"binary": (CLASSES, NAMES), "multiclass": (("a", "b", "c"),) * 2}.get(task, ((), ()))
    rows = {"id": ["1", *ids], "part": ["train", *["test"] * n], "target": ["", *[""] * n]}
    return Index(pd.DataFrame(rows), TASKS[task], *classes)


def filled(
    competition: Competition, sample: pd.DataFrame, outputs: np.ndarray, rows: Index | None = None
) -> str:
    """Return the submission as its file has it."""
    found = fill(sample, SAMPLE, competition, rows or index(), outputs)
    return found.to_csv(index=False, lineterminator="\n")


def test_the_submission_has_the_samples_columns_order_and_ids(make_competition: Make) -> None:
    sample = pd.DataFrame({"ripe": ["0.5"] * 3, "id": ["30", "10", "20"]})
    found = filled(make_competition("avocado"), sample, PROBABILITIES)
    assert found == "ripe,id\n0.7,30\n0.1,10\n0.2,20\n"


def test_several_columns_make_up_the_ids(make_competition: Make, tmp_path: Path) -> None:
    competition = changed(make_competition("avocado"), id="{shop}_{day}")
    path, ours = tmp_path / "sample.csv", tmp_path / "ours.csv"
    path.write_text("shop,day,ripe\nb,1,0.5\na,2,0.5\na,1,0.5\n")
    rows = index(ids=("a_1", "a_2", "b_1"))
    sample = read_sample(path, competition.id)
    assert sample.columns.tolist() == ["{shop}_{day}", "shop", "day", "ripe"]
    ours.write_text(filled(competition, sample, PROBABILITIES, rows))
    assert ours.read_text() == "shop,day,ripe\nb,1,0.7\na,2,0.2\na,1,0.1\n"
    assert check(ours, path, competition, CLASSES)["ripe"].tolist() == [0.7, 0.2, 0.1]
    ours.write_text(ours.read_text().replace("a,2", "a,3"))
    with pytest.raises(DataError, match=r"ours\.csv: .*a_3"):
        check(ours, path, competition, CLASSES)
    joined = pd.DataFrame({"Id": ["b_1", "a_2", "a_1"], "ripe": ["0.5"] * 3})
    assert filled(competition, joined, PROBABILITIES, rows).startswith("Id,ripe\nb_1,0.7\n")


def test_a_single_column_holds_labels(make_competition: Make) -> None:
    competition = changed(make_competition("avocado"), submission="label")
    sample = pd.DataFrame({"id": ["10", "20", "30"], "ripe": ["0"] * 3})
    assert filled(competition, sample, PROBABILITIES) == "id,ripe\n10,0\n20,0\n30,1\n"


@pytest.mark.parametrize(
    ("given", "expected"), [(["0"] * 3, ["0", "0", "1"]), (["cat"] * 3, ["cat", "cat", "dog"])]
)
def test_labels_are_numbers_where_the_sample_has_numbers(
    given: list[str], expected: list[str], make_competition: Make, tmp_path: Path
) -> None:
    """As in dogs-vs-cats, whose images are named cat and dog: 1 is the second class."""
    competition = changed(make_competition("avocado"), submission="label")
    sample = pd.DataFrame({"id": ["10", "20", "30"], "label": given})
    rows = index()
    named = Index(rows.rows, rows.task, ("cat", "dog"), ("cat", "dog"))
    found = filled(competition, sample, PROBABILITIES, named)
    rest = "".join(f"{id}0,{label}\n" for id, label in enumerate(expected, 1))
    assert found == f"id,label\n{rest}"
    (tmp_path / "found.csv").write_text(found)
    sample.to_csv(tmp_path / "sample.csv", index=False)
    checked = check(tmp_path / "found.csv", tmp_path / "sample.csv", competition, named.classes)
    assert checked["label"].tolist() == expected


def test_a_single_column_holds_values(make_competition: Make) -> None:
    competition = changed(
        make_competition("avocado"), task="regression", metric="rmse", submission="value"
    )
    sample = pd.DataFrame({"id": ["20", "10", "30"], "price": ["0"] * 3})
    values = np.array([[1.5], [-2.0], [1e6]])
    found = filled(competition, sample, values, index("regression"))
    assert found == "id,price\n20,-2.0\n10,1.5\n30,1000000.0\n"


@pytest.mark.parametrize("names", [CLASSES, NAMES])
def test_a_column_a_class_holds_its_probabilities(
    make_competition: Make, names: tuple[str, str]
) -> None:
    second, first = reversed(names), names[0]
    sample = pd.DataFrame({"id": ["30", "20", "10"]} | {name: ["0.5"] * 3 for name in second})
    found = fill(sample, SAMPLE, make_competition("avocado"), index(), PROBABILITIES)
    assert list(found) == ["id", names[1], first]
    assert found[first].tolist() == [0.3, 0.8, 0.9]
    assert found[names[1]].tolist() == [0.7, 0.2, 0.1]


def test_columns_of_some_classes_are_enough(make_competition: Make) -> None:
    sample = pd.DataFrame({"id": ["10", "20", "30"], "not ripe": ["0.5"] * 3})
    found = filled(make_competition("avocado"), sample, PROBABILITIES)
    assert found == "id,not ripe\n10,0.9\n20,0.8\n30,0.3\n"


def test_images_of_one_object_get_their_mean(make_competition: Make) -> None:
    sample = pd.DataFrame({"id": ["20", "10"], "ripe": ["0.5"] * 2})
    outputs = np.array([[0.75, 0.25], [0.8, 0.2], [0.25, 0.75]])
    rows = index(ids=("10", "20", "10"))
    found = filled(make_competition("avocado"), sample, outputs, rows)
    assert found == "id,ripe\n20,0.2\n10,0.5\n"


def test_the_ids_column_may_have_another_name(make_competition: Make) -> None:
    sample = pd.DataFrame({"ImageId": ["30", "10", "20"], "ripe": ["0.5"] * 3})
    found = filled(make_competition("avocado"), sample, PROBABILITIES)
    assert found == "ImageId,ripe\n30,0.7\n10,0.1\n20,0.2\n"
    assert id_column(sample, "id") == "ImageId"
    assert id_column(sample[["ripe", "ImageId"]], "ImageId") == "ImageId"


def test_ids_are_text_as_the_user_writes_them(make_competition: Make) -> None:
    ids = ("007", "7", "a b")
    sample = pd.DataFrame({"id": ["7", "a b", "007"], "ripe": ["0.5"] * 3})
    found = filled(make_competition("avocado"), sample, PROBABILITIES, index(ids=ids))
    assert found == "id,ripe\n7,0.2\na b,0.7\n007,0.1\n"


SEVERAL = np.array([[0.9, 0.2], [0.4, 0.6], [0.1, 0.1]])  # of ids 10, 20, 30
CLASSES_3 = np.array([[0.2, 0.3, 0.5], [0.6, 0.1, 0.3], [0.1, 0.8, 0.1]])
FORMS: dict[str, tuple[str, str, str, np.ndarray, str]] = {
    # task, submission, sample, outputs, the file expected
    "k independent probabilities": (
        "multilabel", "probability", "id,y,x\n30,0,0\n10,0,0\n20,0,0\n", SEVERAL,
        "id,y,x\n30,0.1,0.1\n10,0.2,0.9\n20,0.6,0.4\n",
    ),
    "k labels": (
        "multilabel", "label", "id,x,y\n10,0,0\n20,0,0\n30,0,0\n", SEVERAL,
        "id,x,y\n10,1,0\n20,0,1\n30,0,0\n",
    ),
    "labels by their names": (
        "multilabel", "labels", "id,tags\n10,x y\n20,x y\n30,x y\n", SEVERAL,
        "id,tags\n10,x\n20,y\n30,x\n",
    ),
    "k numbers": (
        "regression", "value", "id,x,y\n10,0,0\n20,0,0\n30,0,0\n", SEVERAL * 100,
        "id,x,y\n10,90.0,20.0\n20,40.0,60.0\n30,10.0,10.0\n",
    ),
    "melted numbers": (
        "regression", "value",
        "row,value\n30_x,0\n10_y,0\n10_x,0\n20_x,0\n20_y,0\n30_y,0\n", SEVERAL,
        "row,value\n30_x,0.1\n10_y,0.2\n10_x,0.9\n20_x,0.4\n20_y,0.6\n30_y,0.1\n",
    ),
    "some melted numbers": (
        "regression", "value", "row,value\n30_x,0\n10_y,0\n20_x,0\n", SEVERAL,
        "row,value\n30_x,0.1\n10_y,0.2\n20_x,0.4\n",
    ),
    "melted labels": (
        "multilabel", "label", "row,value\n30_x,0\n10_x,0\n20_y,0\n", SEVERAL,
        "row,value\n30_x,0\n10_x,1\n20_y,1\n",
    ),
    "melted classes": (
        "multiclass", "probability", "row,p\n30_a,0\n10_b,0\n20_c,0\n", CLASSES_3,
        "row,p\n30_a,0.1\n10_b,0.3\n20_c,0.3\n",
    ),
    "the best two labels": (
        "multiclass", "labels", "id,kinds\n10,a b\n20,a\n30,c a\n", CLASSES_3,
        "id,kinds\n10,c b\n20,a c\n30,b a\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_submission(form: str, make_competition: Make, tmp_path: Path) -> None:
    task, holds, sample, outputs, expected = FORMS[form]
    path = tmp_path / "sample.csv"
    path.write_text(sample, encoding="utf-8")
    targets = "kind" if task == "multiclass" else ["x", "y"]
    competition = changed(
        make_competition("avocado"), task=task, submission=holds, target=targets, classes=None
    )
    names = ("a", "b", "c") if task == "multiclass" else ("x", "y")
    rows = Index(index().rows, TASKS[task], names, names)
    assert filled(competition, read_sample(path, "id"), outputs, rows) == expected


def test_a_melted_sample_without_a_test_row_is_an_error(make_competition: Make) -> None:
    competition = changed(make_competition("avocado"), task="multilabel", target=["x", "y"])
    rows = Index(index().rows, TASKS["multilabel"], ("x", "y"), ("x", "y"))
    sample = pd.DataFrame({"row": ["10_x", "30_y"], "p": ["0"] * 2})
    with pytest.raises(DataError, match=r"column 'row': 20 of the test part is missing"):
        filled(competition, sample, SEVERAL, rows)
    wide = pd.DataFrame({"id": ["10", "20", "30"], "x": "0", "z": "0"})
    with pytest.raises(DataError, match=r"column 'z' is none of the targets\. Allowed: x, y"):
        filled(competition, wide, SEVERAL, rows)
    single = pd.DataFrame({"id": ["10", "20", "30"], "p": "0"})
    with pytest.raises(DataError, match=r"'p' cannot hold the probabilities of 2 targets"):
        filled(competition, single, SEVERAL, rows)


@settings(max_examples=20)
@given(order=st.permutations(range(6)))
def test_every_id_gets_its_own_prediction(make_competition: Make, order: list[int]) -> None:
    competition = make_competition("avocado")
    ids = tuple(str(k) for k in range(6))
    ripe = np.arange(6) / 10
    sample = pd.DataFrame({"id": [ids[k] for k in order], "ripe": "0.5"})
    found = fill(sample, SAMPLE, competition, index(ids=ids), np.stack([1 - ripe, ripe], axis=1))
    assert found["ripe"].tolist() == [ripe[k] for k in order]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (
            ["10", "20", "40"],
            r"sample_submission\.csv: column 'id': 40 is not an id of the test part",
        ),
        (["10", "20"], r"sample_submission\.csv: column 'id': 30 of the test part is missing"),
        (["10", "20", "30", "1"], r"column 'id': 1 is not an id of the test part"),
    ],
)
def test_ids_that_are_not_those_of_the_test_part(
    make_competition: Make, ids: list[str], message: str
) -> None:
    sample = pd.DataFrame({"id": ids, "ripe": ["0.5"] * len(ids)})
    with pytest.raises(DataError, match=message):
        filled(make_competition("avocado"), sample, PROBABILITIES)


def test_a_column_that_is_no_class(make_competition: Make) -> None:
    sample = pd.DataFrame({"id": ["10", "20", "30"], "0": "0.5", "2": "0.5"})
    with pytest.raises(DataError, match=r"column '2' is no class\. Allowed: 0, 1"):
        filled(make_competition("avocado"), sample, PROBABILITIES)


def test_one_column_cannot_hold_probabilities_of_several_classes(make_competition: Make) -> None:
    competition = changed(make_competition("avocado"), task="multiclass")
    sample = pd.DataFrame({"id": ["10", "20", "30"], "kind": ["a"] * 3})
    outputs = np.array([[0.2, 0.3, 0.5], [0.6, 0.2, 0.2], [0.1, 0.8, 0.1]])
    with pytest.raises(DataError, match=r"'kind' cannot hold the probabilities of 3 classes"):
        filled(competition, sample, outputs, index("multiclass"))
    labels = changed(competition, submission="label")
    found = filled(labels, sample, outputs, index("multiclass"))
    assert found == "id,kind\n10,c\n20,a\n30,b\n"


def test_a_sample_keeps_its_order_of_columns_and_rows(tmp_path: Path) -> None:
    path = tmp_path / "sample.csv"
    path.write_text("ripe,id\n0.5,9\n0.5,03\n", encoding="utf-8")
    sample = read_sample(path, "id")
    assert list(sample.columns) == ["ripe", "id"]
    assert sample.id.tolist() == ["9", "03"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id\n1\n", r"sample\.csv: has no column beside 'id'"),
        ("id,ripe\n1,0\n2,0\n1,0\n", r"sample\.csv: row 3: id '1' is in an earlier row already"),
        ("", r"sample\.csv: the file is empty"),
    ],
)
def test_bad_samples(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "sample.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_sample(tmp_path / "sample.csv", "id")
    with pytest.raises(DataError, match=r"none\.csv: no such file"):
        read_sample(tmp_path / "none.csv", "id")


def test_a_sample_of_another_separator_than_the_tables_is_read(tmp_path: Path) -> None:
    file, tables = tmp_path / "sample.csv", Csv(separator=";", decimal=",")
    for text, own in (("id,y\n1,0\n", Csv()), ("id;y\n1;0\n", tables)):
        file.write_text(text)
        assert read_sample(file, "id", tables).to_numpy().tolist() == [["1", "0"]]
        assert csv_of(file, tables) == own
    file.write_text("id,y\n1,0\n")
    wide = Csv(encoding="utf-16")
    assert read_sample(file, "id", wide).to_numpy().tolist() == [["1", "0"]]
    file.write_text("id,y\n1,0\n", encoding="utf-16")
    assert csv_of(file, Csv()) == wide
