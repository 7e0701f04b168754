"""The columns that hold the sample's ids, each rule on small tables."""

import pytest

from ripen.core.errors import DataError
from ripen.entry.sample_ids import id_of, looked_up, pattern_of
from tests.ripen.entry.tables import TEST, table


@pytest.mark.parametrize(
    ("sample", "found"),
    [
        ("key,y\nb,0\na,0\n", ("key", "key", ())),
        ("y,key\n0,b\n0,a\n", ("key", "key", ())),
        ("Key,y\na,0\nb,0\n", ("key", "Key", ())),
        ("key,y\na_u,0\na_v,0\nb_u,0\nb_v,0\n", ("key", "key", ("u", "v"))),
        ("row,y\na_u,0\nb_u,0\na_v,0\nb_v,0\n", ("key", "row", ("u", "v"))),
    ],
)
def test_the_id_is_what_sample_and_test_share(
    sample: str, found: tuple[str, str, tuple[str, ...]]
) -> None:
    id = id_of(table("sample.csv", sample), TEST)
    assert (id.name, id.in_sample, id.melted) == found


@pytest.mark.parametrize(
    ("sample", "pattern"),
    [
        ("Id,y\na_1_2020-01-01,0\na_1_2020-01-02,0\nb_2_2020-01-01,0\n", "{shop}_{no}_{day}"),
        ("Id,y\n2020-01-01 x a,0\n2020-01-02 x a,0\n2020-01-01 x b,0\n", "{day} x {shop}"),
        ("shop,day,y\na,2020-01-01,0\nb,2020-01-01,0\na,2020-01-02,0\n", "{shop}_{day}"),
        ("shop,day,y\na,2020-01-01,0\nb,2020-01-01,0\na,2020-01-09,0\n", ""),
        ("Id,y\na_1,0\nb_2,0\n", ""),  # twice in the test table
    ],
)
def test_ids_of_several_columns(sample: str, pattern: str) -> None:
    test = table(
        "test.csv", "shop,no,day,x\na,1,2020-01-01,5\na,1,2020-01-02,5\nb,2,2020-01-01,5\n"
    )
    assert pattern_of(table("sample.csv", sample), test) == pattern
    assert pattern_of(table("sample.csv", "key,y\na,0\nb,0\n"), TEST) == ""


@pytest.mark.parametrize(
    ("sample", "test", "message"),
    [
        ("n,y\n7,0\n8,0\n", "key,x\na,1\nb,2\n",
         r"^test\.csv: has no column of the ids of sample\.csv \('n': 7, …\)\. Add one"),
        ("key,y\na,0\nc,0\n", "key,x\na,1\nb,2\n",
         r"^sample\.csv: its ids are not those of test\.csv: c is not one$"),
        ("key,y\na,0\n", "key,x\na,1\nb,2\n",
         r"^sample\.csv: lacks 1 of the 2 ids of test\.csv, for instance b\. Give it a row for"),
        ("key,y\na,0\na,0\n", "key,x\na,1\na,2\n",
         r"^test\.csv: row 2, column 'key': 'a' is in an earlier row already\. An id must be"),
    ],
)  # fmt: skip
def test_ids_that_do_not_fit_are_one_line(sample: str, test: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        id_of(table("sample.csv", sample), table("test.csv", test))


def test_samples_without_ids_of_the_test_table_are_refused() -> None:
    both = table("test.csv", "day,text\n,a\n,b\n")
    with pytest.raises(
        DataError, match=r"s\.csv: has the columns of test\.csv, and neither has ids"
    ):
        id_of(table("s.csv", "y,day,text\n0,,a\n0,,b\n"), both)
    lookup = table("lookup.csv", "row,key,feature\n1,a,x\n2,a,y\n3,b,x\n")
    with pytest.raises(DataError, match=r"its ids are rows of lookup\.csv, several for each key"):
        looked_up(table("sample.csv", "row,y\n1,0\n2,0\n3,0\n"), TEST, [lookup])
    looked_up(table("sample.csv", "key,y\na,0\nb,0\n"), TEST, [TEST, lookup])
