"""Decisions by the metric: hand-computed thresholds and cuts, their gain, and where none helps."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ripen.competition import scorer as scorers
from ripen.competition.metrics import METRICS
from ripen.competition.scorer import Scorer
from ripen.competition.tasks import TASKS
from ripen.core.errors import ConfigError
from ripen.judge import decision, steps
from ripen.judge.decision import RULES, Decision, as_json, decide, rules
from ripen.judge.scoring import Scored

RIPE = np.array([0.1, 0.3, 0.5, 0.9])
BINARY = np.stack([1 - RIPE, RIPE], axis=1)


@pytest.fixture(autouse=True)
def few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw fewer bootstrap samples, each of which scores twice."""
    monkeypatch.setattr(scorers, "RESAMPLES", 20)


def scored(outputs: Any, targets: Any, folds: int = 5, model: str = "m") -> Scored:
    rows = np.arange(len(targets))
    return Scored(model, "validation", rows, np.asarray(targets), outputs, rows % folds)


@pytest.mark.parametrize("name", sorted(RULES))
@pytest.mark.parametrize("classes", [2, 4])
def test_the_numbers_that_a_rule_starts_from_change_no_label_and_no_value(
    name: str, classes: int
) -> None:
    if (name, classes) == ("threshold", 4):  # of two classes, or one label
        classes = 1
    outputs = np.random.default_rng(0).dirichlet(np.ones(max(classes, 2)), 50)[:, :classes]
    rule = RULES[name]
    found = Decision(name, tuple(rule.start(classes))).apply(outputs)
    if name == "cuts":  # the place nearest to the expected one
        expected = np.rint(outputs @ np.arange(classes)).astype(int)
        np.testing.assert_array_equal(found.argmax(axis=1), expected)
    else:
        np.testing.assert_allclose(found, outputs)


def test_a_threshold_moves_the_odds_so_that_it_becomes_one_half() -> None:
    found = Decision("threshold", (0.3,)).apply(BINARY)
    # Odds of 0.5 are 1, and those of the threshold 3 to 7: 7/3 to 1.
    assert found[:, 1].tolist() == pytest.approx([7 / 34, 0.5, 0.7, 21 / 22])
    assert found.sum(axis=1).tolist() == pytest.approx([1, 1, 1, 1])
    several = Decision("thresholds", (0.3, 0.8)).apply(np.array([[0.4, 0.4], [0.2, 0.9]]))
    assert (several > 0.5).tolist() == [[True, False], [False, True]]


def test_cuts_take_the_expected_place_and_weights_the_largest_product() -> None:
    outputs = np.array([[0.5, 0.0, 0.5], [0.2, 0.5, 0.3], [0.0, 0.3, 0.7]])
    # Expected places 1, 1.1 and 1.7.
    cut = Decision("cuts", (0.5, 1.05)).apply(outputs)
    assert cut.argmax(axis=1).tolist() == [1, 2, 2]
    weighted = Decision("weights", (1.0, 3.0, 1.0)).apply(outputs)
    assert weighted.argmax(axis=1).tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("task", "metric", "submission", "outputs", "expected"),
    [
        ("binary", "f1", "label", 2, ["threshold"]),
        ("binary", "mcc", "label", 2, ["threshold"]),
        ("multiclass", "balanced_accuracy", "label", 4, ["weights"]),
        ("multiclass", "quadratic_weighted_kappa", "label", 4, ["cuts", "weights"]),
        ("multilabel", "f_beta_samples", "labels", 3, ["thresholds"]),
        ("regression", "mae", "value", 1, ["shift", "scale"]),
        ("regression", "spearman", "value", 1, []),
        ("binary", "log_loss", "probability", 2, []),
        ("binary", "roc_auc", "label", 2, []),
        ("binary", "f1", "probability", 2, []),  # the submission holds no decision
    ],
)
def test_the_metric_says_which_rules_may_help(
    task: str, metric: str, submission: str, outputs: int, expected: list[str]
) -> None:
    assert rules(TASKS[task], METRICS[metric], submission, outputs) == expected


def drawn(case: str) -> tuple[Any, Any, str, list[str]]:
    """Return outputs, targets, the metric and its rules, where the usual decision is poor."""
    rng = np.random.default_rng(0)
    n = 240
    if case == "a rare class":
        p = rng.beta(1, 6, size=n)
        return np.stack([1 - p, p], axis=1), (rng.uniform(size=n) < p) * 1, "f1", ["threshold"]
    if case == "uneven classes":
        outputs = rng.dirichlet([8, 1, 1], n)
        y = np.array([rng.choice(3, p=p) for p in outputs])
        return outputs, y, "balanced_accuracy", ["weights"]
    if case == "places on a scale":
        place = rng.integers(5, size=n)
        far = np.abs(np.arange(5) - (place / 2 + 1 + 0.3 * rng.normal(size=n))[:, None])
        p = np.exp(-2 * far)
        return p / p.sum(axis=1, keepdims=True), place, "quadratic_weighted_kappa", ["cuts"]
    if case == "labels":
        p = rng.beta(1, 3, size=(n, 2))
        return p, (rng.uniform(size=(n, 2)) < p) * 1, "f1_macro", ["thresholds"]
    y = rng.exponential(size=n)  # skewed: its median is log 2, and the mean 1
    return np.ones((n, 1)), y, "mae", ["shift", "scale"]


@pytest.mark.parametrize(
    "case", ["a rare class", "uneven classes", "places on a scale", "labels", "a skewed target"]
)
def test_a_decision_gains_on_rows_that_it_was_not_fitted_on(case: str) -> None:
    outputs, y, metric, names = drawn(case)
    one, scorer = scored(outputs, y, folds=3), Scorer(METRICS[metric], y, {})
    found = decide(one, scorer, names, 1)
    assert found.pays
    sign = 1 if scorer.metric.greater_is_better else -1
    usual = scorer(one.rows, outputs)
    assert found.score == pytest.approx(usual + sign * found.gain)
    # Fitted to all rows it is better still on these very rows, or as good.
    everywhere = scorer(one.rows, found.decision.apply(outputs))
    assert sign * everywhere >= sign * found.score
    if metric == "mae":
        assert found.decision.apply(outputs)[0, 0] == pytest.approx(np.median(y), abs=0.05)


def test_labels_of_a_fold_do_not_decide_its_own_rows() -> None:
    outputs, y, metric, names = drawn("a rare class")
    poisoned = np.where(np.arange(len(y)) % 5 == 0, 1 - y, y)
    kept = np.flatnonzero(np.arange(len(y)) % 5)
    both = [
        decision.fit(scored(outputs, t), Scorer(METRICS[metric], t, {}), names, kept)
        for t in (y, poisoned)
    ]
    assert both[0] == both[1]


def test_a_decision_is_used_if_it_pays_or_is_demanded(tmp_path: Path) -> None:
    file = tmp_path / "decisions.json"
    made = Decision("threshold", (0.3,))
    found = {
        "good": decision.Decided(made, 0.8, 0.02, 0.01),
        "poor": decision.Decided(made, 0.8, 0.01, 0.02),
    }
    file.write_text(json.dumps(as_json(found)))
    taken = {
        (model, when): decision.chosen(file, model, when)
        for model in found
        for when in ("auto", "always", "never")
    }
    assert [key for key, one in taken.items() if one == made] == [
        ("good", "auto"), ("good", "always"), ("poor", "always")
    ]  # fmt: skip
    assert decision.chosen(file, "other", "auto") is None
    with pytest.raises(ConfigError, match=r"predict\.decide is 'always', and no threshold helps"):
        decision.chosen(file, "other", "always")


# --- The table of steps --------------------------------------------------------------------------


def test_steps_are_measured_against_the_one_before_on_the_same_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=200)
    noise = rng.normal(size=(2, 200))

    def said(z: Any, model: str) -> Scored:
        p = 1 / (1 + np.exp(-z))
        return scored(np.stack([1 - p, p], axis=1), y, model=model)

    z = 2.0 * y - 1
    models = [said(z + 2 * noise[0], "a"), said(z + noise[1], "b"), said(z, "blend")]
    scorer = Scorer(METRICS["log_loss"], y, {})
    single, blend = steps.of_blend(models, scorer, {})
    scores = [scorer(one.rows, one.outputs) for one in models]
    assert (single.what, single.score) == ("b", pytest.approx(scores[1], abs=1e-6))
    assert blend.gain == pytest.approx(scores[1] - scores[2], abs=1e-6)
    assert (blend.step, blend.pays) == ("blend", "yes")
    before = said(z + 1.5 * noise[1], "b")
    first, labels, same = steps.of_blend(models, scorer, {"b": before})
    assert (first.what, first.score) == ("b", pytest.approx(scorer(before.rows, before.outputs)))
    assert (labels.step, labels.what, labels.score) == ("pseudo-labels", "b", single.score)
    assert labels.gain == pytest.approx(first.score - single.score, abs=2e-6)
    assert same == blend
    (calibration,) = steps.of_model(models[0], TASKS["binary"], scorer, {}, 1)
    assert calibration.step == "calibration"
    assert calibration.gain == pytest.approx(scores[0] - calibration.score, abs=2e-6)
    file = tmp_path / steps.FILE
    steps.table([single, blend]).to_csv(file, index=False)
    first, second = steps.read(file)
    assert (first.step, first.pays) == ("best single model", "")
    assert second == blend


def test_the_error_of_a_gain_is_that_of_the_difference() -> None:
    """Two models that are wrong in the same rows differ by nothing, whatever their errors are."""
    y = np.arange(60) % 2
    scorer = Scorer(METRICS["accuracy"], y, {})
    outputs = np.tile([[0.4, 0.6]], (60, 1))
    assert scorer.gain(np.arange(60), outputs, outputs * 0.9) == (0.0, 0.0)
    gain, error = scorer.gain(np.arange(60), outputs, np.eye(2)[y])
    assert gain == 0.5
    assert error == pytest.approx(np.sqrt(0.25 / 60), rel=0.4)  # binomial; of 20 samples
