"""Reads damaged files of every format, and prints what came of it.

    python -m tests.fuzz --cases 10000 --seed 0

Each finding is written to `tests/fuzz/found/`: the damaged file, and its outcome in `outcomes.txt`.
"""

import argparse
import hashlib
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random

import ripen  # noqa: F401 - before caffe: it keeps the log of Caffe to warnings
from tests.fuzz.children import MEGABYTE, Case, Outcome, run
from tests.fuzz.subjects import SUBJECTS, Subject

FOUND = Path(__file__).parent / "found"
BATCH = 200  # cases in memory at once
KINDS = ("value", "error", "exception", "crash", "hang", "memory", "partial file")


def drawn(count: int, seed: int, names: Sequence[str] = ()) -> Iterator[tuple[Subject, Case]]:
    """Yield cases: the same for the same seed, but for the temporary folder that a state names."""
    random = Random(seed)
    subjects = [SUBJECTS[name] for name in names or SUBJECTS]
    weights = [each.weight for each in subjects]
    seeds = {each.name: each.seed() for each in subjects}
    for _ in range(count):
        (subject,) = random.choices(subjects, weights)
        content = seeds[subject.name]
        for _ in range(random.choice((1, 1, 1, 2, 4))):
            if content:
                content = random.choice(subject.mutations)(content, random)
        yield subject, subject.case(content)


def outcomes(
    count: int, seed: int, names: Sequence[str] = ()
) -> Iterator[tuple[Subject, Case, Outcome]]:
    """Yield drawn cases with their outcomes."""
    cases = drawn(count, seed, names)
    while batch := list(islice(cases, BATCH)):
        ran = run([case for _, case in batch])
        for (subject, _), (case, outcome) in zip(batch, ran, strict=True):
            yield subject, case, outcome


def main() -> int:
    """Run the cases, print a line for each format, and return 1 if something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", default=[], choices=SUBJECTS)
    parser.add_argument("--found", type=Path, default=FOUND, help="where findings are written")
    chosen = parser.parse_args()
    counts: dict[str, Counter[str]] = {}
    worst: Counter[str] = Counter()
    for subject, case, outcome in outcomes(chosen.cases, chosen.seed, chosen.only):
        counts.setdefault(subject.name, Counter())[outcome.kind] += 1
        worst[subject.name] = max(worst[subject.name], outcome.memory)
        if outcome.found:
            _keep(chosen.found, subject, case, outcome)
    print(f"{'format':<18}{'cases':>7}", *(f"{kind:>12}" for kind in KINDS), "  worst MB")
    for name, count in counts.items():
        row = (f"{count[kind]:>12}" for kind in KINDS)
        print(f"{name:<18}{count.total():>7}", *row, f"{worst[name] / MEGABYTE:>10.0f}")
    total = sum(counts.values(), Counter[str]())
    row = (f"{total[kind]:>12}" for kind in KINDS)
    print(f"{'all':<18}{total.total():>7}", *row, f"{max(worst.values()) / MEGABYTE:>10.0f}")
    return int(any(total[kind] for kind in KINDS[2:]))


def _keep(folder: Path, subject: Subject, case: Case, outcome: Outcome) -> None:
    name = hashlib.sha256(case.content).hexdigest()[:12]
    target = folder / subject.name.replace(" ", "_") / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(case.content)
    with (folder / "outcomes.txt").open("a", encoding="utf-8") as file:
        text = " ".join(outcome.text.split())
        file.write(f"{target.relative_to(folder)}\t{outcome.kind}\t{text}\n")


if __name__ == "__main__":
    sys.exit(main())
