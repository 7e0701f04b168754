"""Train a net by a Caffe solver; all files that it leaves are Caffe's own."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from caffe.policies import learning_rate
from caffe.proto import caffe_pb2
from ripen.core.atomic import write_bytes, write_text
from ripen.core.errors import TrainingError
from ripen.learn.convergence import Check, Convergence, Training
from ripen.learn.models import mlp
from ripen.nets.engines.engine import RunningSolver, TorchEngine, Trainer
from ripen.settings.schema import Solver, Train

SOLVER = "solver.prototxt"
TORCH = TorchEngine()


def train_net(
    net: caffe_pb2.NetParameter,
    solver_settings: Solver,
    settings: Train,
    seed: int,
    folder: Path,
    callback: Callable[[Check], None],
    start: Path | None = None,
    engine: Trainer = TORCH,
    history: Path | None = None,
    keep: Literal["best", "last"] = "best",
) -> Training:
    """Train a net and keep the weights of the best validation loss, or the last ones.

    Parameters
    ----------
    net : NetParameter
        Both phases, with tops ``loss`` and, in the test phase, ``accuracy``. The test phase reads
        all validation rows as one batch.
    solver_settings : Solver
    settings : Train
        When to check, and when to end.
    seed : int
    folder : Path
        Gets ``train_val.prototxt``, ``solver.prototxt``, ``model.caffemodel`` and
        ``model.solverstate``.
    callback : callable
        Receives each check. It may raise to end the training.
    start : Path, optional
        A caffemodel. Layers of the same names begin with its weights.
    engine : Trainer
        Trains the net. Not every trainer needs the net's test phase.
    history : Path, optional
        A folder for the weights of some iterations, ``iter_<n>.caffemodel``: the first ones, and
        those of the 1st, 2nd, 4th, 8th, … check.
    keep : "best" or "last"
        The check whose weights are kept.

    Raises
    ------
    TrainingError
        If the loss or a gradient is not a finite number.
    """
    definition = _write(net, solver_settings, folder, seed)
    solving = engine.solver(folder / SOLVER, start)
    convergence = Convergence.of(settings, solver_settings.max_iter)
    checks: list[Check] = []
    done, stopped = 0, None
    if history is not None:
        _remember(solving, folder, 0, history)
    while stopped is None:
        check = _check(solving, definition, done, settings.check_interval)
        checks.append(check)
        done = check.iteration
        callback(check)
        stopped = convergence.check(done, check.loss, check.validation_loss)
        if stopped if keep == "last" else convergence.best_iteration == done:
            solving.snapshot()
            _keep(folder, done)
            kept = check
        if history is not None and len(checks).bit_count() == 1:  # a power of two
            _remember(solving, folder, done, history)
    return Training(stopped, done, kept.iteration, kept.validation_loss, tuple(checks))


def _write(
    net: caffe_pb2.NetParameter, settings: Solver, folder: Path, seed: int
) -> caffe_pb2.SolverParameter:
    """Write the net and its solver; return the solver."""
    write_text(folder / "train_val.prototxt", mlp.to_text(net))
    definition = mlp.solver(settings, folder / "train_val.prototxt", folder / "model", seed)
    write_text(folder / SOLVER, mlp.to_text(definition))
    return definition


def _check(
    solving: RunningSolver, definition: caffe_pb2.SolverParameter, done: int, interval: int
) -> Check:
    """Train from one check to the next, or to the end of the budget."""
    iterations = min(interval, definition.max_iter - done)
    found = solving.advance(iterations)
    done += len(found["losses"])
    for what, value in (
        ("loss", found["losses"][-1]),
        # A gradient can overflow where the loss has not yet done so.
        ("gradients' norm", found["gradient_norm"]),
        ("validation loss", found["validation_loss"]),
    ):
        if not math.isfinite(value):
            raise TrainingError(
                f"training diverged: the {what} is {value} at iteration {done}. Is the learning "
                f"rate solver.base_lr={definition.base_lr:g} too large? Try a tenth of it"
            )
    return Check(
        iteration=done,
        loss=float(np.mean(found["losses"])),
        validation_loss=found["validation_loss"],
        validation_accuracy=found["validation_accuracy"],
        learning_rate=learning_rate(definition, done - 1),
        gradient_norm=found["gradient_norm"],
        seconds_per_iteration=found["seconds"] / iterations,
    )


def _remember(solving: RunningSolver, folder: Path, iteration: int, history: Path) -> None:
    """Keep the weights of an iteration in the history."""
    solving.snapshot()
    weights = folder / f"model_iter_{iteration}.caffemodel"
    weights.with_suffix(".solverstate").unlink()  # a history is for figures only
    history.mkdir(exist_ok=True)
    weights.replace(history / f"iter_{iteration}.caffemodel")


def _keep(folder: Path, iteration: int) -> None:
    """Keep the snapshot of an iteration as model.caffemodel and model.solverstate."""
    weights = folder / f"model_iter_{iteration}.caffemodel"
    state_file = weights.with_suffix(".solverstate")
    weights.replace(folder / "model.caffemodel")
    state = caffe_pb2.SolverState.FromString(state_file.read_bytes())
    # The state names its weights' file, which has just been renamed.
    state.learned_net = (folder / "model.caffemodel").as_posix()
    write_bytes(folder / "model.solverstate", state.SerializeToString(deterministic=True))
    state_file.unlink()
