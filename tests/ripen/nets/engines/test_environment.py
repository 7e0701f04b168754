import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ripen.competition.datasets.prepared import Part, write_part

from ripen.core.errors import EngineUnavailable
from ripen.core.layout import Layout
from ripen.nets.engines.environment import VARIABLE, interpreter
from ripen.settings import compose as config
from ripen.settings.schema import Config

ROOT = Path(__file__).parents[4]


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home in which nothing is installed; return it."""
    (tmp_path / "bin").mkdir()
    for name, value in (("HOME", tmp_path), ("PATH", tmp_path / "bin")):
        monkeypatch.setenv(name, str(value))
    for name in (VARIABLE, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_where_there_is_no_cpython_3_9(bare: Path) -> None:
    advice = r"needs CPython 3\.9, .*'uv python install 3\.9'.*engine=torch"
    with pytest.raises(EngineUnavailable, match=advice) as caught:
        interpreter()
    assert "\n" not in str(caught.value)


def test_a_stage_says_it_in_one_line(bare: Path, make_config: Callable[..., Config]) -> None:
    shutil.copytree(ROOT / "conf", bare / "conf")
    composed = config.dump(config.compose(["engine=real"], ROOT / "conf"))
    (bare / "params.yaml").write_text(composed, encoding="utf-8")
    prepared = bare / Layout("avocado").prepared
    prepared.mkdir(parents=True)
    rows = Part(np.arange(4), np.zeros((4, 2), np.float32), np.arange(4) % 2)
    for name in ("train", "validation", "test", "more"):
        write_part(prepared, name, rows)
    done = subprocess.run(
        [sys.executable, "-m", "ripen.stages", "train", "avocado"],
        cwd=bare,
        env=os.environ | {"PYTHONPATH": f"{ROOT}/src:{ROOT}/packages/caffe/src"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("train@avocado: real Caffe 1.0 needs CPython 3.9, which was")
    assert done.stderr.count("\n") == 1
    assert not (bare / Layout("avocado").train).exists()
