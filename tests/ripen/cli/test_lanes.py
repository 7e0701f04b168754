"""Which stages of a run go side by side."""

import pytest

from ripen.cli.lanes import LEVELS, Phase, lanes, ordered, phases, targets
from ripen.settings import yaml_files
from tests.ripen.conftest import ROOT

STAGES = ["settings", "fetch@a", "fit@a.svm", "fit@a.net", "fit@b.svm"]
BESIDE = ["settings", "weights@squeezenet", "fetch@a", "fetch@b", "fit@a.net", "fit@b.net"]
ALL = [
    "settings", "fetch@a", "fetch@b", "sweep@a", "sweep@b", "fit@a.svm", "fit@a.net", "fit@b.svm",
    "report@a", "report@b",
]  # fmt: skip
COSTS = {
    "sweep@a": 50.0,
    "sweep@b": 50.0,
    "fit@a.net": 10.0,
    "fit@a.svm": 8.0,
    "fit@b.svm": 4.0,
} | {"finetune@a.whole": 300.0, "finetune@b.whole": 300.0}
GRAPH: dict[str, dict[str, object]] = {
    "features": {},
    "finetune": {},
    "weights": {"squeezenet": {}},
}


@pytest.mark.parametrize(
    ("users", "jobs", "expected"),
    [
        ([], 1, [BESIDE]),
        ([], 4, [["settings", "weights@squeezenet", *BESIDE[2::2]], BESIDE[3::2]]),
        # Both read the weights of a net, which one of them writes.
        (["a", "b"], 4, [BESIDE]),
        (["b"], 4, [["settings", "weights@squeezenet", *BESIDE[3::2]], BESIDE[2::2]]),
    ],
)
def test_competitions_run_side_by_side_where_they_share_no_output(
    users: list[str], jobs: int, expected: list[list[str]]
) -> None:
    graph = {"features": {}, "finetune": {f"{name}.net": {"competition": name} for name in users}}
    assert lanes(BESIDE, graph, ["a", "b"], jobs) == expected


def models(changed: list[str], times: dict[str, float], jobs: int = 2) -> list[list[str]]:
    """Return the lanes in which models go side by side; none where there is one phase."""
    found = phases(ALL, changed, GRAPH, ["a", "b"], jobs, times, COSTS)
    return found[1].lanes if len(found) > 1 else []


def test_the_longest_models_come_first_and_the_lanes_are_as_long() -> None:
    times = {"fit@a.svm": 3.0, "fit@a.net": 4.0, "sweep@a": 4.0, "fit@b.svm": 6.0, "sweep@b": 1.0}
    # A sweep finds the settings of its net.
    assert models(["fetch@a", "fetch@b"], times) == [
        ["sweep@a", "fit@a.net", "sweep@b"],
        ["fit@b.svm", "fit@a.svm"],
    ]
    # By their costs, where nothing has run; in seconds of those that have, where some are new.
    assert models(["fetch@a", "fetch@b"], {}, jobs=3) == [
        ["sweep@a", "fit@a.net"],
        ["sweep@b"],
        ["fit@a.svm", "fit@b.svm"],
    ]
    known = {"sweep@a": 5.0, "sweep@b": 1.0, "fit@a.net": 1.0, "fit@b.svm": 0.1}
    assert models(["fetch@a", "fetch@b"], known) == [  # fit@a.svm: 8 times .0625
        ["sweep@a", "fit@a.net"],
        ["sweep@b", "fit@a.svm", "fit@b.svm"],
    ]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (["fetch@b"], {"sweep@b", "fit@b.svm"}),
        (["fit@a.svm", "fit@b.svm"], {"fit@a.svm", "fit@b.svm"}),
        (["fit@a.svm", "report@b"], set()),  # one alone needs no company
        (["settings"], set()),
    ],
)
def test_only_models_that_will_run_are_shared_out(changed: list[str], expected: set[str]) -> None:
    assert {stage for lane in models(changed, {}) for stage in lane} == expected
    assert models(changed, {}, jobs=1) == []


def test_every_stage_is_in_one_phase_and_nothing_runs_where_nothing_has_changed() -> None:
    found = phases(ALL, ["fetch@a", "fetch@b"], GRAPH, ["a", "b"], 2, {}, COSTS)
    assert sorted(s for phase in found for lane in phase.lanes for s in lane) == sorted(ALL)
    assert [phase.alone for phase in found] == [False, True, False]
    assert phases(ALL, [], GRAPH, ["a", "b"], 2, {}, COSTS) == []
    whole = phases(ALL, ["report@a"], GRAPH, ["a", "b"], 2, {}, COSTS)
    assert whole == [Phase(lanes(ALL, GRAPH, ["a", "b"], 2))]


def test_dvc_is_told_the_last_stages_alone() -> None:
    first = ["settings", "weights@n", "fetch@a", "prepare@a", "features@a.n", "fetch@b"]
    assert targets(first) == ["settings", "weights@n", "features@a.n", "fetch@b"]
    assert targets(["blend@a", "evaluate@a", "predict@a", "report@a", "evaluate@b"]) == [
        "predict@a", "report@a", "evaluate@b",
    ]  # fmt: skip


def test_dvc_reaches_every_stage_from_the_last_ones() -> None:
    """By the dependencies and outputs that dvc.lock names."""
    locked = yaml_files.read(ROOT / "dvc.lock")["stages"]
    paths = {
        (stage, key): [f"{each['path']}/" for each in entry.get(key, [])]
        for stage, entry in locked.items()
        for key in ("deps", "outs")
    }
    reached, left = set[str](), targets(list(locked))
    assert left == [
        "settings", "predict@avocado", "predict@digits", "report@avocado", "report@digits",
    ]  # fmt: skip
    while left:
        stage = left.pop()
        reached.add(stage)
        left += [
            other
            for other in set(locked) - reached
            for out in paths[other, "outs"]
            if any(dep.startswith(out) or out.startswith(dep) for dep in paths[stage, "deps"])
        ]
    assert reached == set(locked)
    stages = yaml_files.read(ROOT / "dvc.yaml")["stages"]
    assert {kind for kinds in LEVELS for kind in kinds} == set(stages) - {"settings", "weights"}


def test_all_models_run_anew_with_the_weights_that_they_may_read() -> None:
    stages = ["weights@squeezenet", *ALL, "finetune@a.whole", "finetune@b.whole"]
    found = phases(stages, ["weights@squeezenet"], GRAPH, ["a", "b"], 8, {}, COSTS)
    # A fine-tuning takes too much memory for two at once.
    assert sorted(found[1].lanes) == [
        ["finetune@a.whole", "finetune@b.whole"],
        ["fit@a.svm"],
        ["fit@b.svm"],
        ["sweep@a", "fit@a.net"],
        ["sweep@b"],
    ]


def test_new_entries_of_the_lock_are_in_the_order_of_one_process() -> None:
    entries = {name: f"  {name}:\n    cmd: {name}\n    deps:\n    - path: x\n" for name in STAGES}
    head = "schema: '2.0'\nstages:\n"
    by_time = ["fit@b.svm", "settings", "fit@a.net", "fit@a.svm"]
    lock = head + "".join(entries[name] for name in by_time)
    expected = [name for name in STAGES if name in by_time]
    assert ordered(lock, "", STAGES) == head + "".join(entries[name] for name in expected)
    # What it had stays where it was.
    before = head + entries["fit@b.svm"] + entries["settings"]
    kept = ["fit@b.svm", "settings", "fit@a.svm", "fit@a.net"]
    assert ordered(lock, before, STAGES) == head + "".join(entries[name] for name in kept)
    assert ordered("", "", STAGES) == ""
