"""Tables: which columns there are, their types, and input that is invalid."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ripen.competition.index import classes_of
from ripen.competitions.avocado.distribution import FEATURES
from ripen.core.errors import DataError
from ripen.core.layout import Layout
from ripen.data.readers import READERS, Read
from ripen.settings.compose import changed
from ripen.settings.schema import Competition
from tests.ripen.data.csv_lines import Rewrite, cell, good_lines, without_column
from tests.ripen.learn import fits

LAYOUT = Layout("avocado")
TRAIN = LAYOUT.raw / "train.csv"


@pytest.fixture(autouse=True)
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    LAYOUT.raw.mkdir(parents=True)


def competition(**values: Any) -> Competition:
    return changed(fits.competition(), **values)


def read(lines: list[str] | None = None, own: Competition | None = None) -> Read:
    """Read a training table of these lines, and what else is in the raw folder."""
    if lines is not None:
        TRAIN.write_text("\n".join(lines), encoding="utf-8")
    return READERS["table"](own or competition(), LAYOUT)


def test_a_good_file_is_read_as_it_is() -> None:
    found = read(good_lines())
    expected = pd.read_csv(TRAIN)
    np.testing.assert_array_equal(
        found.columns.to_numpy(), expected[list(found.columns)].to_numpy()
    )
    assert list(found.columns) == [feature.name for feature in FEATURES]
    assert {str(kind) for kind in found.columns.dtypes} == {"float64"}
    assert found.rows["id"].tolist() == ["1", "2", "3", "4", "5"]
    assert found.rows["target"].tolist() == ["0", "1", "0", "1", "0"]
    assert set(found.rows["part"]) == {"train"}


def test_columns_may_come_in_any_order_and_with_a_byte_order_mark() -> None:
    rows = [",".join(reversed(line.split(","))) for line in good_lines()]
    TRAIN.write_text("\n".join(rows), encoding="utf-8-sig")
    found = read()
    assert sorted(found.columns) == sorted(feature.name for feature in FEATURES)
    pd.testing.assert_frame_equal(found.columns[list(read(good_lines()).columns)], read().columns)


def test_a_test_table_has_the_training_tables_columns_in_its_order() -> None:
    lines = [",".join(reversed(line.split(","))) for line in without_column("ripe")(good_lines(4))]
    (LAYOUT.raw / "test.csv").write_text("\n".join(lines), encoding="utf-8")
    found = read(good_lines())
    assert found.rows["part"].tolist() == ["train"] * 5 + ["test"] * 4
    assert found.rows["target"].tolist()[5:] == [""] * 4
    expected = pd.read_csv(LAYOUT.raw / "test.csv")[list(found.columns)]
    np.testing.assert_array_equal(found.columns[5:].to_numpy(), expected.to_numpy())


@pytest.mark.parametrize(
    ("rewrite", "message"),
    [
        (without_column("red"), r"column 'red', which columns names, is missing$"),
        (without_column("id"), r"column 'id' is missing\. Found: height_cm"),
        (without_column("ripe"), r"column 'ripe' is missing\. Found: id, height_cm"),
        (
            cell(2, "weight_g", "heavy"),
            r"row 2, column 'weight_g': 'heavy' is not a number from 0 to 1000",
        ),
        (lambda lines: lines[:1], r"has a header and no rows"),
    ],
)
def test_bad_input_is_one_line_with_file_row_and_column(rewrite: Rewrite, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(rewrite(good_lines()))
    assert str(caught.value).startswith(f"{TRAIN}: ")
    assert "\n" not in str(caught.value)


def test_a_column_that_only_the_test_table_has_is_one_too_many() -> None:
    lines = without_column("ripe")(good_lines())
    stone = [lines[0] + ",stone", *(line + ",1" for line in lines[1:])]
    (LAYOUT.raw / "test.csv").write_text("\n".join(stone), encoding="utf-8")
    message = r"test\.csv: column 'stone' is one too many: .*train\.csv lacks it\. Nothing can be"
    with pytest.raises(DataError, match=message):
        read(good_lines())


def test_wrong_encoding() -> None:
    TRAIN.write_bytes("\n".join(good_lines()).encode() + b"\n\xff\xfe")
    with pytest.raises(DataError, match=r"train\.csv: byte \d+ is not UTF-8"):
        read()


def test_a_missing_file() -> None:
    with pytest.raises(DataError, match=r"train\.csv: no such file"):
        read()


def test_types_follow_from_the_training_part() -> None:
    own = competition(
        columns={"drop": ["name"], "types": {"code": {"type": "category", "missing": True}}}
    )
    lines = ["id,name,age,code,mixed,empty,same,vip,day,ripe"]
    lines += ["a,Ann,1.5,1,2,,x,True,2016-01-02,0", "b,Bob,,2,3,,x,False,2016-01-03,1"]
    test = ["id,age,code,mixed,empty,same,vip,day", "c,NA,7,4,,y,,2016-02-01"]
    (LAYOUT.raw / "test.csv").write_text("\n".join(test), encoding="utf-8")
    found = read(lines, own)
    # A constant of the training part, blank or not, is not learnt from.
    kinds = {name: str(kind) for name, kind in found.columns.dtypes.items()}
    day = kinds.pop("day")
    assert kinds == {"age": "float64", "code": "category", "mixed": "float64", "vip": "boolean"}
    assert day.startswith("datetime64")
    assert found.columns["age"].isna().tolist() == [False, True, True]
    assert found.columns["code"].cat.categories.tolist() == ["1", "2", "7"]
    (LAYOUT.raw / "test.csv").write_text("\n".join([*test, "d,1,1,three,,,,"]), encoding="utf-8")
    message = (
        r"test\.csv: row 2, column 'mixed': 'three' is not a number\. If it holds codes, set "
        r"columns\.types\.mixed\.type to category$"
    )
    with pytest.raises(DataError, match=message):
        read(lines, own)


def test_an_order_has_the_levels_of_all_parts() -> None:
    own = competition(columns={})
    lines = ["id,quality,ripe", "a,Gd,0", "b,TA,1", "c,NA,0"]
    (LAYOUT.raw / "test.csv").write_text("id,quality\nd,Po\n", encoding="utf-8")
    found = read(lines, own).columns["quality"]
    assert found.cat.categories.tolist() == ["NA", "Po", "TA", "Gd"]
    assert found.cat.ordered
    assert found.tolist() == ["Gd", "TA", "NA", "Po"]


def test_several_targets_are_one_text_and_numbers_in_pythons_form() -> None:
    own = competition(task="regression", target=["x", "y"], classes=None, columns={})
    found = read(["id,x,y,z,ripe", "a,0.10,3,1,0", "b,1e-7,-2,2,1"], own)
    assert found.rows["target"].tolist() == ["0.1 3.0", "1e-07 -2.0"]
    assert list(found.columns) == ["z", "ripe"]
    own = competition(task="multilabel", target=["x", "y"], classes=None, columns={})
    found = read(["id,x,y,z", "a,1,False,1", "b,0.0,True,2"], own)
    assert found.rows["target"].tolist() == ["1 0", "0 1"]
    with pytest.raises(DataError, match=r"row 1, column 'x': '2' is not 0 or 1$"):
        read(["id,x,y,z", "a,2,False,1"], own)


def test_weights_are_of_the_index_and_not_learnt_from() -> None:
    own = competition(columns={"weight": "w"})
    (LAYOUT.raw / "test.csv").write_text("id,x\nc,5\n", encoding="utf-8")
    found = read(["id,x,w,ripe", "a,1,0.5,0", "b,2,3,1"], own)
    assert list(found.columns) == ["x"]
    assert found.rows["weight"].tolist() == [0.5, 3.0, 1.0]
    with pytest.raises(DataError, match=r"row 2, column 'w': '-3' is not a number from 0$"):
        read(["id,x,w,ripe", "a,1,0.5,0", "b,2,-3,1"], own)


def test_groups_come_from_a_column_or_from_a_file_of_their_own() -> None:
    lines = ["id,x,ripe", "a.jpg,1,0", "b.jpg,2,1"]
    by_id = competition(validation={"split": "group", "folds": 2, "group": "id"}, columns={})
    assert read(lines, by_id).beside["id"].tolist() == ["a.jpg", "b.jpg"]
    own = competition(
        validation={"split": "group", "folds": 2, "group": "signer"},
        files={"groups": "signers.csv"},
        columns={},
    )
    groups = LAYOUT.raw / "signers.csv"
    groups.write_text("signer,img\ns2,b\ns1,a\n", encoding="utf-8")
    assert read(lines, own).beside["signer"].tolist() == ["s1", "s2"]
    groups.write_text("signer,img\ns2,b\ns1,c\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"signers\.csv: 1 of 2 training ids are not in column 'i"):
        read(lines, own)
    groups.write_text("img\nb\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"signers\.csv: column 'signer', which validation names"):
        read(lines, own)


def test_a_number_of_a_regression_keeps_its_digits() -> None:
    own = competition(task="regression", metric="rmse", columns={}, classes=None)
    found = read(["id,x,ripe", "a,1,0.1", "b,2,3", "c,3,1e-7"], own)
    assert found.rows["target"].tolist() == ["0.1", "3.0", "1e-07"]
    with pytest.raises(DataError, match=r"row 2, column 'ripe': 'ripe' is not a number$"):
        read(["id,x,ripe", "a,1,0.1", "b,2,ripe"], own)


def test_a_dropped_column_that_is_missing_is_named() -> None:
    own = competition(columns={"drop": ["stone"]})
    with pytest.raises(DataError, match=r"column 'stone', which columns names, is missing$"):
        read(good_lines(), own)


def test_a_column_of_folds_is_not_learnt_from() -> None:
    own = competition(validation={"split": "column", "column": "fold"}, columns={})
    found = read(["id,x,fold,ripe", "a,1,0,0", "b,2,-1,1"], own)
    assert list(found.columns) == ["x"]
    assert found.beside["fold"].tolist() == ["0", "-1"]


@given(st.binary(max_size=200))
def test_random_bytes_never_end_in_another_error(content: bytes) -> None:
    TRAIN.write_bytes(content)
    with pytest.raises(DataError, match=r"train\.csv: ") as caught:
        read()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("first", [0, 1])
def test_rows_without_ids_have_the_numbers_that_the_sample_has(first: int) -> None:
    numbers = list(range(first, first + 4))
    lines = [line.partition(",")[2] for line in good_lines(6)]
    (LAYOUT.raw / "test.csv").write_text("\n".join(line.rpartition(",")[0] for line in lines[:5]))
    form = LAYOUT.raw / "sample_submission.csv"
    form.write_text("id,ripe\n" + "".join(f"{number},0\n" for number in numbers))
    rows = read(lines).rows
    parts = {part: table["id"].tolist() for part, table in rows.groupby("part")}
    assert parts == {
        "train": [str(first + row) for row in range(6)],
        "test": [str(number) for number in numbers],
    }
    for other in ("id,ripe\n7,0\n8,0\n9,0\n5,0\n", "number,ripe\n1,0\n2,0\n3,0\n4,0\n"):
        form.write_text(other)
        with pytest.raises(
            DataError, match=r"^data/avocado/raw/train\.csv: column 'id' is missing"
        ):
            read(lines)


def write(**tables: str) -> None:
    for name, text in tables.items():
        (LAYOUT.raw / f"{name}.csv").write_text(text.replace(" ", "\n") + "\n")


def own(target: str | list[str], task: str, **values: Any) -> Competition:
    """A competition of any table."""
    return competition(target=target, task=task, columns={}, classes=None, **values)


def test_labels_in_a_table_of_their_own_are_matched_by_id() -> None:
    write(train="id,x 1,0.5 2,1.5 3,2.5", labels="y,id b,3 a,1 c,2")
    mine = own("y", "multiclass", files={"labels": "labels.csv"})
    found = read(own=mine)
    assert found.rows["target"].tolist() == ["a", "c", "b"]
    assert list(found.columns) == ["x"]
    for text in ("y,id b,3 a,1", "y,id b,3 a,1 c,2 c,2", "y,id b,3 a,1 c,7"):
        write(labels=text)
        with pytest.raises(DataError, match=r"labels\.csv: its ids are not those of train\.csv"):
            read(own=mine)


def test_a_column_for_each_class() -> None:
    write(train="id,x,b,a,c 1,0.5,1,0,0 2,1.5,0.0,1.0,0.0 3,2.5,0,0,1")
    mine = own(["b", "a", "c"], "multiclass")
    found = read(own=mine)
    assert found.rows["target"].tolist() == ["b", "a", "c"]
    assert list(classes_of(mine, found.rows["target"].tolist(), {}, "")) == ["b", "a", "c"]
    for row, count in (("1,1,0", 2), ("0,0,0", 0)):
        write(train=f"id,x,b,a,c 1,0.5,1,0,0 2,1.5,{row} 3,2.5,0,0,1")
        with pytest.raises(DataError, match=rf"^row 2: {count} of the target's 3 columns are 1,"):
            read(own=mine)


def test_a_date_is_a_feature_even_if_it_is_the_id() -> None:
    write(train="id,x,y 2020-01-01,0.5,1 2020-01-02,1.5,2", test="id,x 2020-01-03,2")
    found = read(own=own("y", "regression"))
    assert found.rows["id"].tolist() == ["2020-01-01", "2020-01-02", "2020-01-03"]
    assert found.columns["id"].dt.day.tolist() == [1, 2, 3]
    write(train="id,x,y 2020-01-01,0.5,1 2020-01-01,1.5,2")
    with pytest.raises(DataError, match=r"column 'id': '2020-01-01' is in row 1 already"):
        read(own=own("y", "regression"))


def test_a_training_table_without_ids_and_a_test_table_with_more_columns() -> None:
    write(train="x,y 0.5,1 1.5,2", test="id,x,when 7,2,3 8,3,4")
    mine = own("y", "regression")
    with pytest.raises(DataError, match=r"column 'when' is one too many"):
        read(own=mine)
    found = read(own=changed(mine, columns={"drop": ["when"]}))
    assert found.rows["id"].tolist() == ["1", "2", "7", "8"]
    assert list(found.columns) == ["x"]


def shop(**files: Any) -> Competition:
    return changed(
        competition(id="id", target="sales", task="regression", metric="rmse"),
        files={"train": "train.csv", "test": "test.csv"} | files,
        columns={},
        classes=None,
        validation={"split": "kfold", "folds": 2},
    )


def test_tables_that_describe_a_value_are_joined() -> None:
    for name, text in {
        "test.csv": "id,shop,size\n4,c,8\n5,a,9\n",
        "shops.csv": "shop,size,town\na,10,x\nb,20,y\n",
        "sizes.csv": "shop;weight\na;1\nb;3\nc;2\n",
    }.items():
        (LAYOUT.raw / name).write_text(text)
    lines = ["id,shop,size,sales", "1,a,5,1", "2,b,6,2", "3,a,7,3"]
    # The size that both parts have is a shared column, so that a shop's size needs another name.
    (LAYOUT.raw / "shops.csv").write_text("shop,area,town\na,10,x\nb,20,y\n")
    columns = read(lines, shop(joined=["shops.csv", "sizes.csv"])).columns
    assert list(columns) == ["shop", "size", "area", "town", "weight"]
    np.testing.assert_array_equal(columns["area"], [10, 20, 10, np.nan, 10])
    np.testing.assert_array_equal(columns["weight"], [1, 3, 1, 2, 1])
    (LAYOUT.raw / "shops.csv").write_text("shop,area\na,10\na,20\n")
    with pytest.raises(DataError, match=r"^shops\.csv: has several rows for the same shop"):
        read(lines, shop(joined=["shops.csv"]))
    (LAYOUT.raw / "shops.csv").write_text("store,area\na,10\nb,20\n")
    with pytest.raises(DataError, match=r"^shops\.csv: shares no column with the training and"):
        read(lines, shop(joined=["shops.csv"]))


def test_several_columns_make_up_the_ids() -> None:
    (LAYOUT.raw / "test.csv").write_text("shop,day,size\na,3,8\nb,3,9\n")
    lines = ["shop,day,size,sales", "a,1,5,1", "b,1,6,2", "a,2,7,3"]
    own = changed(shop(), id="{shop}_{day}")
    found = read(lines, own)
    assert found.rows["id"].tolist() == ["a_1", "b_1", "a_2", "a_3", "b_3"]
    assert list(found.columns) == ["shop", "day", "size"]
    with pytest.raises(DataError, match=r"'a_1' is in row 1 already"):
        read([*lines, "a,1,9,9"], own)


def test_histories_are_summarized_and_keys_may_have_other_names() -> None:
    for name, text in {
        "test.csv": "id,shop,size\n4,c,8\n5,a,9\n",
        "shops.csv": "shop,code,town\n7,a,x\n8,b,y\n",
        "visits_train.csv": "id,n\n1,5\n1,7\n2,9\n",
        "visits_test.csv": "id,n\n4,1\n4,2\n",
    }.items():
        (LAYOUT.raw / name).write_text(text)
    lines = ["id,shop,size,sales", "1,a,5,1", "2,b,6,2", "3,a,7,3"]
    own = shop(
        joined=["shops.csv"],
        histories=["visits_train.csv", "visits_test.csv"],
        keys={"shops.csv": {"shop": "code"}},
    )
    columns = read(lines, own).columns
    assert columns["shops_shop"].tolist()[:2] == [7, 8]
    assert columns["town"].isna().tolist() == [False, False, False, True, False]
    np.testing.assert_array_equal(columns["visits_train_n_mean"], [6, 9, np.nan, 1.5, np.nan])
    np.testing.assert_array_equal(columns["visits_train_rows"], [2, 1, np.nan, 2, np.nan])
    with pytest.raises(DataError, match=r"^shops\.csv: column 'no', which files\.keys names, is"):
        read(lines, shop(joined=["shops.csv"], keys={"shops.csv": {"shop": "no"}}))


def test_rows_without_a_target_are_the_test_rows_of_one_table() -> None:
    lines = ["id,shop,sales", "1,a,1", "2,b,", "3,a,3", "4,b,NA"]
    found = read(lines, shop(test="train.csv"))
    assert found.rows["part"].tolist() == ["train", "train", "test", "test"]
    assert found.rows["id"].tolist() == ["1", "3", "2", "4"]
    assert found.rows["target"].tolist() == ["1.0", "3.0", "", ""]


def test_a_target_of_amounts() -> None:
    found = read(["id,shop,sales", '1,a,"$1,200"', "2,b,$80.50", "3,a,7"], shop())
    assert found.rows["target"].tolist() == ["1200.0", "80.5", "7.0"]
