"""dvc.yaml declares what each stage reads: the code that its module imports, and its settings."""

from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest
import yaml

from ripen.settings import compose as config
from ripen.settings.graph import STAGES_OF, competitions_of
from ripen.settings.schema import COMPETITIONS
from ripen.stages import STAGES

ROOT = Path(__file__).parents[2]
CAFFE = "packages/caffe/src/caffe"
DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("ripen", "caffe", cache_dir=None)


def imported(graph: grimp.ImportGraph, *modules: str) -> set[str]:
    """Return modules, all they import, and the packages that importing those runs."""
    found: set[str] = set()
    waiting = set(modules)
    while waiting:
        module = waiting.pop()
        found.add(module)
        package = {module.rpartition(".")[0]} - {""}
        waiting |= (graph.find_modules_directly_imported_by(module) | package) - found
    return found


def source_files(modules: set[str]) -> Iterator[str]:
    """Yield the files of modules that hold code, and the templates and tables named as one.

    What is in caffe counts as its folder.
    """
    for module in modules:
        path = Path("src", *module.split("."))
        file = path / "__init__.py" if (ROOT / path).is_dir() else path.with_suffix(".py")
        if module.partition(".")[0] == "caffe":
            yield CAFFE
        elif (ROOT / file).stat().st_size:
            yield file.as_posix()
            beside = (ROOT / file).parent
            for template in [
                *beside.glob(f"{file.stem}.*.jinja"),
                *beside.glob(f"{file.stem}.csv"),
            ]:
                yield template.relative_to(ROOT).as_posix()


def test_the_stages_are_those_of_dvc_yaml() -> None:
    assert tuple(DVC) == STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_code_that_it_imports(stage: str, graph: grimp.ImportGraph) -> None:
    modules = imported(graph, f"ripen.stages.{stage}", "ripen.stages.__main__")
    declared = {dep for dep in DVC[stage]["deps"] if dep.startswith("src/") or dep == CAFFE}
    assert declared == set(source_files(modules))


@pytest.mark.parametrize("stage", STAGES)
def test_the_settings_of_a_stage_exist(stage: str) -> None:
    known = set(config.keys())
    for name in filter(lambda name: stage in STAGES_OF[name], COMPETITIONS):
        params = [p.replace("${item.competition}", name) for p in DVC[stage].get("params", [])]
        assert set(params) <= known


@pytest.mark.parametrize("stage", STAGES[1:])
def test_a_stage_runs_for_the_competitions_that_need_it(stage: str) -> None:
    assert DVC[stage]["matrix"] == {"competition": f"${{graph.{stage}}}"}
    needing = [name for name in COMPETITIONS if stage in STAGES_OF[name]]
    assert competitions_of(stage, COMPETITIONS) == needing
    assert competitions_of(stage, needing[:1]) == needing[:1]


def test_every_competition_goes_through_stages_that_there_are() -> None:
    assert set(STAGES_OF) == set(COMPETITIONS)
    assert all(set(through) <= set(STAGES) for through in STAGES_OF.values())


def test_every_setting_belongs_to_a_stage() -> None:
    used = {
        p.replace("${item.competition}", "avocado")
        for s in DVC.values()
        for p in s.get("params", [])
    }
    known = config.keys()
    top = {key.partition(".")[0] for key in known}
    # Which competitions run is the matrix; how it is tracked changes no result.
    assert top - {param.partition(".")[0] for param in used} == {
        "competitions",
        "graph",
        # Where trials are kept and who runs them change no result either.
        "launcher",
        "study",
        # Named by the sections of the competition that take them in.
        "baselines",
        "evaluate",
        "learning_curve",
        "net",
        "overrides",
        "predict",
        "prepare",
        "reproducibility",
        "solver",
        "sweep",
        "threads",
        "tracking",
        "train",
    }
