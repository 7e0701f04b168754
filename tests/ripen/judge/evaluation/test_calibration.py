"""Temperature and clipping, against arithmetic, scikit-learn and a scan."""

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

from ripen.judge.evaluation.calibration import (
    CLIPS,
    Calibration,
    by_model,
    clipped,
    fit,
    fit_clip,
    fit_temperature,
    helped,
    read,
    scaled,
    table,
)
from ripen.judge.evaluation.scored import Scored


def drawn(
    n: int, classes: int, sureness: float, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels drawn from softmax(scores), and softmax(sureness * scores), which is said of them."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 2, (n, classes))
    true = softmax(scores, axis=1)
    labels = (true.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return labels, softmax(sureness * scores, axis=1)


def test_scaling_divides_scores() -> None:
    scores = np.random.default_rng(1).normal(size=(7, 4))
    found = scaled(softmax(scores, axis=1), 2.5)
    np.testing.assert_allclose(found, softmax(scores / 2.5, axis=1), rtol=1e-12)


@given(
    arrays(np.float64, (5, 3), elements=st.floats(1e-6, 1)),
    st.floats(0.05, 20),
)
def test_scaling_keeps_what_is_said_and_rows_sum_to_one(
    values: NDArray[np.float64], temperature: float
) -> None:
    found = scaled(values / values.sum(axis=1, keepdims=True), temperature)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-9)
    best = found.max(axis=1)
    np.testing.assert_allclose(found[np.arange(5), values.argmax(axis=1)], best, rtol=1e-9)


def test_certain_probabilities_can_be_scaled() -> None:
    found = scaled(np.array([[1.0, 0.0]]), 2.0)
    np.testing.assert_allclose(found, [[1 - 1.49e-8, 1.49e-8]], rtol=1e-2)


@pytest.mark.parametrize(("classes", "sureness"), [(2, 3.0), (2, 0.5), (5, 2.0)])
def test_the_temperature_undoes_what_was_too_sure(classes: int, sureness: float) -> None:
    labels, said = drawn(20_000, classes, sureness)
    found = fit_temperature(labels, said)
    assert found == pytest.approx(sureness, rel=0.04)
    # No temperature near it is better by scikit-learn's own log loss.
    best = log_loss(labels, scaled(said, found), labels=range(classes))
    for other in (found * 0.99, found * 1.01):
        assert best < log_loss(labels, scaled(said, other), labels=range(classes))


def test_a_model_that_is_never_wrong_gets_the_lowest_temperature() -> None:
    assert fit_temperature(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]])) == 0.05


def test_the_clip_is_the_best_of_a_scan() -> None:
    labels = np.array([1] * 99 + [0])  # one mistake in a hundred, of a model that says 1e-6
    said = np.tile([1e-6, 1 - 1e-6], (100, 1))
    losses = {clip: log_loss(labels, clipped(said, clip)) for clip in CLIPS}
    assert fit_clip(labels, said) == min(losses, key=lambda clip: losses[clip]) == 0.01
    assert losses[0.01] == pytest.approx(-0.99 * np.log(0.99) - 0.01 * np.log(0.01))


def test_of_clips_that_change_nothing_the_smallest_is_taken() -> None:
    assert fit_clip(np.array([0, 1]), np.array([[0.5, 0.5], [0.5, 0.5]])) == 0


def test_what_it_brings_is_measured_on_rows_that_it_was_not_fitted_on() -> None:
    labels, said = drawn(90, 2, 4.0)
    folds = np.arange(90) % 3
    one = Scored("net", "validation", np.arange(90), labels, said, folds)
    expected = np.empty_like(said)
    for fold in range(3):
        kept = folds != fold
        temperature = fit_temperature(labels[kept], said[kept])
        expected[~kept] = scaled(said[~kept], temperature)
    found = helped(one, seed=0)
    assert found["scaled"] == round(log_loss(labels, expected), 4)
    assert found["raw"] == round(log_loss(labels, said), 4)
    assert found["clipped_usual"] == round(log_loss(labels, np.clip(said, 0.005, 0.995)), 4)
    assert found["scaled_clipped_usual"] == round(
        log_loss(labels, np.clip(expected, 0.005, 0.995)), 4
    )
    assert float(found["scaled"]) < float(found["raw"])


def test_rows_of_one_fold_are_dealt_anew() -> None:
    labels, said = drawn(40, 2, 4.0)
    alone = Scored("full", "validation", np.arange(40), labels, said, np.zeros(40, np.int64))
    without = Scored("full", "validation", np.arange(40), labels, said)
    assert helped(alone, seed=3) == helped(without, seed=3)
    assert helped(alone, seed=3) != helped(alone, seed=4)


def test_the_table_has_what_was_fitted_on_all_rows(tmp_path: Path) -> None:
    labels, said = drawn(200, 3, 2.0)
    one = Scored("net", "validation", np.arange(200), labels, said)
    fitted, found = fit(labels, said), by_model([one], seed=0)
    assert fitted.temperature == fit_temperature(labels, said)
    assert fitted.clip_scaled == fit_clip(labels, scaled(said, fitted.temperature))
    (row,) = table(found).to_dict("records")
    assert row == {"model": "net"} | asdict(fitted) | helped(one, seed=0)
    table(found).to_csv(tmp_path / "calibration.csv", index=False)
    assert read(tmp_path / "calibration.csv", "net") == fitted


def test_a_submission_is_scaled_and_clipped_as_it_is_asked_for() -> None:
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
