"""Targets, tasks and forms, each rule on small tables."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from ripen.core.errors import DataError
from ripen.data.raw_rows import with_tags
from ripen.entry import facts
from ripen.entry.facts import Goal, goal_of, target_of
from ripen.entry.files import Table
from ripen.entry.sample_ids import Id, id_of
from tests.ripen.entry.tables import TEST, table


def column(name: str, values: Sequence[object], *more: Sequence[object]) -> Table:
    columns = {"id": [str(i) for i in range(len(values))], name: [str(v) for v in values]}
    columns |= {f"{name}{k}": [str(v) for v in each] for k, each in enumerate(more)}
    return Table("sample.csv", pd.DataFrame(columns))


def never(key: str, options: Sequence[str], reason: str) -> str:
    raise AssertionError(f"asked for {key}: {reason}")


def first(key: str, options: Sequence[str], reason: str) -> str:
    return options[0]


@pytest.mark.parametrize(
    ("train", "sample", "target", "dropped"),
    [
        ("key,x,y\n", "key,y\n", ["y"], []),
        ("key,x,y,z\n", "key,y\n", ["y"], ["z"]),
        ("key,x,y,z\n", "key,z,y\n", ["z", "y"], []),
        ("key,x,kind\n", "key,prediction\n", ["kind"], []),
        ("key,x,kind,w\n", "key,A,B\n", ["kind"], ["w"]),
    ],
)
def test_the_target_is_what_the_test_part_lacks(
    train: str, sample: str, target: list[str], dropped: list[str]
) -> None:
    values = {"key": ["c", "d"], "x": ["1", "2"], "kind": ["A", "B"], "w": ["7", "8"]}
    frame = pd.DataFrame({name: values.get(name, ["0", "1"]) for name in train.strip().split(",")})
    form = table("sample.csv", sample + ",".join("a" for _ in sample.split(",")))
    found = target_of(Table("train.csv", frame), TEST, form, Id("key", "key", ""), never)
    assert (found[0], found[2]) == (target, dropped)


def test_an_empty_target_in_the_test_part_is_the_target() -> None:
    train, sample = (
        table("train.csv", "key,x,y\nc,1,0\nd,2,1\n"),
        table("s.csv", "key,y\na,0\nb,0\n"),
    )
    for value in ("", "0", "NaN"):
        test = table("test.csv", f"key,x,y\na,1,{value}\nb,2,{value}\n")
        found = target_of(train, test, sample, Id("key", "key", ""), never)
        assert (found[0], found[2]) == (["y"], [])


def test_a_column_that_the_test_part_has_nothing_in_is_lacking() -> None:
    train = table("train.csv", "key,x,y,z\nc,1,0,3\nd,2,1,4\n")
    test = table("test.csv", "key,x,y,z\na,1,,NA\nb,2,,NA\n")
    sample = table("s.csv", "key,Probability\na,0.1\nb,0.2\n")
    found = target_of(train, test, sample, Id("key", "key", ""), first)
    assert (found[0], found[2]) == (["y"], ["z"])


def test_a_melted_sample_names_the_targets() -> None:
    train = table("train.csv", "key,x,u,v\nc,1,0,1\nd,2,1,0\n")
    sample = table("sample.csv", "row,y\na_u,0\na_v,0\nb_u,0\nb_v,0\n")
    assert target_of(train, TEST, sample, id_of(sample, TEST), never)[0] == ["u", "v"]


def test_of_several_candidates_the_most_alike_comes_first() -> None:
    train = table("train.csv", "key,x,cost,log_price\nc,1,2,3\n")
    sample = table("sample.csv", "key,price\na,0\n")
    asked: list[tuple[str, list[str]]] = []

    def ask(key: str, options: Sequence[str], reason: str) -> str:
        asked.append((key, list(options)))
        return options[0]

    assert target_of(train, TEST, sample, Id("key", "key", ""), ask)[0] == ["log_price"]
    assert asked == [("target", ["log_price", "cost"])]


def test_a_day_is_no_target() -> None:
    train = table(
        "train.csv", "key,x,date,price,count_day\nc,1,01.02.2020,3,4\nd,1,02.02.2020,3,4\n"
    )
    sample = table("sample.csv", "key,count_month\na,0\n")
    found = target_of(train, TEST, sample, Id("key", "key", ""), first)
    assert (found[0], found[2]) == (["count_day"], ["date", "price"])


def test_no_target_is_one_line() -> None:
    sample, id = table("sample.csv", "key,y\na,0\nb,0\n"), Id("key", "key", "")
    with pytest.raises(DataError, match=r"^train\.csv: no target found: .* asks for: y$"):
        target_of(table("train.csv", "key,x\nc,1\n"), TEST, sample, id, never)


def test_prefixes_before_classes() -> None:
    target = pd.Series(["A", "B", "A"])
    assert facts.columns_of(target, ["B", "A"]) == {"A": "A", "B": "B"}
    assert facts.columns_of(target, ["is_B", "is_A"]) == {"A": "is_A", "B": "is_B"}
    assert facts.columns_of(target, ["A", "C"]) == {}
    assert facts.columns_of(pd.Series(["1", "2"]), ["Class_1", "Class_2"])["2"] == "Class_2"


WORDS = ["red", "green", "blue"]
GOALS = {
    "a label": (["0", "1", "1", "0"], ["0", "1"], ("binary", "label")),
    "a word of two": (["no", "yes"], ["no", "no"], ("binary", "label")),
    "a probability": (["0", "1", "1"], ["0.5", "0.5"], ("binary", "probability")),
    "a number for words": (["no", "yes"], ["0", "0"], ("binary", "label")),
    "a fraction for words": (["no", "yes"], ["0.5", "0.5"], ("binary", "probability")),
    "one of three": (WORDS, ["red", "red"], ("multiclass", "label")),
    "best three of five": (
        [*WORDS, "black", "white"], ["red green blue", "red green blue"], ("multiclass", "labels")
    ),
    "a fraction": (["0.5", "2", "3"], ["0", "0"], ("regression", "value")),
    "many whole numbers": ([str(i) for i in range(30)], ["0", "1"], ("regression", "value")),
    "ranks, sample of fractions": (["1", "2", "3"] * 5, ["2.1", "2.1"], ("regression", "value")),
    "numbers with gaps": (["0", "10", "25"] * 5, ["0", "0"], ("regression", "value")),
    "numbers, some rare": (
        [str(k) for k in range(8) for _ in range(9 - k)], ["0", "0"], ("regression", "value")
    ),
    "a rare class": (["0"] * 19 + ["1"], ["0", "0"], ("binary", "probability")),
    "zeros written as fractions": (["0", "1"], ["0.0", "0.0"], ("binary", "probability")),
    "digits": (["0", "1", "2"] * 5, ["0", "0"], ("multiclass", "label")),
}  # fmt: skip


@pytest.mark.parametrize("name", GOALS)
def test_one_column(name: str) -> None:
    target, given, goal = GOALS[name]
    sample = column("y", given)
    found = goal_of(pd.DataFrame({"y": target}), sample, Id("id", "id", ""), None, first)
    assert (found.task, found.submission) == goal


@pytest.mark.parametrize(
    ("metric", "form"), [("probability", "probability"), ("label", "label"), (None, "label")]
)
def test_zeros_in_the_sample_are_what_the_metric_needs(metric: str | None, form: str) -> None:
    sample = column("y", ["0", "0"])
    ask = first if metric is None else never
    for classes in (["0", "1"], ["cat", "dog"]):
        target = pd.DataFrame({"y": classes})
        assert goal_of(target, sample, Id("id", "id", ""), metric, ask).submission == form


@pytest.mark.parametrize(("name", "form"), [("has_cactus", "probability"), ("label", "label")])
def test_the_name_of_a_column_of_zeros_may_say_what_it_holds(name: str, form: str) -> None:
    sample = column(name, ["0", "0"])
    target = pd.DataFrame({name: ["0", "1", "1", "0"]})
    assert goal_of(target, sample, Id("id", "id", ""), None, first).submission == form


@pytest.mark.parametrize(
    ("name", "values", "found"),
    [
        ("quality", ["3", "4", "5"], True),
        ("quality", ["3", "5", "6"], False),  # a gap
        ("diagnosis", ["0", "1"], False),
        ("label", ["3", "4", "5"], False),
        ("stage", ["I", "II", "III"], False),
    ],
)
def test_steps_of_a_scale(name: str, values: list[str], found: bool) -> None:
    assert facts.grades(pd.Series(values * 2, name=name)) is found


def test_several_columns() -> None:
    id = Id("id", "id", "")
    sample = column("y", ["0", "0"], ["0", "0"])
    both = pd.DataFrame({"y": ["0", "1"], "y0": ["1", "1"]})
    assert goal_of(both, sample, id, None, never) == Goal(
        "multilabel", "probability", "2 columns of 0 and 1", "2 columns", {}
    )
    numbers = pd.DataFrame({"y": ["0.5", "1"], "y0": ["1", "7"]})
    assert goal_of(numbers, sample, id, None, never).task == "regression"
    with pytest.raises(DataError, match="several targets must be numbers.*holds 'b'$"):
        goal_of(numbers.assign(y0=["1", "b"]), sample, id, None, never)
    classes = pd.DataFrame({"kind": ["A", "B"]})
    more = Table("s.csv", pd.DataFrame([["1", "0", "0", "0"]], columns=["id", "A", "B", "C"]))
    with pytest.raises(DataError, match=r"^s\.csv: asks for the probability of C too"):
        goal_of(classes, more, id, None, never)
    one = pd.DataFrame({"y": ["1", "0", "0"], "y0": ["0", "1", "0"], "y1": ["0", "0", "1"]})
    assert goal_of(one, sample, id, None, never).task == "multiclass"
    assert goal_of(one, sample, id, "probability", never, ("multilabel",)).task == "multilabel"
    assert goal_of(one.assign(y="1"), sample, id, None, never).task == "multilabel"
    named = Table("s.csv", pd.DataFrame({"id": ["1"], "p_B": ["0"], "p_A": ["1"]}))
    found = goal_of(classes, named, id, None, never)
    assert (found.task, found.submission) == ("binary", "probability")
    assert found.classes == {"A": "p_A", "B": "p_B"}


@pytest.mark.parametrize("mark", [" ", ", ", "|"])
def test_several_labels_in_a_cell(mark: str) -> None:
    rows = ["a b", "b a", "a", "b", "b c", "c"]
    cells = pd.DataFrame({"tags": [row.replace(" ", mark) for row in rows]})
    goal = goal_of(cells, column("tags", ["a b"]), Id("id", "id", ""), None, never)
    assert (goal.task, goal.submission, goal.tags) == ("multilabel", "labels", ["a", "b", "c"])
    found = with_tags(cells.assign(id="1"), "tags", goal.tags, Path("train.csv"))
    assert found.to_dict("list") == {
        "id": ["1"] * 6,
        "a": ["1", "1", "1", "0", "0", "0"],
        "b": ["1", "1", "0", "1", "1", "0"],
        "c": ["0", "0", "0", "0", "1", "1"],
    }
    with pytest.raises(DataError, match=r"train\.csv: column 'tag', which columns\.tags names"):
        with_tags(cells, "tag", ["a"], Path("train.csv"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("EncodedPixels", "1 4"), ("PredictionString", "0.5 10 10 50 50"), ("mask_rle", "")],
)
def test_what_is_out_of_reach_is_one_line(name: str, value: str) -> None:
    with pytest.raises(DataError, match=r"looks like masks, boxes or strings\. ripen predicts"):
        goal_of(
            pd.DataFrame({"y": ["a", "b"]}), column(name, [value]), Id("id", "id", ""), None, never
        )
    many = [f"t{k} t{k + 1}" for k in range(300)] + [f"t{k}" for k in range(200)]
    tags = pd.DataFrame({"tags": many})
    with pytest.raises(DataError, match=r"holds several of 301 labels a row\. .* at most 200"):
        goal_of(tags, column("tags", ["a b"]), Id("id", "id", ""), None, never)
    texts = pd.DataFrame({"y": [f"a text {i}" for i in range(100)]})
    with pytest.raises(DataError, match=r"100 different texts in 100 rows\. ripen predicts"):
        goal_of(texts, column("y", ["text"]), Id("id", "id", ""), None, never)
    with pytest.raises(DataError, match=r"has one value \(2 rows of 0\): nothing to predict"):
        goal_of(
            pd.DataFrame({"y": ["0", "0"]}), column("y", ["0"]), Id("id", "id", ""), None, never
        )
