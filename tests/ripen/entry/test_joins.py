"""Which tables describe a value of the rows' columns."""

import pytest

from ripen.entry import joins
from tests.ripen.entry.test_facts import table

TRAIN = table("train.csv", "id,shop,day,sales\n1,a,1,5\n2,b,1,6\n3,a,2,7\n")
TEST = table("test.csv", "id,shop,day\n4,a,3\n5,b,3\n")


@pytest.mark.parametrize(
    ("other", "keys"),
    [
        ("shop,size\na,1\nb,2\n", "shop"),
        ("shop,size\nb,1\na,2\n", "shop"),
        ("shop,day,visits\na,1,5\nb,1,6\na,3,1\nb,3,2\n", "shop and day"),
        ("shop,day,visits\na,1,5\nb,1,6\na,2,7\n", ""),  # nothing of the test rows
        ("shop,day,opened\na,1990,5\nb,1995,6\n", "shop"),  # another day than the rows'
        ("shop,size\na,1\na,2\nb,3\n", ""),  # a shop twice, of few
        ("shop\na\nb\n", ""),  # nothing more
        ("shop,sales\na,1\nb,2\n", ""),  # the target
        ("town,size\na,1\n", ""),
    ],
)
def test_one_row_for_each_value(other: str, keys: str) -> None:
    found = joins.of_tables(TRAIN, TEST, [table("more.csv", other)], ["sales"], "id")
    assert found.settings == ({"joined": ["more.csv"]} if keys else {})
    assert found.reasons == ([f"more.csv describes each {keys}"] if keys else [])
    assert found.unused == ([] if keys else ["more.csv"])


@pytest.mark.parametrize(
    ("name", "other", "key"),
    [
        ("more.csv", "Shop_ID,size\na,1\nb,2\n", {"shop": "Shop_ID"}),
        ("shops.csv", "id,size\na,1\nb,2\n", {"shop": "id"}),
        ("shops.csv", "code,size\na,1\nb,2\n", {"shop": "code"}),
        ("shops.csv", "town,size\na,1\nb,2\n", None),  # another name
        ("more.csv", "id,size\na,1\nb,2\n", None),  # of whom?
        ("shops.csv", "id,size\nc,1\nd,2\n", None),  # others
    ],
)
def test_columns_that_are_named_alike(name: str, other: str, key: dict[str, str] | None) -> None:
    found = joins.of_tables(TRAIN, TEST, [table(name, other)], ["sales"], "id").settings
    assert found == ({"joined": [name], "keys": {name: key}} if key else {})


@pytest.mark.parametrize(
    ("other", "keys"),
    [
        ("id,paid\n1,5\n1,6\n4,7\n", {}),
        ("ID,paid\n1,5\n1,6\n4,7\n", {"more.csv": {"id": "ID"}}),
        ("id,paid\n1,5\n1,6\n2,7\n", None),  # nothing of the test rows
    ],
)
def test_several_rows_for_each_id(other: str, keys: dict[str, dict[str, str]] | None) -> None:
    found = joins.of_tables(TRAIN, TEST, [table("more.csv", other)], ["sales"], "id").settings
    expected = {"histories": ["more.csv"]} | ({"keys": keys} if keys else {})
    assert found == ({} if keys is None else expected)


def test_a_table_of_a_joined_tables_column() -> None:
    shops = table("shops.csv", "shop,town\na,x\nb,y\n")
    days = "".join(f"{town},{day},7\n" for town in "xy" for day in (1, 2, 3))
    weather = table("a_weather.csv", f"town,day,rain\n{days}")
    found = joins.of_tables(TRAIN, TEST, [weather, shops], ["sales"], "id")
    assert found.settings == {"joined": ["shops.csv", "a_weather.csv"]}
    assert found.reasons[1] == "a_weather.csv describes each town and day"


def test_several_rows_for_each_of_many_entities() -> None:
    shops = [f"s{k}" for k in range(12)]
    rows = "".join(f"{k},{shop},1\n" for k, shop in enumerate(shops))
    train = table("train.csv", f"id,shop,sales\n{rows}")
    test = table("test.csv", "id,shop\n98,s3\n99,s4\n")
    visits = table("visits.csv", "shop,n\n" + "".join(f"{shop},1\n{shop},2\n" for shop in shops))
    found = joins.of_tables(train, test, [visits], ["sales"], "id").settings
    assert found == {"histories": ["visits.csv"], "keys": {"visits.csv": {"shop": "shop"}}}


def test_a_history_in_a_table_for_each_part() -> None:
    visits = [table("visits_train.csv", "id,n\n1,5\n1,6\n2,8\n3,8\n"),
              table("visits_test.csv", "id,n\n4,5\n4,6\n5,8\n")]  # fmt: skip
    found = joins.of_tables(TRAIN, TEST, visits, ["sales"], "id")
    assert found.settings == {"histories": ["visits_train.csv", "visits_test.csv"]}
