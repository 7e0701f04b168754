"""The benchmark's arithmetic, and one small run of it; no time is asserted."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.frozen_features import table
from ripen.core.errors import EngineUnavailable
from ripen.nets.engines.engine import interpreter

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def test_the_usual_way_is_extrapolated_by_the_count():
    lines = table(before=2.0, after=4.0, ours=1.5, once=(60.0, 40.0), n=5, budget=1000)
    assert "1000 would take 2000 s" in lines[0]
    assert "1000 would take 1500 s" in lines[1]
    assert lines[-1].endswith(": 20.0")


def test_a_small_run_comes_to_the_same_weights(mirror):
    try:
        interpreter()
    except EngineUnavailable as reason:
        pytest.skip(str(reason))
    small = {"pictures": 12, "epochs": 2, "side": 83, "batch": 4, "iterations": 2, "threads": 1}
    done = subprocess.run(  # by itself, since it sets the number of threads
        [sys.executable, "-m", "benchmarks.frozen_features"]
        + [word for key, value in small.items() for word in (f"--{key}", str(value))],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": "src:packages/caffe/src"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    text = done.stdout
    assert text.startswith("12 photographs, 6 iterations of 4\n")
    (found,) = re.findall(r"after 2 iterations: relative difference (\S+)\n", text)
    assert float(found) < 1e-4
