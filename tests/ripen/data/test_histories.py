"""Histories: one row for each entity, by numbers that pandas gives for each group."""

import pandas as pd

from ripen.data.histories import summary

ORDERS = pd.DataFrame(
    {
        "who": ["a", "b", "a", "b", "a"],
        "day": ["2020-01-03", "2020-01-01", "2020-01-01", "2020-01-05", ""],
        "paid": ["30", "5", "10", "", "2"],
        "kind": ["x", "y", "y", "y", "x"],
        "what": ["one of a kind", "two of it", "none at all", "more of it", "no"],
    }
)


def test_each_entity_has_one_row_of_numbers_and_levels() -> None:
    found = summary(ORDERS, ["who"], "orders.csv").set_index("who")
    assert found.columns.str.startswith("orders_").all()
    found.columns = found.columns.str.removeprefix("orders_")
    expected = {
        "rows": ["2", "3"],
        "paid_mean": ["5.0", "14.0"],
        "paid_min": ["5.0", "2.0"],
        "paid_max": ["5.0", "30.0"],
        "paid_last": ["5.0", "2.0"],  # in the order of the days, a blank one last
        "day_max": ["18266.0", "18264.0"],  # days since 1970
        "kind_different": ["1", "2"],
        "kind_last": ["y", "x"],
        "kind_y_share": ["1.0", repr(1 / 3)],
        "paid_of_kind_x": ["", "16.0"],
        "paid_of_kind_y": ["5.0", "10.0"],
    }
    assert found.loc[["b", "a"], list(expected)].to_dict("list") == expected
    assert not [name for name in found if name.startswith("what_rows")]


def test_the_order_of_the_file_counts_without_a_time() -> None:
    found = summary(ORDERS.drop(columns="day"), ["who"], "orders.csv").set_index("who")
    assert found.loc["a", "orders_paid_last"] == "2.0"
    assert found.loc["b", "orders_paid_last"] == "5.0"  # the last that is known
