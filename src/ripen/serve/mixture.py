"""One fitted model, the mean of several, or the blend of all: what a page asks.

The pipeline keeps predictions and no estimators, so the models are fitted again at the start, with
the same seeds, as `ripen bundle` does.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ripen.bundle.assemble import fit_model
from ripen.competition import predictions
from ripen.competition.tasks import Task
from ripen.core.layout import BLEND, Layout
from ripen.learn import blending
from ripen.learn.models import served
from ripen.serve.answers import Answer, most_probable

Outputs = NDArray[np.floating]


@dataclass(frozen=True)
class Mixture:
    """Fitted models.

    Attributes
    ----------
    members : mapping of str to list
        By model, the fitted ones whose mean is its answer: one, or those of the folds.
    blend : Path or None
        The folder of the blend of these models.
    """

    members: Mapping[str, Sequence[served.Served]]
    blend: Path | None = None

    def outputs(self, ask: Callable[[str, served.Served], Outputs]) -> Outputs:
        """Return the outputs for one question, shape (k,).

        Parameters
        ----------
        ask : callable
            Takes a model's name and a fitted one, and returns its outputs, of shape (1, k).
        """
        found = {
            name: np.mean([ask(name, one) for one in fitted], axis=0)
            for name, fitted in self.members.items()
        }
        if self.blend is None:
            (outputs,) = found.values()
            return np.asarray(outputs[0])
        tables = {
            name: predictions.table("test", np.arange(1), outputs)
            for name, outputs in found.items()
        }
        return np.asarray(blending.of_other_rows(self.blend, tables)[0])


def members(layout: Layout, model: str) -> list[str]:
    """Return the models that a model is made of: those that the blend uses, or itself."""
    if model != BLEND:
        return [model]
    return blending.used(layout.blend) if layout.blend.exists() else []


def fit_again(name: str, model: str) -> Mixture:
    """Fit a model of a competition, or the members of its blend."""
    layout, fitted = Layout(name), {}
    for member in members(layout, model):
        with tempfile.TemporaryDirectory() as temporary:
            fit_model(name, member, Path(temporary))
            fitted[member] = [served.read(folder) for folder in sorted(Path(temporary).iterdir())]
    return Mixture(fitted, layout.blend if model == BLEND else None)


def answer(task: Task, names: Sequence[str], outputs: Outputs, notes: Sequence[str] = ()) -> Answer:
    """Return a model's outputs for one question as an answer.

    Parameters
    ----------
    task : Task
    names : sequence of str
        Of the outputs.
    outputs : ndarray of shape (k,)
        Probabilities of classes or labels, or numbers.
    notes : sequence of str
    """
    if task.probabilities:
        return Answer(most_probable(outputs, names), notes=notes)
    pairs = [(name, float(value)) for name, value in zip(names, outputs, strict=True)]
    return Answer(values=pairs, notes=notes)
