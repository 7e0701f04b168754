"""Damaged files give a value or one of our own errors; see `python -m tests.fuzz`."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from ripen.core.errors import DataError
from tests.fuzz import children, cuts, disk
from tests.fuzz.__main__ import FOUND, outcomes
from tests.fuzz.children import Case, run
from tests.fuzz.kills import caffe_train
from tests.fuzz.subjects import SUBJECTS

KEPT = sorted(path for path in FOUND.rglob("*") if path.parent != FOUND and path.is_file())


def _raise(error: Exception) -> None:
    raise error


def _half(path: Path) -> None:
    path.with_suffix(".half").touch()
    raise DataError("stopped")


@pytest.mark.parametrize(
    ("read", "kind", "text"),
    [
        (lambda path: path.read_bytes(), "value", ""),
        (lambda path: _raise(DataError("no table")), "error", "DataError: no table"),
        (lambda path: _raise(IndexError("4")), "exception", "IndexError: 4"),
        (lambda path: os.kill(os.getpid(), signal.SIGSEGV), "crash", "SIGSEGV"),
        (lambda path: bytearray(1 << 40), "exception", "MemoryError: "),
        (lambda path: all(iter(lambda: 1, 0)), "hang", "SIGPROF"),
        # Far more than is allowed: the child may free what its parent had left behind meanwhile.
        (lambda path: b"x" * 1_200_000_000, "memory", r"\d+ MB: "),
        (_half, "partial file", "x.half: DataError: stopped"),
    ],
)
def test_each_kind_of_outcome(
    read: Callable[[Path], object], kind: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "hang":  # the others take the time that this machine needs
        monkeypatch.setattr(children, "SECONDS", 0.3)
    after = Case("y", b"", lambda path: None)
    (_, outcome), (_, next_one) = run([Case("x", b"", read), after])
    assert (outcome.kind, next_one.kind) == (kind, "value")
    assert re.fullmatch(text, outcome.text)


def test_every_seed_is_valid() -> None:
    ran = run([each.case(each.seed()) for each in SUBJECTS.values()])
    seen = {name: outcome for name, (_, outcome) in zip(SUBJECTS, ran, strict=True)}
    assert {name: each for name, each in seen.items() if each.kind != "value"} == {}


@pytest.mark.slow
def test_300_damaged_files() -> None:
    found = [
        (subject.name, outcome) for subject, _, outcome in outcomes(300, seed=2026) if outcome.found
    ]
    assert found == []


def test_what_was_found_is_mended() -> None:
    cases = [SUBJECTS[each.parent.name.replace("_", " ")].case(each.read_bytes()) for each in KEPT]
    found = [
        (path.name, outcome)
        for path, (_, outcome) in zip(KEPT, run(cases), strict=True)
        if outcome.found
    ]
    assert found == []


@pytest.mark.parametrize("form", ["BINARYPROTO", "HDF5"])
def test_killed_training_leaves_whole_snapshots_and_goes_on_exactly(form: str) -> None:
    counts = caffe_train(3, 2026, form)
    assert (counts["kills"], counts["ended exactly"] > 0) == (3, True)
    assert counts["temporary files"] == 0 or not hasattr(os, "O_TMPFILE")


@pytest.mark.parametrize(
    "name", ["HDF5Output", "HDF5 snapshot", "convert_imageset", "extract_features", "parse_log"]
)
def test_a_full_disk_leaves_nothing_half_written_and_stops_no_rerun(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    ((_, _, outcome),) = disk.of_writers([name], [0.6], None)
    assert (outcome.kind, outcome.text) == ("value", "")


@pytest.mark.parametrize("name", ["url", "kaggle", "list"])
def test_a_network_that_breaks_anywhere_ends_with_one_line_and_goes_on(name: str) -> None:
    counts = cuts.cut(name, 8, 2026)
    assert counts["one line"] + counts["whole in spite of it"] == 8
    assert counts["one line"] == counts["went on"] > 0
