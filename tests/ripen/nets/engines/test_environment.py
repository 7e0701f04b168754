import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from ripen.core.errors import EngineUnavailable
from ripen.core.layout import Layout
from ripen.nets.engines.engine import RealEngine
from ripen.nets.engines.environment import SCRIPT, VARIABLE, dependencies, interpreter
from ripen.settings import compose as config
from ripen.stages.settings import compose

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


def test_the_script_pins_all_that_it_needs() -> None:
    found = dict(line.split("==") for line in dependencies(SCRIPT))
    assert found["kendryte-caffe"] == "1.0.0.20210829"
    assert found["numpy"].startswith("1.")
    assert tuple(map(int, found["protobuf"].split(".")[:2])) < (3, 21)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('# /// script\n# dependencies = ["a==1", "b==2"]\n# ///\nx = 1\n', ["a==1", "b==2"]),
        ("# /// script\n#\n# dependencies = [\n#   'a',\n# ]\n# ///\n# ///\n", ["a"]),
    ],
)
def test_a_scripts_metadata(tmp_path: Path, text: str, expected: list[str]) -> None:
    (tmp_path / "x.py").write_text(text)
    assert dependencies(tmp_path / "x.py") == expected


def test_a_script_without_metadata(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text('"""# /// script"""\n')
    with pytest.raises(ValueError, match="has no block"):
        dependencies(tmp_path / "x.py")


def test_the_environment_has_what_the_script_pins(real: RealEngine) -> None:
    if VARIABLE in os.environ:
        pytest.skip(f"{VARIABLE} names another environment")
    pip = [str(interpreter()), "-I", "-m", "pip", "list", "--format", "freeze"]
    done = subprocess.run(pip, capture_output=True, text=True, check=True)
    installed = {line.lower() for line in done.stdout.split()}
    assert set(dependencies(SCRIPT)) <= installed


def test_where_there_is_no_cpython_3_9(bare: Path) -> None:
    advice = r"needs CPython 3\.9, .*'uv python install 3\.9'.*engine=torch"
    with pytest.raises(EngineUnavailable, match=advice) as caught:
        interpreter()
    assert "\n" not in str(caught.value)


def test_another_python_of_that_name_is_not_taken(bare: Path) -> None:
    (bare / "bin" / "python3.9").symlink_to(sys.executable)
    with pytest.raises(EngineUnavailable, match=r"needs CPython 3\.9, and there is none"):
        interpreter()


def test_the_named_python_is_taken_or_missed(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, sys.executable)
    assert interpreter() == Path(sys.executable)
    monkeypatch.setenv(VARIABLE, str(bare / "nothing"))
    with pytest.raises(EngineUnavailable, match=rf"{VARIABLE} is '.*/nothing': no such program"):
        interpreter()


def test_wheels_that_are_not_found(
    real: RealEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    expected = r"cannot be installed: ERROR: No matching distribution found for \S+==\S+\. A Python"
    with pytest.raises(EngineUnavailable, match=expected):
        interpreter()
    assert not list(tmp_path.glob("ripen/*/complete"))


def test_a_stage_gives_the_reason_in_one_line(bare: Path) -> None:
    layout = Layout("avocado")
    values, _ = compose(["competitions=[avocado]", "engine=real"], ROOT / "conf")
    (bare / "params.yaml").write_text(config.dump(values), encoding="utf-8")
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
    expected = "fit@avocado.net: real Caffe 1.0 needs CPython 3.9, and there is"
    assert done.stderr.startswith(expected), done.stderr
    assert done.stderr.count("\n") == 1
    assert not (bare / layout.model("net")).exists()
