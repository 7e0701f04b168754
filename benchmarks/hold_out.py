"""ripen beside AutoGluon: the same rows to learn from, the same rows of train.csv held out.

RIPEN_MIRROR=../shared/mirror python -m benchmarks.hold_out --minutes 5 --peer PYTHON

`PYTHON` is that of an environment with `autogluon.tabular[lightgbm,catboost,xgboost]`, which
nothing else needs; without it ripen runs alone. A share of the labelled rows is held out, whole
groups where the competition has groups, so no labels of the test part are needed. Both enter the
rest as a competition of its own: ripen by `ripen new --from` and `ripen run`, AutoGluon by
`best_quality`. What is scored is the submission.
"""

import argparse
import io
import os
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

ROOT = Path(__file__).parents[1]
COMPETITIONS = ("titanic", "house_prices", "spaceship_titanic", "flavia_leaf")
SHARE = 0.3  # of train.csv that is held out
NAME = "held_out"  # what ripen calls the competition
AUTOGLUON = {"rmsle": "root_mean_squared_error"}  # it learns log(1 + y), as ripen does
Facts = Mapping[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Hold out, let both learn, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--competitions", nargs="+", default=COMPETITIONS)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="of the hold-outs")
    parser.add_argument("--peer", help="the Python that has AutoGluon")
    parser.add_argument("--preset", default="default", help="ripen's")
    parser.add_argument("--only-peer", action="store_true")
    parser.add_argument("--autogluon", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.autogluon:
        autogluon(chosen.autogluon, chosen.minutes)
        return
    print(f"{'competition':<20} {'seed':>4} {'':<10} {'score':>8} {'minutes':>8} {'of cpu':>8}")
    rivals = {"AutoGluon": by_autogluon} if chosen.peer else {}
    if not chosen.only_peer:
        rivals["ripen"] = by_ripen
    for name in chosen.competitions:
        for seed in chosen.seeds:
            for rival, learn in rivals.items():
                with tempfile.TemporaryDirectory() as folder:
                    cut(name, seed, Path(folder))
                    before, start = _processor(), time.perf_counter()
                    learn(Path(folder), chosen)
                    minutes = (time.perf_counter() - start) / 60
                    cpu = (_processor() - before) / 60
                    score = scored(Path(folder))
                print(
                    f"{name:<20} {seed:>4} {rival:<10} {score:>8.5f} {minutes:>8.1f} {cpu:>8.1f}",
                    flush=True,
                )


def cut(name: str, seed: int, folder: Path) -> None:
    """Write `files` (train.csv, test.csv, the sample), `truth.csv` and `facts.yaml`."""
    from sklearn.model_selection import GroupShuffleSplit, train_test_split

    facts = yaml.safe_load((ROOT / f"conf/competition/{name}.yaml").read_text())
    slug = facts["source"]["kaggle"]
    sample_name = facts.get("files", {}).get("sample", "sample_submission.csv")
    with zipfile.ZipFile(Path(os.environ["RIPEN_MIRROR"]) / f"kaggle/{slug}/{slug}.zip") as archive:
        table, sample = (
            pd.read_csv(io.BytesIO(archive.read(each)), dtype=str, keep_default_na=False)
            for each in ("train.csv", sample_name)
        )
    rows, validation = np.arange(len(table)), facts["validation"]
    if group := validation.get("group"):
        groups = table[group].str.extract(validation["pattern"])[0]
        split = GroupShuffleSplit(1, test_size=SHARE, random_state=seed)
        kept, held = next(split.split(rows, groups=groups))
    else:
        alike = None if facts["task"] == "regression" else table[facts["target"]]
        kept, held = train_test_split(rows, test_size=SHARE, random_state=seed, stratify=alike)
    train, test = table.iloc[np.sort(kept)], table.iloc[np.sort(held)]
    files = folder / "files"
    files.mkdir()
    train.to_csv(files / "train.csv", index=False)
    test.drop(columns=facts["target"]).to_csv(files / "test.csv", index=False)
    form = sample.iloc[[0] * len(test)].assign(**{facts["id"]: test[facts["id"]].tolist()})
    form.to_csv(files / "sample_submission.csv", index=False)
    test[[facts["id"], facts["target"]]].to_csv(folder / "truth.csv", index=False)
    (folder / "facts.yaml").write_text(yaml.safe_dump(facts))


def scored(folder: Path) -> float:
    """Return the metric of `submission.csv`."""
    from sklearn.metrics import log_loss

    facts = yaml.safe_load((folder / "facts.yaml").read_text())
    truth = pd.read_csv(folder / "truth.csv", dtype=str)[facts["target"]]
    found = pd.read_csv(folder / "submission.csv", dtype={facts["id"]: str})
    if facts["metric"] == "accuracy":
        return float((found[facts["target"]].astype(str) == truth).mean())
    if facts["metric"] == "rmsle":
        error = np.log1p(found[facts["target"]]) - np.log1p(truth.astype(float))
        return float(np.sqrt((error**2).mean()))
    classes = found.drop(columns=facts["id"])
    return float(log_loss(truth, classes[sorted(classes)].to_numpy(), labels=sorted(classes)))


def by_ripen(folder: Path, chosen: argparse.Namespace) -> None:
    """Enter by a clone of the repository, with the facts that the shipped settings have."""
    facts, clone = yaml.safe_load((folder / "facts.yaml").read_text()), folder / "clone"
    _run(["git", "clone", "-q", str(ROOT), str(clone)], folder)
    ripen = [sys.executable, "-m", "ripen.cli"]
    path = os.pathsep.join(str(clone / each) for each in ("src", "packages/caffe/src"))
    _run([*ripen, "new", NAME, "--from", str(folder / "files"), "--yes"], clone, path)
    same = [
        f"competition.{NAME}.{key}={_hydra(facts[key])}"
        for key in ("task", "metric", "submission", "validation")
    ]
    _run(
        [*ripen, "run", f"competitions=[{NAME}]", f"preset={chosen.preset}"]
        + [f"budget={chosen.minutes * 60:.0f}s", *same],
        clone,
        path,
    )
    (folder / "submission.csv").write_bytes((clone / f"data/{NAME}/submission.csv").read_bytes())


def by_autogluon(folder: Path, chosen: argparse.Namespace) -> None:
    """Run `autogluon` in the other environment."""
    command = [chosen.peer, str(Path(__file__).resolve()), "--autogluon", str(folder)]
    _run([*command, "--minutes", str(chosen.minutes)], folder)


def autogluon(folder: Path, minutes: float) -> None:
    """Write AutoGluon's submission."""
    from autogluon.tabular import TabularPredictor

    facts = yaml.safe_load((folder / "facts.yaml").read_text())
    target, own = facts["target"], facts["metric"]
    train, test = (pd.read_csv(folder / f"files/{part}.csv") for part in ("train", "test"))
    more: dict[str, Any] = {}
    if pattern := facts["validation"].get("pattern"):
        for table in (train, test):
            table["__group"] = table[facts["validation"]["group"]].str.extract(pattern)[0]
        folds = pd.Series(pd.factorize(train["__group"])[0] % 8, name="__fold")
        train, test = (
            train.drop(columns="__group").assign(__fold=folds),
            test.drop(columns="__group"),
        )
        more["groups"] = "__fold"
    if own == "rmsle":
        train[target] = np.log1p(train[target])
    predictor = TabularPredictor(
        label=target,
        eval_metric=AUTOGLUON.get(own, own),
        path=str(folder / "autogluon"),
        **more,
    )
    predictor.fit(
        train.drop(columns=facts["id"]),
        presets="best_quality",
        time_limit=minutes * 60,
        num_cpus=2,
        dynamic_stacking=False,
    )
    ids, rest = test[[facts["id"]]], test.drop(columns=facts["id"])
    if own == "log_loss":
        found = pd.concat([ids, predictor.predict_proba(rest)], axis=1)
    else:
        found = ids.assign(**{target: predictor.predict(rest)})
    if own == "rmsle":
        found[target] = np.expm1(found[target])
    found.to_csv(folder / "submission.csv", index=False)


def _hydra(value: Any) -> str:
    """Return a value as an override writes it."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}: {_hydra(each)}" for key, each in value.items()) + "}"
    return f"'{value}'" if isinstance(value, str) and not value.isidentifier() else str(value)


def _run(command: Sequence[str], folder: Path, path: str = "") -> None:
    own = str(Path(sys.executable).parent)  # stages run the `python` that is found first
    environment = {**os.environ, "PYTHONPATH": path, "PATH": f"{own}:{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")


def _processor() -> float:
    """Return the processor time of all processes that have ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
