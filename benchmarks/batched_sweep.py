"""64 trials of avocado's net as one stack, against scikit-learn's GridSearchCV on all cores.

python -m benchmarks.batched_sweep
"""

import argparse
import itertools
import math
import os
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import torch
from joblib import Parallel, delayed
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from ripen.competitions.avocado import distribution
from ripen.learn.convergence import Training
from ripen.learn.estimator import Rows
from ripen.learn.estimators.caffe_net import CaffeNet
from ripen.learn.models.batched import fit_each
from ripen.learn.models.group import Trial
from ripen.learn.sweeps.space import swept_net
from ripen.settings.compose import check
from ripen.settings.schema import Competition
from ripen.stages.settings import compose

GRID = {
    "learning_rate_init": [0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5],
    "alpha": [0.0, 1e-4, 2e-4, 1e-3],
    "momentum": [0.8, 0.9],
}  # 64
SEED = 2016
ACTIVATIONS = {"sigmoid": "logistic", "tanh": "tanh", "relu": "relu"}


def avocado(*overrides: str) -> Competition:
    """Return the competition as conf/ and overrides compose it."""
    conf = Path(__file__).parents[1] / "conf"
    values, _ = compose(["competitions=[avocado]", *overrides], conf)
    return check(values["competition"]["avocado"], Competition, "conf")


def parts(competition: Competition) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw the rows that train and those that validate, of the competition's sizes."""
    drawn = check(competition.source["generate"], distribution.Drawn, "source.generate")
    rng = np.random.default_rng(competition.seed)
    table = distribution.sample(drawn.n_train, drawn.label_noise, rng)
    cut = round(len(table) * (1 - competition.validation["size"]))
    return table[:cut], table[cut:]


def scaled(train: pd.DataFrame, validation: pd.DataFrame) -> tuple[Rows, Rows]:
    """Return both as arrays, standardized by the rows that train."""
    scaler = StandardScaler().fit(train.drop(columns="ripe").to_numpy())
    return tuple(
        Rows(
            scaler.transform(rows.drop(columns="ripe").to_numpy()).astype(np.float32),
            rows["ripe"].to_numpy(np.int64),
        )
        for rows in (train, validation)
    )


def trials(net: CaffeNet, iterations: int) -> list[Trial]:
    """Return the grid's trials, each to the end of its iterations."""
    whole = replace(net.train, tolerance=0.0, early_stopping=10**9)
    return [
        Trial(
            net.net,
            replace(
                net.solver, base_lr=rate, weight_decay=decay, momentum=momentum,
                lr_policy="fixed", max_iter=iterations,
            ),
            whole,
            SEED,
        )
        for rate, decay, momentum in itertools.product(*GRID.values())
    ]  # fmt: skip


def ours(jobs: int, net: CaffeNet, train: Rows, validation: Rows, epochs: int) -> float:
    """Train all in as many stacks as processes; return the lowest last validation loss."""
    made = trials(net, epochs * math.ceil(len(train.x) / net.train.batch_size))
    shares = [made[i::jobs] for i in range(jobs)]
    results = Parallel(n_jobs=jobs)(delayed(_stack)(share, train, validation) for share in shares)
    return min(one.checks[-1].validation_loss for share in results for one in share)


def _stack(share: list[Trial], train: Rows, validation: Rows) -> list[Training]:
    torch.set_num_threads(1)
    return [training for _, training in fit_each(share, 2, train, validation)]


def theirs(shuffle: bool, net: CaffeNet, train: Rows, validation: Rows, epochs: int) -> float:
    """Train them all by GridSearchCV, one split, no refit."""
    x, y = np.concatenate([train.x, validation.x]), np.concatenate([train.y, validation.y])
    split = np.arange(len(train.x)), np.arange(len(train.x), len(x))
    net = MLPClassifier(
        tuple(net.net.hidden_layers), activation=ACTIVATIONS[net.net.activation],
        solver="sgd", batch_size=net.train.batch_size, max_iter=epochs, tol=0.0,
        n_iter_no_change=10**9, nesterovs_momentum=False, shuffle=shuffle, random_state=SEED,
    )  # fmt: skip
    search = GridSearchCV(net, GRID, scoring="neg_log_loss", n_jobs=-1, refit=False, cv=[split])
    return float(-search.fit(x, y).cv_results_["mean_test_score"].max())


def processor_seconds() -> float:
    """Return what this process and those that it started have used of the processor."""
    me = psutil.Process()
    times = [each.cpu_times() for each in (me, *me.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all in turn, and print times and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, help="of all; those of conf/ if not given")
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args(arguments)
    os.environ["PYTHONWARNINGS"] = "ignore"  # that it ran to max_iter, from each of its processes
    warnings.simplefilter("ignore")
    competition = avocado()
    net = swept_net(competition)
    assert isinstance(net, CaffeNet)
    train, validation = scaled(*parts(competition))
    batches = math.ceil(len(train.x) / net.train.batch_size)
    epochs = given.epochs or net.solver.max_iter // batches
    cores = os.cpu_count() or 1
    runs: dict[str, Callable[..., float]] = {
        f"GridSearchCV, {cores} processes": partial(theirs, True),
        "the same, rows in order": partial(theirs, False),
        "stacked, 1 process": partial(ours, 1),
        f"stacked, {cores} processes": partial(ours, cores),
    }
    count = math.prod(map(len, GRID.values()))
    print(f"{count} trials, {net.net.hidden_layers}, {len(train.x)} rows, {epochs} epochs")
    print(f"{'':28}{'s':>9}{'cpu s':>9}{'ratio':>8}{'cpu ratio':>11}{'lowest log loss':>17}")
    for run in runs.values():  # starts their processes, and reads what is read once
        run(net, train, validation, 5)
    for _ in range(given.rounds):
        first: tuple[float, float] | None = None
        for name, run in runs.items():
            started, used = time.perf_counter(), processor_seconds()
            loss = run(net, train, validation, epochs)
            wall, used = time.perf_counter() - started, processor_seconds() - used
            first = first or (wall, used)
            ratios = f"{first[0] / wall:8.1f}{first[1] / used:11.1f}"
            print(f"{name:28}{wall:9.2f}{used:9.2f}{ratios}{loss:17.4f}", flush=True)


if __name__ == "__main__":
    main()
