"""Temperature and clip, against arithmetic, scikit-learn and a scan."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.metrics import log_loss

from ripen.core.errors import DataError
from ripen.judge.calibration import (
    CLIPS,
    Calibration,
    by_model,
    clipped,
    effect,
    fit,
    fit_clip,
    fit_temperature,
    read,
    scaled,
    table,
)
from ripen.judge.scoring import Scored


def drawn(
    n: int, classes: int, confidence: float, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels drawn from softmax(scores), and softmax(confidence * scores) as a model's output."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 2, (n, classes))
    true = softmax(scores, axis=1)
    labels = (true.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return labels, softmax(confidence * scores, axis=1)


def test_scaling_divides_scores() -> None:
    scores = np.random.default_rng(1).normal(size=(7, 4))
    found = scaled(softmax(scores, axis=1), 2.5)
    np.testing.assert_allclose(found, softmax(scores / 2.5, axis=1), rtol=1e-12)


@given(
    arrays(np.float64, (5, 3), elements=st.floats(1e-6, 1)),
    st.floats(0.05, 20),
)
def test_scaling_keeps_the_predicted_class_and_rows_sum_to_one(
    values: NDArray[np.float64], temperature: float
) -> None:
    found = scaled(values / values.sum(axis=1, keepdims=True), temperature)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-9)
    best = found.max(axis=1)
    np.testing.assert_allclose(found[np.arange(5), values.argmax(axis=1)], best, rtol=1e-9)


def test_certain_probabilities_can_be_scaled() -> None:
    found = scaled(np.array([[1.0, 0.0]]), 2.0)
    np.testing.assert_allclose(found, [[1 - 1.49e-8, 1.49e-8]], rtol=1e-2)


@pytest.mark.parametrize(("classes", "confidence"), [(2, 3.0), (2, 0.5), (5, 2.0)])
def test_the_temperature_undoes_overconfidence(classes: int, confidence: float) -> None:
    labels, said = drawn(20_000, classes, confidence)
    found = fit_temperature(labels, said)
    assert found == pytest.approx(confidence, rel=0.04)
    # No temperature near it is better by scikit-learn's own log loss.
    best = log_loss(labels, scaled(said, found), labels=range(classes))
    for other in (found * 0.99, found * 1.01):
        assert best < log_loss(labels, scaled(said, other), labels=range(classes))


def test_a_model_that_is_never_wrong_gets_the_lowest_temperature() -> None:
    assert fit_temperature(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]])) == 0.05


def test_the_clip_is_the_best_of_a_scan() -> None:
    labels = np.array([1] * 99 + [0])  # one mistake in a hundred, given 1e-6
    said = np.tile([1e-6, 1 - 1e-6], (100, 1))
    losses = {clip: log_loss(labels, clipped(said, clip)) for clip in CLIPS}
    assert fit_clip(labels, said) == min(losses, key=lambda clip: losses[clip]) == 0.01
    assert losses[0.01] == pytest.approx(-0.99 * np.log(0.99) - 0.01 * np.log(0.01))


def test_of_clips_that_change_nothing_the_smallest_is_taken() -> None:
    labels, even = np.arange(1000) % 2, np.full((1000, 2), 0.5)
    assert fit_clip(labels, even) == 1 / (10 * 1000)
    assert fit_clip(labels[:2], even[:2]) == 1 / (10 * 2)


def separable(n: int = 50) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rows that are all right, and the more so the further from the boundary."""
    scores = np.linspace(-4, 4, n)[:, None] * [-1, 1]
    return (scores[:, 1] > 0).astype(np.int64), softmax(scores, axis=1)


@pytest.mark.parametrize("temperature", [False, True])
@pytest.mark.parametrize("clip", [None, 0.0, 1e-9])
def test_fifty_separable_rows_leave_no_probability_that_a_mistake_makes_infinite(
    temperature: bool, clip: float | None
) -> None:
    labels, said = separable()
    fitted = fit(labels, said)
    assert fitted.temperature == 0.05  # the lowest: every row is right
    assert fitted.clip == fitted.clip_scaled == fitted.floor == 1 / (10 * 50)
    # The most confident of test rows, of which one is wrong.
    test = np.concatenate([said, [[1 - 1e-9, 1e-9]]])
    found = fitted.calibrated(test, temperature, clip)
    if temperature or clip is None:
        assert found.min() == 1 / (10 * 50)
        truth = np.append(labels, 1)
        mistake = -np.log(found[-1, 1] / found[-1].sum())
        assert mistake == pytest.approx(np.log(500), abs=1e-2)
        assert log_loss(truth, found / found.sum(axis=1, keepdims=True)) < 0.25
    else:  # nothing is fitted, nothing is changed but by the user's own clip
        np.testing.assert_array_equal(found, clipped(test, clip))


@given(
    arrays(np.float64, (20, 3), elements=st.floats(1e-12, 1)),
    arrays(np.int64, 20, elements=st.integers(0, 2)),
)
def test_no_rows_lead_to_a_clip_below_the_floor(
    values: NDArray[np.float64], labels: NDArray[np.int64]
) -> None:
    said = values / values.sum(axis=1, keepdims=True)
    fitted = fit(labels, said)
    assert min(fitted.clip, fitted.clip_scaled) >= fitted.floor == 1 / 200
    for temperature in (False, True):
        assert fitted.calibrated(said, temperature, None).min() >= 1 / 200


def test_the_effect_is_measured_on_rows_that_nothing_was_fitted_on() -> None:
    labels, said = drawn(90, 2, 4.0)
    folds = np.arange(90) % 3
    one = Scored("net", "validation", np.arange(90), labels, said, folds)
    expected = np.empty_like(said)
    for fold in range(3):
        kept = folds != fold
        temperature = fit_temperature(labels[kept], said[kept])
        expected[~kept] = scaled(said[~kept], temperature)
    found = effect(one, seed=0)
    assert found["scaled"] == round(log_loss(labels, expected), 4)
    assert found["raw"] == round(log_loss(labels, said), 4)
    assert found["clipped_usual"] == round(log_loss(labels, np.clip(said, 0.005, 0.995)), 4)
    assert found["scaled_clipped_usual"] == round(
        log_loss(labels, np.clip(expected, 0.005, 0.995)), 4
    )
    assert float(found["scaled"]) < float(found["raw"])


def test_rows_of_one_fold_are_dealt_to_folds() -> None:
    labels, said = drawn(40, 2, 4.0)
    alone = Scored("full", "validation", np.arange(40), labels, said, np.zeros(40, np.int64))
    without = Scored("full", "validation", np.arange(40), labels, said)
    assert effect(alone, seed=3) == effect(without, seed=3)
    assert effect(alone, seed=3) != effect(alone, seed=4)


def test_the_table_holds_the_calibration_fitted_on_all_rows(tmp_path: Path) -> None:
    labels, said = drawn(200, 3, 2.0)
    one = Scored("net", "validation", np.arange(200), labels, said)
    fitted, found = fit(labels, said), by_model([one], seed=0)
    assert fitted.temperature == fit_temperature(labels, said)
    assert fitted.clip_scaled == fit_clip(labels, scaled(said, fitted.temperature))
    (row,) = table(found).to_dict("records")
    assert row == {"model": "net"} | asdict(fitted) | effect(one, seed=0)
    table(found).to_csv(tmp_path / "calibration.csv", index=False)
    assert read(tmp_path / "calibration.csv", "net") == fitted


def test_a_model_without_validation_rows_has_no_calibration(tmp_path: Path) -> None:
    table({}).to_csv(tmp_path / "calibration.csv", index=False)
    with pytest.raises(DataError, match=r"calibration\.csv: 'net' has no calibration.*temperature"):
        read(tmp_path / "calibration.csv", "net")


def test_a_submission_is_scaled_and_clipped_as_the_settings_demand() -> None:
    said = np.array([[0.999, 0.001], [0.5, 0.5]])
    fitted = Calibration(temperature=2.0, clip=0.01, clip_scaled=0.02)
    warm = scaled(said, 2.0)  # 0.969 and 0.031
    for temperature, clip, expected in (
        (False, 0.0, said),
        (False, None, np.clip(said, 0.01, 0.99)),
        (True, 0.0, warm),
        (True, 0.05, np.clip(warm, 0.05, 0.95)),
        (True, None, np.clip(warm, 0.02, 0.98)),
    ):
        np.testing.assert_allclose(fitted.calibrated(said, temperature, clip), expected)
