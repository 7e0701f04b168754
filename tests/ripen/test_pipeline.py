"""dvc.yaml declares all that decides a result, and `dvc status` names exactly what must run again.

`track` decides no result: it writes to MLflow, whose runs nothing reads back. So it is no stage's
dependency, and a change of it runs nothing.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, chdir, contextmanager
from copy import deepcopy
from functools import cache
from pathlib import Path

import grimp
import pytest
import yaml
from dvc.repo import Repo
from dvc.utils import strictyaml
from dvc.utils.serialize import _yaml

from ripen.settings import compose as config
from ripen.settings import yaml_files
from ripen.stages import settings
from ripen.stages.__main__ import STAGES
from tests.ripen.conftest import ROOT, Clone

DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
COMPETITIONS = ("avocado", "digits", "cats_vs_dogs")
# What `dvc status` takes grows with the instances, so there are some of each stage and no more.
CHOSEN = (
    f"competitions=[{','.join(COMPETITIONS)}]",
    *(f"models.{name}=null" for name in ("logistic_regression", "k_nearest_neighbors")),
    "competition.avocado.models.gaussian_nb=null",
    "competition.digits.models.gaussian_nb=null",
    "competition.digits.models.random_forest=null",
    *(f"competition.cats_vs_dogs.models.{name}=null" for name in ("scratch", "head")),
    "competition.cats_vs_dogs.models.svm_features=null",
    *(
        f"competition.cats_vs_dogs.models.{name}_{features}=null"
        for name in ("logistic_regression", "gaussian_nb", "k_nearest_neighbors", "random_forest")
        for features in ("histogram", "features")
    ),
    "competition.cats_vs_dogs.models.logistic_regression_thumbnail=null",
)
UNTRACED = "ripen.track"
CAFFE = "packages/caffe/src/caffe"
NOT_CALLED = {
    "generate": ("ripen.judge",),  # for the hook `draw`, which `evaluate` calls
}


def definition(stage: str) -> dict[str, list[str]]:
    """Return a stage of dvc.yaml, its template where it has instances."""
    found: dict[str, list[str]] = DVC[stage].get("do", DVC[stage])
    return found


def module(stage: str) -> str:
    """Return the name of the module that a stage runs."""
    command = str(definition(stage)["cmd"])
    # So that an experiment in a folder of its own runs that folder's code, not the installed one.
    assert command.startswith("PYTHONPATH=src:packages/caffe/src python -m ripen.stages ")
    return command.split()[4]


def layers() -> list[str]:
    """Return the rooms of src/ripen, the highest first, as the linter holds them apart."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for contract in tomllib.loads(text)["tool"]["importlinter"]["contracts"]:
        if contract["type"] == "layers":
            return [part.strip() for layer in contract["layers"] for part in layer.split("|")]
    raise AssertionError("no contract of layers")


# --- What dvc.yaml declares ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("ripen", "caffe", cache_dir=None)


def registries() -> dict[str, str]:
    """Return the packages whose modules are imported by the way, by the module that does it."""
    found = {}
    for file in (ROOT / "src" / "ripen").rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        name = ".".join(file.relative_to(ROOT / "src").with_suffix("").parts)
        name = name.removesuffix(".__init__")
        if package := re.search(r'Registry\("[\w ]+", "([\w.]+)"\)', text):
            found[name] = package[1]
    return found


def imported(graph: grimp.ImportGraph, modules: Iterable[str], without: Iterable[str]) -> set[str]:
    """Return modules and all that they import, registered modules and packages included."""
    found: set[str] = set()
    waiting, registered = set(modules), registries()
    while waiting:
        one = waiting.pop()
        found.add(one)
        more = graph.find_modules_directly_imported_by(one) | {one.rpartition(".")[0]} - {""}
        if one in registered:
            more |= graph.find_descendants(registered[one])
        waiting |= {each for each in more - found if not each.startswith(tuple(without))}
    return found


def places(modules: Iterable[str]) -> set[str]:
    """Return the dependencies that hold modules with code: folders of rooms, and stages' files."""
    found = set()
    for one in modules:
        parts = one.split(".")
        if parts[0] == "caffe":
            found.add(CAFFE)
        elif parts[1:2] == ["stages"] and len(parts) > 2:
            found.add(f"src/ripen/stages/{parts[2]}.py")
        elif len(parts) > 1 and parts[1] not in ("stages", "competitions"):
            found.add(f"src/ripen/{parts[1]}")
    return found


def test_each_stage_runs_a_module_of_its_own_or_shares_one() -> None:
    assert {module(stage) for stage in DVC} == set(STAGES)
    shared = {stage: module(stage) for stage in DVC if module(stage) != stage}
    assert shared == {"generate": "fetch", "colours": "features", "finetune": "fit"}


@pytest.mark.parametrize("stage", DVC)
def test_a_stage_depends_on_the_code_that_it_imports(stage: str, graph: grimp.ImportGraph) -> None:
    modules = {f"ripen.stages.{module(stage)}", "ripen.stages.__main__"}
    without = [UNTRACED, *NOT_CALLED.get(stage, ())]
    if "${item.code}" in definition(stage)["deps"]:
        modules |= graph.find_descendants("ripen.competitions")
    needed = places(imported(graph, modules, without))
    declared = {dep for dep in definition(stage)["deps"] if "src/" in dep and "$" not in dep}
    assert needed <= declared
    # No others, but the file without code that stands where a stage has no own code.
    assert declared - needed <= {settings.NOTHING}


@pytest.mark.parametrize("stage", DVC)
def test_the_rooms_of_a_stage_are_below_it(stage: str) -> None:
    rooms = [dep for dep in definition(stage)["deps"] if dep.startswith("src/ripen/")]
    names = {f"ripen.{dep.split('/')[2]}" for dep in rooms if not dep.endswith(".py")}
    below = layers()[layers().index("ripen.stages") + 1 :]
    assert names <= set(below)
    # A room is allowed to import what is below it; what it does import is declared (above).
    assert "ripen.core" in names


@pytest.mark.parametrize("stage", DVC)
def test_the_settings_of_a_stage_exist(stage: str) -> None:
    values, _ = settings.compose([f"competitions=[{','.join(COMPETITIONS)}]"], ROOT / "conf")
    for name, item in values["graph"].get(stage, {}).items():
        for param in definition(stage).get("params", []):
            key = param.replace("${key}", name)
            for field, value in item.items():
                key = key.replace(f"${{item.{field}}}", value)
            section = values
            for part in key.split("."):
                assert part in section, key
                section = section[part]


def test_every_setting_of_a_competition_is_one_of_a_stage() -> None:
    used = {
        param.removeprefix("competition.").split(".")[1]
        for stage in DVC
        if stage != "report"  # which shows all
        for param in definition(stage).get("params", [])
        if "item." not in param
    }
    used |= {
        param.split("}.", 1)[1].partition(".")[0]
        for stage in DVC
        for param in definition(stage).get("params", [])
        if "item." in param
    }
    known = {key.partition(".")[0] for key in config.keys(settings.Competition)}
    assert known == used


def test_the_picture_is_short() -> None:
    assert len((ROOT / "dvc.yaml").read_text(encoding="utf-8").splitlines()) <= 200
    assert len((ROOT / "params.yaml").read_text(encoding="utf-8").splitlines()) <= 250


# --- What `dvc status` names ---------------------------------------------------------------------


def fill(folder: Path, stage: dict[str, list[str]], item: dict[str, str], key: str) -> None:
    """Leave what an instance of a stage would: a file for each output."""
    for out in [*stage.get("outs", []), *stage.get("metrics", [])]:
        path = out if isinstance(out, str) else next(iter(out))
        for name, value in {"key": key, **{f"item.{k}": v for k, v in item.items()}}.items():
            path = path.replace(f"${{{name}}}", value)
        place = folder / path
        if not place.suffix:
            place = place / "file"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(path, encoding="utf-8")


@pytest.fixture(scope="module")
def parsed_once() -> Iterator[None]:
    """DVC parses params.yaml anew for each stage: most of the time of a status."""
    parse = cache(_yaml.parse_yaml)
    with pytest.MonkeyPatch.context() as patched:
        for module in (_yaml, strictyaml):
            patched.setattr(module, "parse_yaml", lambda *args, **kw: deepcopy(parse(*args, **kw)))
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, parsed_once: None) -> Clone:
    """A clone in which everything counts as reproduced: outputs are stand-ins, and committed."""
    clone = Clone(tmp_path_factory.mktemp("made") / "ripen")
    compose(clone, *CHOSEN)
    values = yaml_files.read(clone.path / "params.yaml")
    for stage in DVC:
        for key, item in values["graph"].get(stage, {}).items():
            fill(clone.path, definition(stage), item, key)
    for name in COMPETITIONS:  # the part of raw/ that models begin with
        pretrained = clone.path / f"data/{name}/raw/pretrained/file"
        pretrained.parent.mkdir(parents=True, exist_ok=True)
        pretrained.write_text(name)
        for file in ("calibration.csv", "decisions.json"):  # of evaluate, for predict
            (clone.path / f"data/{name}/evaluate" / file).write_text(name)
    (clone.path / "dvc.lock").unlink(missing_ok=True)
    with chdir(clone.path), Repo() as repo:
        repo.commit(force=True)
    return clone


def compose(clone: Clone, *overrides: str) -> None:
    """Write a clone's params.yaml."""
    values, _ = settings.compose(overrides, clone.path / "conf")
    (clone.path / "params.yaml").write_text(yaml_files.dump(values), encoding="utf-8")


def status(clone: Clone) -> set[str]:
    """Return the instances that `dvc status` names."""
    with Repo(str(clone.path)) as repo:
        return {name.rpartition(":")[2] for name in repo.status()}


@contextmanager
def changed(clone: Clone, path: str, old: str = "", new: str = "\n# a comment\n") -> Iterator[None]:
    """Change a file of a clone for a while: append to it, or replace a text."""
    file = clone.path / path
    before = file.read_text(encoding="utf-8")
    assert old in before
    text = before.replace(old, new) if old else before + new
    file.write_text(text, encoding="utf-8")
    try:
        yield
    finally:
        file.write_text(before, encoding="utf-8")


def instances(clone: Clone, *stages: str) -> set[str]:
    """Return all instances of stages."""
    graph = yaml_files.read(clone.path / "params.yaml")["graph"]
    return {
        name
        for stage in stages
        for name in ([stage] if stage == "settings" else [f"{stage}@{key}" for key in graph[stage]])
    }


NETS = (
    "settings", "weights", "generate", "features", "colours", "sweep", "fit", "finetune", "blend",
)  # fmt: skip
LEARN = ("settings", "generate", "sweep", "fit", "finetune", "blend", "evaluate")
DATA = ("settings", "weights", "fetch", "generate", "prepare", *NETS[3:], "evaluate", "report")


def file_of(room: str) -> str:
    """Return a file with code of a room."""
    files = sorted((ROOT / room).rglob("*.py"), key=lambda file: -file.stat().st_size)
    return files[0].relative_to(ROOT).as_posix()


NO_STAGES = ("track", "kaggle", "entry", "bundle", "serve", "cli")


def test_nothing_has_to_run_where_only_what_decides_no_result_has_changed(made: Clone) -> None:
    with ExitStack() as edits:
        for room in NO_STAGES:
            edits.enter_context(changed(made, file_of(f"src/ripen/{room}")))
        for file in ("docs/explanations/architecture.md", "tests/ripen/test_pipeline.py"):
            edits.enter_context(changed(made, file))
        assert status(made) == set()


@pytest.mark.parametrize(
    ("room", "stages"),
    [
        ("src/ripen/core", tuple(DVC)),
        ("src/ripen/settings", tuple(DVC)),
        ("src/ripen/competition", tuple(stage for stage in DVC if stage != "weights")),
        ("src/ripen/data", DATA),
        (CAFFE, (*NETS, "evaluate")),
        ("src/ripen/nets", (*NETS, "evaluate")),
        ("src/ripen/learn", LEARN),
        ("src/ripen/judge", ("sweep", "evaluate", "predict", "report")),
    ],
)
def test_an_edit_in_a_room_runs_what_reads_it(
    made: Clone, room: str, stages: tuple[str, ...]
) -> None:
    with changed(made, file_of(room)):
        assert status(made) == instances(made, *stages)


@pytest.mark.parametrize(
    ("path", "stages"),
    [
        ("src/ripen/stages/__main__.py", tuple(DVC)),
        ("src/ripen/stages/settings.py", ("settings",)),
        ("src/ripen/stages/fetch.py", ("fetch", "generate")),
        ("src/ripen/stages/fit.py", ("fit", "finetune")),
        ("src/ripen/stages/report.py", ("report",)),
        ("conf/solver/sgd.yaml", ("settings",)),
    ],
)
def test_an_edit_of_a_file_runs_what_reads_it(
    made: Clone, path: str, stages: tuple[str, ...]
) -> None:
    with changed(made, path):
        assert status(made) == instances(made, *stages)


def test_every_room_is_tried() -> None:
    rooms = {folder.name for folder in (ROOT / "src" / "ripen").iterdir() if folder.is_dir()}
    (own,) = (
        mark.args[1]
        for mark in test_an_edit_in_a_room_runs_what_reads_it.pytestmark  # type: ignore[attr-defined]
    )
    tried = {room.rsplit("/", 1)[-1] for room, _ in own} | {*NO_STAGES}
    assert rooms - tried - {"__pycache__"} == {"stages", "competitions"}


def test_a_competitions_own_code_runs_that_one_alone(made: Clone) -> None:
    with changed(made, "src/ripen/competitions/avocado/distribution.py"):
        assert status(made) == {"generate@avocado", "evaluate@avocado"}


def test_a_competitions_file_runs_that_one_alone(made: Clone) -> None:
    with changed(made, "conf/competition/avocado.yaml", "n_test: 10000", "n_test: 9000"):
        assert status(made) == {"settings"}  # which asks for `ripen compose`
        with changed(made, "params.yaml"):
            compose(made, *CHOSEN)
            expected = {"settings", "generate@avocado", "evaluate@avocado", "report@avocado"}
            assert status(made) == expected


def test_the_settings_of_a_model_run_that_one_alone(made: Clone) -> None:
    with changed(made, "params.yaml"):
        compose(made, *CHOSEN, "competition.avocado.models.random_forest.n_estimators=100")
        assert status(made) == {"settings", "fit@avocado.random_forest", "report@avocado"}


SQUEEZENET = {
    "features@cats_vs_dogs.squeezenet",
    "finetune@cats_vs_dogs.full",
    "weights@squeezenet",
}


def test_a_nets_contract_runs_what_takes_the_net(made: Clone) -> None:
    with changed(made, "models/squeezenet/readme.md", "mean: [104", "mean: [103"):
        assert status(made) == SQUEEZENET


def test_a_nets_weights_run_what_takes_the_net(made: Clone) -> None:
    with changed(made, "models/squeezenet/squeezenet.caffemodel"):
        assert status(made) == SQUEEZENET  # of `weights` it is the output


def test_a_pretrained_net_runs_what_is_trained_further(made: Clone) -> None:
    with changed(made, "data/digits/raw/pretrained/file"):
        named = status(made)
        assert {f"fit@digits.{model}" for model in ("net", "head", "scratch")} <= named
        assert not {name for name in named if name.startswith("fit@digits.svm")}
        assert all("digits" in name for name in named)


def test_another_version_of_torch_runs_everything(made: Clone) -> None:
    with changed(made, "constraints.txt", "torch==", "torch==9."):
        assert status(made) == instances(made, *DVC)
