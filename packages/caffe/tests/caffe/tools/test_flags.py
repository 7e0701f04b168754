"""Flags as gflags reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe.tools.flags import Flags


def flags() -> Flags:
    made = Flags("train", "Train.")
    made.add("solver", "", "the solver")
    made.add("iterations", 50, "how many")
    made.add("rate", 0.5, "a rate")
    made.add("lmdb", True, "a boolean")
    made.add("noise", "none", "starts with no")
    return made


@pytest.mark.parametrize(
    ("argv", "name", "value"),
    [
        ([], "iterations", 50),
        (["-solver", "x"], "solver", "x"),
        (["--solver", "x"], "solver", "x"),
        (["-solver=x"], "solver", "x"),
        (["--solver=x=y"], "solver", "x=y"),
        (["--solver="], "solver", ""),
        (["-solver", "-x"], "solver", "-x"),
        (["-iterations", "-3"], "iterations", -3),
        (["-rate=1e-3"], "rate", 1e-3),
        (["-lmdb"], "lmdb", True),
        (["-nolmdb"], "lmdb", False),
        (["--nolmdb"], "lmdb", False),
        (["--lmdb=false"], "lmdb", False),
        (["--lmdb=0"], "lmdb", False),
        (["--lmdb=True"], "lmdb", True),
        (["-noise=loud"], "noise", "loud"),
        (["-solver=x", "-solver=y"], "solver", "y"),
        (["--log-dir="], "log_dir", ""),
    ],
)
def test_values(argv, name, value):
    found = getattr(flags().parse(argv), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["-solvr=x"], "caffe train: unknown flag '-solvr'; did you mean --solver?"),
        (["-zzzzz"], "unknown flag '-zzzzz'; known: --help, --logtostderr"),
        (["-solver"], "caffe train: flag '--solver' needs a value"),
        (["-iterations=many"], "argument --iterations: invalid int value: 'many'"),
        (["-lmdb=maybe"], "argument --lmdb: 'maybe' is neither true nor false"),
        (["stray"], "unrecognized arguments: stray"),
        (["-nosolver"], "unknown flag '-nosolver'"),
    ],
)
def test_refusals_are_one_line(argv, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        flags().parse(argv)
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1


def test_positional_arguments_may_stand_anywhere():
    made = flags()
    made.add_argument("root")
    made.add_argument("list")
    found = made.parse(["a/", "-lmdb", "b.txt", "-rate", "2"])
    assert (found.root, found.list, found.rate) == ("a/", "b.txt", 2.0)
    assert made.parse(["--", "-a", "-b"]).root == "-a"


def test_help_shows_flags_and_defaults(capsys):
    with pytest.raises(SystemExit, match="0"):
        flags().parse(["-help"])
    printed = capsys.readouterr().out
    assert "--iterations" in printed
    assert "how many (default: 50)" in printed


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_any_value_round_trips(value):
    assert flags().parse([f"--solver={value}"]).solver == value
    assert flags().parse(["-solver", value]).solver == value
