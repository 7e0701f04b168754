"""A competition's own code is found by its name, and nothing else knows of it."""

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path

import pytest

import ripen.competitions
from ripen.competition.own import HOOKS, code, hook
from ripen.core.layout import Layout
from ripen.settings.compose import available, changed
from ripen.settings.schema import Competition
from tests.ripen.conftest import ROOT

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
