"""A competition's own code is found by its name, and nothing else knows of it."""

import importlib
import pkgutil
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import ripen.competitions
from ripen.competition.own import code, features, features_code, hook, transformers
from ripen.core.errors import DataError
from ripen.core.layout import Layout
from ripen.settings.compose import available, changed
from ripen.settings.schema import Competition
from tests.ripen.conftest import ROOT

HOOKS = ("generate", "bayes", "draw")
PACKAGES = [module.name for module in pkgutil.iter_modules(ripen.competitions.__path__)]


@pytest.mark.parametrize("name", PACKAGES)
def test_own_code_is_of_a_competition_and_its_functions_are_hooks(name: str) -> None:
    assert name in available(ROOT / "conf")
    package = importlib.import_module(f"ripen.competitions.{name}")
    assert package.__doc__
    assert code(name) == Path("src/ripen/competitions") / name
    for function in HOOKS:
        assert hook(name, function) is getattr(package, function, None)


@pytest.mark.parametrize("function", HOOKS)
def test_a_competition_without_own_code_has_no_hooks(function: str) -> None:
    assert hook("titanic", function) is None


def test_without_own_code_a_stage_depends_on_the_empty_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    assert code("titanic") == Path("src/ripen/competitions/__init__.py")
    assert code("titanic").is_file()


def test_a_competition_whose_package_lacks_a_hook() -> None:
    assert hook("avocado", "nothing") is None
    assert hook("digits", "bayes") is None


@pytest.fixture
def toast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Write `features.py` of a competition `toast`, in a folder that is the working one."""
    folder = tmp_path / "src/ripen/competitions/toast"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ripen.competitions, "__path__", [str(folder.parent)])

    def write(text: str) -> Path:
        for name in list(sys.modules):
            if name.startswith("ripen.competitions.toast"):
                monkeypatch.delitem(sys.modules, name)
        file = folder / "features.py"
        file.write_text(f"import pandas as pd\nfrom sklearn.preprocessing import *\n{text}")
        importlib.invalidate_caches()
        return file

    return write


TABLE = pd.DataFrame({"a": [1.0, 2.0, 4.0, 8.0], "b": ["x", None, "y", "z"]})


def test_features_are_other_columns_by_row(toast: Callable[[str], Path]) -> None:
    file = toast("def features(frame):\n    return frame.assign(c=frame.a * 2)")
    pd.testing.assert_frame_equal(features("toast", TABLE), TABLE.assign(c=TABLE.a * 2))
    assert features_code("toast") == file.relative_to(Path.cwd())
    assert transformers("toast") == []


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("frame.assign(c=frame.a / frame.a.mean())", r"column 'c' of a row depends on other rows"),
        ("frame.dropna()", r"features must return a table of the 4 rows given"),
        ("frame.a", r"features must return a table of the 4 rows given"),
        ("pd.get_dummies(frame)", r"column 'b_[yz]' of a row depends on other rows"),
    ],
)
def test_features_that_learn_from_rows_are_refused(
    toast: Callable[[str], Path], returned: str, message: str
) -> None:
    toast(f"def features(frame):\n    return {returned}")
    with pytest.raises(DataError, match=rf"^src/ripen/competitions/toast/features.py: {message}"):
        features("toast", TABLE)


def test_transformers_are_the_competitions_own(toast: Callable[[str], Path]) -> None:
    toast("def transformers():\n    return [StandardScaler()]")
    (own,) = transformers("toast")
    assert type(own).__name__ == "StandardScaler"
    pd.testing.assert_frame_equal(features("toast", TABLE), TABLE)


def test_without_features_a_table_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for name in ("avocado", "titanic"):
        assert features(name, TABLE) is TABLE
        assert transformers(name) == []
        assert features_code(name) == Path("src/ripen/competitions/__init__.py")


def test_the_bayes_rule_is_known_of_generated_avocados_alone(
    make_competition: Callable[..., Competition],
) -> None:
    bayes = hook("avocado", "bayes")
    assert bayes is not None
    competition = changed(make_competition("avocado"), source={"kaggle": "avocado"})
    assert bayes(competition, Layout("avocado")) is None


def test_the_judge_knows_no_competition_by_name() -> None:
    source = ROOT / "src/ripen"
    files = [path for room in ("judge", "competition") for path in (source / room).rglob("*.py")]
    files += [source / f"stages/{stage}.py" for stage in ("evaluate", "predict", "report")]
    for file in files:
        text = file.read_text(encoding="utf-8")
        for name in available(ROOT / "conf"):
            assert f'"{name}"' not in text, (file, name)
