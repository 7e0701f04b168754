"""The steps from the best single model to the submission, and what each of them brings.

Each step is measured on rows that it was not fitted on, against the step before it on the same
rows; the standard error is that of the difference. A step whose gain is not larger does not pay.
A decision that does not pay is not used, unless the settings demand it. The blend is a model like
the others: it is submitted where it is the best one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ripen.competition.metrics import DIGITS
from ripen.competition.scorer import Scorer
from ripen.competition.tasks import Task
from ripen.core.errors import reading
from ripen.core.frames import read_frame
from ripen.core.layout import BLEND
from ripen.judge import calibration
from ripen.judge.decision import DECISION, RULES, Decided
from ripen.judge.scoring import Scored

FILE = "steps.csv"


@dataclass(frozen=True)
class Step:
    """One row of the table.

    Attributes
    ----------
    step : str
        "best single model", "pseudo-labels", "blend", "calibration" or "decision".
    what : str
        The model, or the method.
    score : float
    gain, standard_error : float
        The improvement on the step before, above 0 where it is one; NaN for the first.
    pays : str
        "yes" or "no"; "" for the first.
    """

    step: str
    what: str
    score: float
    gain: float = np.nan
    standard_error: float = np.nan
    pays: str = ""


def measured(step: str, what: str, score: float, gain: float, error: float) -> Step:
    """Return a step with its numbers rounded, and whether it pays."""
    pays = "yes" if gain > error else "no"
    return Step(step, what, round(score, DIGITS), round(gain, DIGITS), round(error, DIGITS), pays)


def of_blend(models: Sequence[Scored], scorer: Scorer, before: Mapping[str, Scored]) -> list[Step]:
    """Return the best single model, and the blend against it where there is one.

    Of a model that learnt from pseudo-labels the first step is what it was before (`before`, by
    model), and the next one what they brought.

    The best of many models was chosen on these very rows, which flatters it; the blend's outputs
    have seen nothing of a row's fold. So the blend gains at least what is stated.
    """
    validated = [one for one in models if one.part == "validation"]
    scores = {one.model: scorer(one.rows, one.outputs) for one in validated}
    blend = next((one for one in validated if one.model == BLEND), None)
    most = len(blend.rows) if blend else max((len(one.rows) for one in validated), default=0)
    alone = {
        one.model: scores[one.model]
        for one in validated
        if one.model != BLEND and len(one.rows) == most and np.isfinite(scores[one.model])
    }
    if not alone:
        return []
    best = scorer.metric.best(alone)
    single = next(one for one in validated if one.model == best)
    found = [Step("best single model", best, round(alone[best], DIGITS))]
    if best in before:
        first = before[best]
        found = [replace(found[0], score=round(scorer(first.rows, first.outputs), DIGITS))]
        gain, error = scorer.gain(single.rows, first.outputs, single.outputs)
        found.append(measured("pseudo-labels", best, alone[best], gain, error))
    if blend and np.isfinite(scores[BLEND]):
        places = np.argsort(single.rows)[np.searchsorted(np.sort(single.rows), blend.rows)]
        gain, error = scorer.gain(blend.rows, single.outputs[places], blend.outputs)
        found.append(measured(BLEND, "all models", scores[BLEND], gain, error))
    return found


def of_model(
    one: Scored | None, task: Task, scorer: Scorer, decided: Mapping[str, Decided], seed: int
) -> list[Step]:
    """Return what calibration and the decision bring to the model that is submitted."""
    if one is None:
        return []
    found = []
    if task.classifies and scorer.metric.needs == "probability" and not scorer.metric.ranks:
        outputs = calibration.held_out(one, seed)
        gain, error = scorer.gain(one.rows, one.outputs, outputs)
        score = scorer(one.rows, outputs)
        found.append(
            measured("calibration", f"{one.model}, temperature and clip", score, gain, error)
        )
    if one.model in decided:
        made = decided[one.model]
        what = f"{one.model}, {RULES[made.decision.rule].title}"
        found.append(measured(DECISION, what, made.score, made.gain, made.error))
    return found


def table(steps: Sequence[Step]) -> pd.DataFrame:
    """Return the steps as a table, one row each."""
    columns = [field.name for field in fields(Step)]
    return pd.DataFrame([asdict(step) for step in steps], columns=columns)


def read(file: Path) -> list[Step]:
    """Read what `table` gave; nothing of an evaluation without validation rows."""
    if not file.exists():
        return []
    with reading(file):
        found = read_frame(file, dtype={"pays": str}).fillna({"pays": ""})
        return [Step(*row) for row in found.itertuples(index=False, name=None)]
