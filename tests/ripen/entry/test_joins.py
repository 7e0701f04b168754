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
        ("shop,size\na,1\na,2\nb,3\n", ""),  # a shop twice
        ("shop\na\nb\n", ""),  # nothing more
        ("shop,sales\na,1\nb,2\n", ""),  # the target
        ("town,size\na,1\n", ""),
    ],
)
def test_one_row_for_each_value(other: str, keys: str) -> None:
    found = joins.of_tables(TRAIN, TEST, [TRAIN, TEST, table("more.csv", other)], ["sales"])
    assert found == ({"more.csv": keys} if keys else {})
