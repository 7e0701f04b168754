import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from caffe.real import VARIABLE
from ripen.core.errors import EngineUnavailable
from ripen.core.layout import Layout
from ripen.nets.engines.engine import interpreter
from tests.ripen.stages.conftest import ROOT, write_params


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


@pytest.mark.slow
def test_a_stage_gives_the_reason_in_one_line(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout("avocado")
    monkeypatch.chdir(bare)
    write_params("competitions=[avocado]", "engine=real")
    prepared = bare / layout.prepared
    prepared.mkdir(parents=True)
    rows = "".join(f"{i},train,{i % 2},,{i // 2 - 1},\n" for i in range(4))
    (prepared / "index.csv").write_text(f"id,part,target,group,fold,problem\n{rows}")
    (prepared / "classes.json").write_text('{"0": "0", "1": "1"}')
    pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0]}).to_parquet(prepared / "table.parquet")
    sources = os.pathsep.join(str(ROOT / part) for part in ("src", "packages/caffe/src"))
    done = subprocess.run(
        [sys.executable, "-m", "ripen.stages", "fit", "avocado", "net"],
        cwd=bare,
        env=os.environ | {"PYTHONPATH": sources},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    expected = "fit@avocado.net: real Caffe 1.0 needs CPython 3.9, which was"
    assert done.stderr.startswith(expected), done.stderr
    assert done.stderr.count("\n") == 1
    assert not (bare / layout.model("net")).exists()
