"""The avocados' distribution: its posterior, its Bayes rate, and the files drawn from it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from ripen.competition.own import hook
from ripen.competitions.avocado import distribution as avocado
from ripen.competitions.avocado.distribution import COMPONENTS, FEATURES, SKIN_SDS, Drawn
from ripen.core.errors import ConfigError

NAMES = [feature.name for feature in FEATURES]


def test_bayes_probability_is_the_posterior_worked_out_by_hand() -> None:
    frame = avocado.sample(50, 0.1, np.random.default_rng(0))
    expected = []
    for row in frame[NAMES].to_numpy():
        joint = []
        for c in COMPONENTS:
            means = [c.height[0], 20 * row[0] + c.extra_weight, *c.means]
            sds = [c.height[1], 22.0, *SKIN_SDS]
            mass = c.prior
            for value, mean, sd, feature in zip(row, means, sds, FEATURES, strict=True):
                half = feature.resolution / 2
                low = -np.inf if value <= feature.low else value - half
                high = np.inf if value >= feature.high else value + half
                mass *= norm.cdf(high, mean, sd) - norm.cdf(low, mean, sd)
            joint.append(mass)
        ripe = sum(m for m, c in zip(joint, COMPONENTS, strict=True) if c.ripe) / sum(joint)
        expected.append(0.9 * ripe + 0.1 * (1 - ripe))
    np.testing.assert_allclose(avocado.bayes_probability(frame, 0.1), expected, rtol=1e-6)


def test_bayes_accuracy_is_the_accuracy_of_the_bayes_rule() -> None:
    expected = avocado.bayes_accuracy(0.05, np.random.default_rng(1), 200_000)
    frame = avocado.sample(100_000, 0.05, np.random.default_rng(2))
    reached = np.mean((avocado.bayes_probability(frame, 0.05) > 0.5) == frame.ripe)
    # Five standard errors of the share of 100,000.
    assert abs(reached - expected) < 5 * np.sqrt(expected * (1 - expected) / 100_000)


def test_bayes_probability_is_calibrated() -> None:
    frame = avocado.sample(100_000, 0.05, np.random.default_rng(3))
    probability = avocado.bayes_probability(frame, 0.05)
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        within = (probability >= low) & (probability < low + 0.2)
        gap = frame.ripe[within].mean() - probability[within].mean()
        assert abs(gap) < 5 * np.sqrt(0.25 / within.sum())


def test_bayes_accuracy_with_labels_of_pure_noise_is_a_half() -> None:
    assert avocado.bayes_accuracy(0.5, np.random.default_rng(0), 1000) == pytest.approx(0.5)


def test_no_linear_rule_is_enough() -> None:
    frame = avocado.sample(20_000, 0.05, np.random.default_rng(4))
    linear = LogisticRegression(max_iter=1000).fit(frame[NAMES] / frame[NAMES].std(), frame.ripe)
    reached = linear.score(frame[NAMES] / frame[NAMES].std(), frame.ripe)
    best = avocado.bayes_accuracy(0.05, np.random.default_rng(0), 200_000)
    assert best - reached > 0.15


def test_colour_and_squishiness_interact() -> None:
    def ripe_given(squishiness: float, rgb: tuple[float, float, float]) -> float:
        row = dict(zip(NAMES, (10.0, 205.0, squishiness, *rgb), strict=True))
        return float(avocado.bayes_probability(pd.DataFrame([row]), 0.0)[0])

    dark, green = (58, 52, 48), (100, 130, 62)
    assert ripe_given(0.5, dark) > 0.95 > 0.05 > ripe_given(0.5 + 0.24, dark)
    assert ripe_given(0.66, green) > 0.9
    assert ripe_given(0.42, green) < 0.1


def test_measurements_are_rounded_and_in_range() -> None:
    frame = avocado.sample(5000, 0.05, np.random.default_rng(5))
    for feature in FEATURES:
        values = frame[feature.name].to_numpy()
        assert values.min() >= feature.low
        assert values.max() <= feature.high
        np.testing.assert_allclose(
            values / feature.resolution, np.round(values / feature.resolution), atol=1e-9
        )


def test_shares_are_those_of_the_docstring() -> None:
    frame = avocado.sample(100_000, 0.0, np.random.default_rng(6))
    # 0.45 of all are ripe; five standard errors.
    assert abs(frame.ripe.mean() - 0.45) < 5 * np.sqrt(0.45 * 0.55 / 100_000)


def test_label_noise_flips_that_share() -> None:
    clean = avocado.sample(100_000, 0.0, np.random.default_rng(7))
    noisy = avocado.sample(100_000, 0.2, np.random.default_rng(7))
    flipped = np.mean(clean.ripe != noisy.ripe)
    assert abs(flipped - 0.2) < 5 * np.sqrt(0.2 * 0.8 / 100_000)


def test_generate_gives_kaggles_files() -> None:
    drawn = Drawn(n_train=1000, n_test=30, n_more=10, label_noise=0.05)
    files = avocado.generate(drawn, seed=1)
    assert {name: list(frame.columns) for name, frame in files.items()} == {
        "train": ["id", *NAMES, "ripe"],
        "test": ["id", *NAMES],
        "sample_submission": ["id", "ripe"],
        "solution": ["id", "ripe"],
        "more": ["id", *NAMES, "ripe"],
    }
    assert [len(files[name]) for name in ("train", "test", "more")] == [1000, 30, 10]
    ids = np.concatenate([files[name].id for name in ("train", "test", "more")])
    assert len(set(ids)) == 1040
    assert set(files["sample_submission"].ripe) == {0.5}
    again = avocado.generate(drawn, seed=1)
    assert all(files[name].equals(again[name]) for name in files)
    other = avocado.generate(drawn, seed=2)
    assert not files["train"].equals(other["train"])


def test_the_hook_writes_the_files_and_none_without_rows(tmp_path: Path) -> None:
    generate = hook("avocado", "generate")
    assert generate is not None
    values = {"n_train": 20, "n_test": 5, "n_more": 0, "label_noise": 0.05}
    generate(values, 1, tmp_path)
    names = ("train", "test", "solution", "sample_submission")
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.csv" for name in names}
    files = avocado.generate(Drawn(**values), 1)  # type: ignore[arg-type]
    for name in names:
        written = pd.read_csv(tmp_path / f"{name}.csv")
        pd.testing.assert_frame_equal(written, files[name], check_dtype=False)
    with pytest.raises(ConfigError, match=r"source\.generate: unknown key 'n_tests'"):
        generate(values | {"n_tests": 5}, 1, tmp_path)
